package api

import (
	"encoding/json"
	"maps"
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
	if !slices.Equal(served, documented) {
		t.Errorf("served\n%s\ndocumented\n%s", strings.Join(served, "\n"), strings.Join(documented, "\n"))
	}
}
