package caddymodule

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddymfa/caddy-mfa/mfa/api"
)

// routePaths are all paths under the prefix that must not reach an
// upstream.
var routePaths = []string{
	"", "/setup", "/verify-setup", "/verify-login", "/status", "/methods",
	"/enable", "/disable", "/primary", "/reset", "/organization/enforce",
	"/magic-link", "/magic-link/send", "/magic-link/activate", "/magic-link/inspect", "/magic-link/deny",
	"/passkey/auth-options", "/passkey/complete-registration",
	"/backup-codes", "/backup-codes/confirm", "/events", "/refresh", "/sign-out", "/credentials", "/credentials/an-id",
	"/jwks.json", "/openapi.json", "/assets/link.js", "/assets/page.css",
}

// caddyMatcher matches the routes under prefix, with and without a slash
// at the end, as Caddy's `path` matcher does.
func caddyMatcher(t testing.TB, prefix string) func(path string) bool {
	t.Helper()
	var matcher caddyhttp.MatchPath
	for _, path := range routePaths {
		if path != "/credentials/an-id" { // any ID stands there
			matcher = append(matcher, prefix+path, prefix+path+"/")
		}
	}
	if err := matcher.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	credential := caddyhttp.MatchPath{prefix + "/credentials/*"}
	ctx := context.WithValue(context.Background(), caddy.ReplacerCtxKey, caddy.NewReplacer())
	return func(path string) bool {
		r := (&http.Request{URL: &url.URL{Path: path}}).WithContext(ctx)
		ok, err := matcher.MatchWithError(r)
		if err != nil {
			panic(err)
		}
		if ok {
			return true
		}
		// One segment is an ID, more are none of the product's paths.
		ok, err = credential.MatchWithError(r)
		if err != nil {
			panic(err)
		}
		id := strings.TrimPrefix(strings.ToLower(caddyhttp.CleanPath(path, true)), prefix+"/credentials/")
		return ok && !strings.Contains(strings.TrimSuffix(id, "/"), "/")
	}
}

// variants are spellings of path that Caddy's matcher takes for it, and
// some that only look so.
func variants(path string) []string {
	segments := strings.Split(path[1:], "/")
	all := []string{
		path, path + "/", path + "//", path + "/.", path + "/./", path + "/x/..", path + "/x/../",
		"/" + path, "//" + path, "/." + path, "/.." + path, "/../.." + path, "/x/.." + path, "/x/y/../.." + path,
		strings.ToUpper(path), strings.ToUpper(path) + "/", strings.ReplaceAll(path, "/", "//"),
		strings.ReplaceAll(path, "/", "/./"), strings.ReplaceAll(path, "s", "\u017f"), strings.ReplaceAll(path, "k", "\u212a"),
		strings.ReplaceAll(path, "i", "\u0130"),
		path[1:], path + "x", path + "/x", path + ".", path + "/..", path + "/...", path + " ", path + "\x00", path + "\xff", path + ";a=b",
		path + "?", path + "#", path + "%2f", path + "\\", "\\" + path[1:], path + "/\\", path + "\u2215",
	}
	for i, segment := range segments {
		mixed := append([]string(nil), segments...)
		mixed[i] = strings.ToUpper(segment[:min(1, len(segment))]) + segment[min(1, len(segment)):]
		all = append(all, "/"+strings.Join(mixed, "/"))
		mixed[i] = segment + "/../" + segment
		all = append(all, "/"+strings.Join(mixed, "/"))
		mixed[i] = "." + segment
		all = append(all, "/"+strings.Join(mixed, "/"))
		mixed[i] = segment + "."
		all = append(all, "/"+strings.Join(mixed, "/"))
	}
	return all
}

func TestEveryRouteIsFoundInEverySpellingThatCaddyMatches(t *testing.T) {
	for _, prefix := range []string{"/mfa", "/api/v1/mfa", "/.well-known/mfa", "/k"} {
		routes, err := api.NewRoutes(prefix)
		if err != nil {
			if strings.Contains(prefix, "/.") {
				continue // refused: nothing to be found
			}
			t.Fatal(err)
		}
		matches := caddyMatcher(t, prefix)
		matched := 0
		for _, route := range routePaths {
			for _, path := range variants(prefix + route) {
				_, found := routes.Find(path)
				want := matches(path)
				if found != want {
					t.Errorf("prefix %s: Find(%q) = %v, Caddy's matcher says %v", prefix, path, found, want)
				}
				if want {
					matched++
				}
			}
		}
		if matched < 20*len(routePaths) {
			t.Errorf("prefix %s: only %d spellings are of routes: the variants are no test", prefix, matched)
		}
	}
}

func TestOtherPathsUnderThePrefixAreNotRoutes(t *testing.T) {
	routes, err := api.NewRoutes("/mfa")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		"", "/", "*", "/mf", "/mfax", "/mfasetup", "/mfa/other", "/mfa/setup/other", "/mfa/setup/../other", "/other/mfa/setup",
		"/mfa/credentials/a/b", "/mfa/assets", "/mfa/assets/", "/mfa/passkey", "/mfa/..", "/mfa/../x",
	} {
		if _, found := routes.Find(path); found {
			t.Errorf("%q is taken for a route", path)
		}
	}
}

func FuzzRoutes(f *testing.F) {
	for _, route := range routePaths {
		for _, path := range variants("/mfa" + route) {
			f.Add(path)
		}
	}
	routes, err := api.NewRoutes("/mfa")
	if err != nil {
		f.Fatal(err)
	}
	matches := caddyMatcher(f, "/mfa")
	f.Fuzz(func(t *testing.T, path string) {
		_, found := routes.Find(path)
		if want := matches(path); found != want {
			t.Errorf("Find(%q) = %v, Caddy's matcher says %v", path, found, want)
		}
	})
}
