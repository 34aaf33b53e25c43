package api_test

import (
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/api"
)

func TestEverySpellingOfARouteIsFoundAndNothingElse(t *testing.T) {
	routes, err := api.NewRoutes("/mfa")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		"/mfa/setup", "/mfa/setup/", "/MFA/Setup", "//mfa//setup", "/mfa/./setup", "/x/../mfa/setup",
		"/mfa/x/../setup/", "/mfa/setup//", "/mfa", "/mfa/", "/mfa/credentials", "/mfa/credentials/abc", "/mfa/credentials/abc/",
		"/mfa/magic-link", "/mfa/jwks.json", "/mfa/assets/page.css", "/mfa/bac\u212Aup-codes", // the Kelvin sign is a k in lower case
	} {
		if _, ok := routes.Find(path); !ok {
			t.Errorf("%s is not found", path)
		}
	}
	for _, path := range []string{
		"", "/", "*", "/mfasetup", "/mfax/setup", "/mfa/other", "/mfa/setup/x", "/mfa/setup.json", "/x/mfa/setup", "mfa/setup",
		"/mfa/credentials/a/b", "/mfa/assets", "/mfa/assets/", "/mfa/assets/other.js", "/mfa;x/setup", "/mfa/setup ",
	} {
		if _, ok := routes.Find(path); ok {
			t.Errorf("%s is found", path)
		}
	}
}

func TestAReservedRouteIsNotFoundHereByAnyMethod(t *testing.T) {
	f := newFixture(t)
	for _, path := range []string{"/mfa/", "/mfa/verify-login", "/mfa/refresh", "/mfa/sign-out", "/mfa/credentials/x", "/mfa/jwks.json", "/mfa/organization/enforce"} {
		for _, method := range []string{"GET", "POST", "DELETE", "OPTIONS"} {
			wantError(t, f.do(method, path, ""), 404, "not_found", "")
		}
	}
}

func TestAMethodThatARouteLacksIsToldWhichItHas(t *testing.T) {
	f := newFixture(t)
	for path, allow := range map[string]string{
		"/mfa/setup": "POST", "/mfa/status": "GET, HEAD", "/mfa/magic-link": "GET, HEAD", "/mfa/magic-link/activate": "POST",
	} {
		w := f.do("PUT", path, "")
		wantError(t, w, 405, "method_not_allowed", allow)
		if got := w.Header().Get("Allow"); got != allow {
			t.Errorf("%s: Allow %q", path, got)
		}
	}
}

func TestOnlyACleanPrefixIsTaken(t *testing.T) {
	for _, prefix := range []string{"", "/", "mfa", "/mfa/", "/MFA", "//mfa", "/a/../mfa", "/mfa*", "/{x}", "/m%66a", "/mü", "/m fa", `/m\fa`} {
		if _, err := api.NewRoutes(prefix); err == nil {
			t.Errorf("%q is taken", prefix)
		}
	}
	routes, err := api.NewRoutes("/auth/second")
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := routes.Find("/auth/second/setup"); !ok {
		t.Error("a prefix of two segments does not work")
	}
}

func TestTheLandingPageIsOpenAndSafeToLookAt(t *testing.T) {
	f := newFixture(t)
	w := f.do("GET", "/mfa/magic-link", "")
	if w.Code != 200 || !strings.Contains(w.Body.String(), "Acme") || w.Header().Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	policy := w.Header().Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || !strings.Contains(policy, "frame-ancestors 'none'") {
		t.Errorf("policy %q", policy)
	}
	if w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("headers %v", w.Header())
	}
	if w := f.do("HEAD", "/mfa/magic-link", ""); w.Code != 200 || w.Body.Len() != 0 {
		t.Errorf("HEAD: %d, %d bytes", w.Code, w.Body.Len())
	}
	if w := f.do("GET", "/mfa/magic-link//", ""); w.Code != 308 || w.Header().Get("Location") != "../../magic-link" {
		t.Errorf("with two slashes: %d %v", w.Code, w.Header())
	}
	if w := f.do("GET", "/mfa/magic-link/", ""); w.Code != 308 || w.Header().Get("Location") != "../magic-link" {
		t.Errorf("with a slash: %d %v", w.Code, w.Header())
	}
	for path, contentType := range map[string]string{
		"/mfa/assets/magic-link.js": "text/javascript; charset=utf-8", "/MFA//assets/PAGE.css": "text/css; charset=utf-8",
	} {
		if w := f.do("GET", path, ""); w.Code != 200 || w.Header().Get("Content-Type") != contentType || w.Body.Len() == 0 {
			t.Errorf("%s: %d %v", path, w.Code, w.Header())
		}
	}
	if f.service.token != "" {
		t.Error("looking spent the token")
	}
}
