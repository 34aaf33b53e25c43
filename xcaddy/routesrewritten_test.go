package main_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

// A site of one page, and most sites of PHP, rewrite what is no file before
// mfa comes to see it.
func TestTheRoutesAreServedWhateverARewriteMakesOfTheirPaths(t *testing.T) {
	for _, rewriting := range []string{
		"root * {$ROOT}\n\ttry_files {path} /index.php", "rewrite * /front?path={path}", "uri strip_prefix /mfa", "uri replace /mfa /x",
	} {
		e := edgetest.New(t)
		e.Env = append(e.Env, "ROOT="+e.Dir+"/www")
		e.Write("www/index.php", "<?php")
		e.Start(strings.Replace(edgetest.Caddyfile, "\tmfa\n", "\t"+rewriting+"\n\tmfa\n\t"+adminGate+"\n", 2))
		alice := enrolled(t, e, "alice", nil)
		listed := e.Do("GET", "/mfa/credentials", alice.pair.access, nil)
		credentials, _ := listed.JSON["data"].([]any)
		if len(credentials) != 1 {
			t.Fatalf("%s: %d %s", rewriting, listed.Status, listed.Body)
		}
		id := credentials[0].(map[string]any)["id"].(string)
		wantStatus(t, rewriting, e.Do("PATCH", "/mfa/credentials/"+id, alice.pair.access, map[string]any{"name": "phone"}), http.StatusOK)
		for _, target := range []string{"/mfa/", "/mfa/assets/page.css", "/MFA//assets/./page.css", "/mfa/jwks.json", "/mfa/setup"} {
			before := len(e.Upstream.Requests())
			answer := e.Raw("GET " + target)
			if through := len(e.Upstream.Requests()) > before; through || answer.Status >= 400 && target != "/mfa/setup" {
				t.Errorf("%s: %s: %d, reached the upstream: %v", rewriting, target, answer.Status, through)
			}
		}
		before := len(e.Upstream.Requests())
		if answer := e.Do("GET", "/mfa/other", alice.token, nil); answer.Status != http.StatusOK || len(e.Upstream.Requests()) == before {
			t.Errorf("%s: /mfa/other: %d", rewriting, answer.Status)
		}
		e.Stop()
	}
}

func TestNoCodeGetsToTheErrorPageThatARewriteFetches(t *testing.T) {
	e := edgetest.New(t)
	e.NoAPI = true // what stands at its paths are pages for errors
	e.Start(strings.Replace(edgetest.Caddyfile, "\tmfa\n", "\troute {\n\t\terror /mfa/* 500\n\t\tmfa\n\t}\n\thandle_errors {\n\t\trewrite * /page\n\t\tmfa\n\t\treverse_proxy {$UPSTREAM}\n\t}\n", 2))
	answer := e.Do("POST", "/mfa/verify-login", e.Token("alice", nil), map[string]any{"mfaType": "GOOGLE_AUTH", "code": "123456"})
	got := lastRequest(t, e)
	if body, err := io.ReadAll(got.Body); err != nil || len(body) > 0 || got.RequestURI != "/page" {
		t.Errorf("%d: the backend got %s and %q, %v", answer.Status, got.RequestURI, body, err)
	}
}
