package api_test

import (
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/api"
)

func TestThePublishedDocumentsAreForAnybodyToKeep(t *testing.T) {
	e := newEdge(t)
	e.enrolled(alice) // makes the keys
	for target, cache := range map[string]string{"/mfa/jwks.json": "public, max-age=300", "/mfa/openapi.json": "public, max-age=3600"} {
		a := e.send("GET", target, "", "")
		if a.Code != 200 || a.Header().Get("Cache-Control") != cache || a.Header().Get("Content-Type") != "application/json" ||
			a.Header().Get("Access-Control-Allow-Origin") != "*" || a.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %v", target, a.Code, a.Header())
		}
		if a.json["success"] != nil || a.json["keys"] == nil && a.json["openapi"] == nil {
			t.Errorf("%s is no bare document", target)
		}
		if a := e.send("GET", target, "bad", "", "Origin", "https://app.example.com"); a.Code != 200 || a.Header().Get("Access-Control-Allow-Origin") != "https://app.example.com" {
			t.Errorf("%s for a listed origin: %d %v", target, a.Code, a.Header())
		}
		if a := e.send("HEAD", target, "", ""); a.Code != 200 || a.Body.Len() != 0 {
			t.Errorf("HEAD %s: %d, %d bytes", target, a.Code, a.Body.Len())
		}
	}
	keys := e.send("GET", "/mfa/jwks.json", "", "").json["keys"].([]any)
	if len(keys) == 0 || keys[0].(map[string]any)["d"] != nil {
		t.Errorf("%d keys, or a private one", len(keys))
	}
}

func TestTheDocumentNamesThisServer(t *testing.T) {
	e := newEdge(t, func(c *api.Config) { c.PublicURLs = []string{"https://id.example.org:8443", "https://example.com"} })
	servers := e.send("GET", "/mfa/openapi.json", "", "").json["servers"].([]any)
	if url := servers[0].(map[string]any)["url"]; url != "https://id.example.org:8443/mfa" {
		t.Errorf("the server is %v", url)
	}
}
