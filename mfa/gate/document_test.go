package gate_test

import (
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestTheTablesOfTheDocumentAreTrue holds what docs/gate.md says of paths and
// of queries against the gate.
func TestTheTablesOfTheDocumentAreTrue(t *testing.T) {
	document, err := os.ReadFile("../../docs/gate.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(document), "### How it is read\n")
	readings, rest, _ := strings.Cut(rest, "### Routes in the query\n")
	queries, _, _ := strings.Cut(rest, "\n## ")
	code := regexp.MustCompile("`([^`]+)`")
	targets := func(cell string) (found []string) {
		for _, span := range code.FindAllStringSubmatch(cell, -1) {
			if strings.HasPrefix(span[1], "/") {
				found = append(found, span[1])
			}
		}
		return found
	}
	checked := 0
	for line := range strings.Lines(readings) {
		cells := strings.Split(line, "|")
		if len(cells) != 6 || !strings.Contains(cells[2], "`") {
			continue
		}
		pattern := strings.Trim(cells[2], " `")
		for i, guarded := range map[int]bool{3: true, 4: false} {
			for _, target := range targets(cells[i]) {
				checked++
				if got := match(t, []string{pattern}, target); got != guarded {
					t.Errorf("%s and %s: guarded is %v", pattern, target, got)
				}
			}
		}
	}
	names := []string{"q", "r", "rest_route", ""}
	for line := range strings.Lines(queries) {
		cells := strings.Split(line, "|")
		if len(cells) != 4 {
			continue
		}
		for _, target := range targets(cells[1]) {
			checked++
			u, err := url.ParseRequestURI(target)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range names {
				guarded := strings.Contains(cells[2], "`query "+name+"`") || name == "" && strings.Contains(cells[2], "`query \"\"`")
				if got := withQuery(t, []string{"/admin/*", "/wp/v2/users/*"}, []string{name}).Match(u); got != guarded {
					t.Errorf("query %q and %s: guarded is %v", name, target, got)
				}
			}
		}
	}
	if checked < 60 {
		t.Errorf("only %d targets were found", checked)
	}
}
