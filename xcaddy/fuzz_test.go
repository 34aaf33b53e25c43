package main_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestTheListOfFuzzTargetsIsComplete(t *testing.T) {
	declared := regexp.MustCompile(`(?m)^func (Fuzz\w+)\(`)
	var targets []string
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, found := range declared.FindAllStringSubmatch(string(content), -1) {
			folder := strings.TrimPrefix(filepath.ToSlash(filepath.Dir(path)), "../")
			targets = append(targets, "./"+folder+" "+found[1])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	document, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(document), "\n## Fuzzing\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var listed []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\S+)` \\| (.*) \\| .* \\|$").FindAllStringSubmatch(section, -1) {
		for name := range strings.SplitSeq(row[2], ", ") {
			listed = append(listed, row[1]+" "+strings.Trim(name, "`"))
		}
	}
	slices.Sort(targets)
	slices.Sort(listed)
	for _, target := range targets {
		if !slices.Contains(listed, target) {
			t.Errorf("docs/operations.md does not list %s", target)
		}
	}
	for _, target := range listed {
		if !slices.Contains(targets, target) {
			t.Errorf("docs/operations.md lists %s, which is not there", target)
		}
	}
	if len(targets) < 30 {
		t.Errorf("only %d targets are found", len(targets))
	}
}
