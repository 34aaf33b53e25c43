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

// namedTest is how a page names a test: the folder, a dot, the function.
var namedTest = regexp.MustCompile("`([a-z0-9/]+)\\.((?:Test|Fuzz)[A-Za-z0-9]+)`")

// pages are those whose tables name, in each row, the tests that show it.
var pages = []struct {
	file string
	end  string // the heading below which rows name none, "" for none
	rows int    // at least
}{
	{file: "strangers.md", rows: 15},
	{file: "standards.md", end: "\n## Not met", rows: 60},
}

func TestEachRowNamesATestThatExists(t *testing.T) {
	sources := map[string]string{}
	for _, page := range pages {
		t.Run(page.file, func(t *testing.T) {
			text, err := os.ReadFile(page.file)
			if err != nil {
				t.Fatal(err)
			}
			body := string(text)
			if page.end != "" {
				var found bool
				if body, _, found = strings.Cut(body, page.end); !found {
					t.Fatalf("the page lacks %q", page.end)
				}
			}
			rows := 0
			for line := range strings.Lines(body) {
				if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| ---") || strings.Contains(line, "| Tests |") {
					continue
				}
				rows++
				if !namedTest.MatchString(line) {
					t.Errorf("no test is named for: %s", line)
				}
			}
			if rows < page.rows {
				t.Errorf("the page has %d rows", rows)
			}
			for _, name := range namedTest.FindAllStringSubmatch(string(text), -1) {
				folder, function := name[1], name[2]
				if _, read := sources[folder]; !read {
					sources[folder] = testsOf(t, folder)
				}
				if !strings.Contains(sources[folder], "func "+function+"(") {
					t.Errorf("%s has no test %s", folder, function)
				}
			}
		})
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
