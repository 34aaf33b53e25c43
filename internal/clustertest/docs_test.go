package clustertest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestEachDocumentedFaultHasItsTest holds the tables of docs/stores.md
// against the tests that they name.
func TestEachDocumentedFaultHasItsTest(t *testing.T) {
	page, err := os.ReadFile("../../docs/stores.md")
	if err != nil {
		t.Fatal(err)
	}
	var sources strings.Builder
	for _, folder := range []string{".", "../../mfa", "../../mfa/store/*", "../../caddymodule", "../../xcaddy", "../../xcaddy/full"} {
		paths, err := filepath.Glob(filepath.Join(folder, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			source, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			sources.Write(source)
		}
	}
	names := regexp.MustCompile("`(Test\\w+(?:/[^`]+)?)`").FindAllStringSubmatch(string(page), -1)
	if len(names) < 10 {
		t.Errorf("docs/stores.md names %d tests", len(names))
	}
	for _, found := range names {
		name, parts, _ := strings.Cut(found[1], "/")
		if !strings.Contains(sources.String(), "func "+name+"(t *testing.T)") {
			t.Errorf("there is no %s", name)
		}
		for part := range strings.SplitSeq(parts, "/") {
			if !strings.Contains(sources.String(), part) && !strings.Contains(sources.String(), strings.ReplaceAll(part, "_", " ")) {
				t.Errorf("%s has no part %s", name, part)
			}
		}
	}
}
