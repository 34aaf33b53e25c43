package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestEveryBoundOfStrangersNamesTestsThatExist(t *testing.T) {
	page, err := os.ReadFile("strangers.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`([a-z0-9/]+)\\.(Test[A-Za-z0-9]+)`")
	rows := 0
	for line := range strings.Lines(string(page)) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| ---") || strings.Contains(line, "| Tests |") {
			continue
		}
		rows++
		names := named.FindAllStringSubmatch(line, -1)
		if len(names) == 0 {
			t.Errorf("no test is named for: %s", line)
		}
		for _, name := range names {
			if !defines(t, name[1], name[2]) {
				t.Errorf("%s has no test %s", name[1], name[2])
			}
		}
	}
	if rows < 15 {
		t.Errorf("the page has %d rows", rows)
	}
}

// defines reports whether a test file of the folder has the function.
func defines(t *testing.T, folder, function string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", filepath.FromSlash(folder), "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "func "+function+"(") {
			return true
		}
	}
	return false
}
