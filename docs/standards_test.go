// Package docs holds what is written about the product, and the tests that
// hold it against the code.
package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// namedTest is how the page names a test: the folder, a dot, the function.
var namedTest = regexp.MustCompile("`([a-z0-9/]+)\\.((?:Test|Fuzz)[A-Za-z0-9]+)`")

func TestEveryTestThatTheStandardsPageNamesExists(t *testing.T) {
	page, err := os.ReadFile("standards.md")
	if err != nil {
		t.Fatal(err)
	}
	names := namedTest.FindAllStringSubmatch(string(page), -1)
	if len(names) < 50 {
		t.Fatalf("the page names %d tests: the pattern finds too few", len(names))
	}
	sources := map[string]string{}
	for _, name := range names {
		folder, function := name[1], name[2]
		if _, read := sources[folder]; !read {
			sources[folder] = testsOf(t, folder)
		}
		if !strings.Contains(sources[folder], "func "+function+"(") {
			t.Errorf("%s has no test %s", folder, function)
		}
	}
}

func TestEveryRowOfTheStandardsPageNamesATest(t *testing.T) {
	page, err := os.ReadFile("standards.md")
	if err != nil {
		t.Fatal(err)
	}
	met, _, found := strings.Cut(string(page), "\n## Not met")
	if !found {
		t.Fatal("the page does not say what is not met")
	}
	for line := range strings.Lines(met) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| ---") || strings.Contains(line, "| Tests |") {
			continue
		}
		if !namedTest.MatchString(line) {
			t.Errorf("no test is named for: %s", line)
		}
	}
}

// testsOf returns the text of all test files of a folder.
func testsOf(t *testing.T, folder string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", filepath.FromSlash(folder), "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(text)
	}
	return b.String()
}
