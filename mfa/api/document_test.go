package api

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/api/openapi"
)

func TestTheRoutesAreThoseOfTheDocument(t *testing.T) {
	raw, err := openapi.Document("/mfa", "https://example.com")
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	if err := json.Unmarshal(raw, &document); err != nil {
		t.Fatal(err)
	}
	var documented []string
	for path, item := range document.Paths {
		for method := range item {
			if method != "parameters" {
				documented = append(documented, strings.ToUpper(method)+" "+path)
			}
		}
	}
	slices.Sort(documented)

	routes := maps.Clone(table)
	routes[credentialsPath+"{id}"] = credentialRoute
	routes["/"] = routes[""]
	delete(routes, "")
	var served []string
	for path, route := range routes {
		for method := range route.methods {
			if !strings.HasPrefix(path, "/assets/") {
				served = append(served, method+" "+path)
			}
		}
	}
	slices.Sort(served)
	levels, err := os.ReadFile("../../docs/levels.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, route := range served {
		method, path, _ := strings.Cut(route, " ")
		if !strings.Contains(string(levels), "`"+method+" /mfa"+path+"`") {
			t.Errorf("docs/levels.md does not say what %s needs", route)
		}
	}
	if !slices.Equal(served, documented) {
		t.Errorf("served\n%s\ndocumented\n%s", strings.Join(served, "\n"), strings.Join(documented, "\n"))
	}
}
