package api_test

import (
	"net/http/httptest"
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

func TestAMethodThatARouteLacksIsToldWhichItHas(t *testing.T) {
	f := newFixture(t)
	for path, allow := range map[string]string{
		"/mfa/setup": "POST", "/mfa/status": "GET, HEAD", "/mfa/magic-link": "GET, HEAD", "/mfa/magic-link/activate": "POST",
		"/mfa/credentials": "GET, HEAD", "/mfa/credentials/x": "DELETE, PATCH", "/mfa/jwks.json": "GET, HEAD", "/mfa/": "GET, HEAD",
	} {
		w := f.do("PUT", path, "")
		wantError(t, w, 405, "method_not_allowed", allow)
		if got := w.Header().Get("Allow"); got != allow {
			t.Errorf("%s: Allow %q", path, got)
		}
	}
}

func TestARouteThatIsOnlyReservedAnswersThatThereIsNone(t *testing.T) {
	f := newFixture(t)
	for _, path := range []string{"/mfa/backup-codes/confirm", "/mfa/events", "/MFA//Events/", "/mfa/x/../backup-codes/confirm"} {
		route, ok := f.routes.Find(path)
		if !ok || route.Offered() {
			t.Fatalf("%s is not reserved", path)
		}
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PURGE"} {
			r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
			r.Header.Set("Authorization", "Bearer good")
			r.Header.Set("Access-Control-Request-Method", "POST")
			w := httptest.NewRecorder()
			f.handler.ServeHTTP(w, r, route)
			wantError(t, w, 404, "not_found", "Not found")
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
