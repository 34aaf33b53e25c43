package api_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/api"
)

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
	for _, target := range []string{"/mfa/magic-link/", "/mfa/magic-link//", "/mfa/magic%2Dlink", "/files/x%2f..%2f..%2fmfa%2fmagic-link"} {
		if w := f.do("GET", target, ""); w.Code != 308 || w.Header().Get("Location") != "/mfa/magic-link" {
			t.Errorf("%s: %d to %q", target, w.Code, w.Header().Get("Location"))
		}
	}
	for path, contentType := range map[string]string{
		"/mfa/assets/link.js": "text/javascript; charset=utf-8", "/MFA//assets/PAGE.css": "text/css; charset=utf-8",
	} {
		if w := f.do("GET", path, ""); w.Code != 200 || w.Header().Get("Content-Type") != contentType || w.Body.Len() == 0 {
			t.Errorf("%s: %d %v", path, w.Code, w.Header())
		}
	}
	if f.service.link.Token != "" {
		t.Error("looking spent the token")
	}
}

func TestTheSelfServicePageIsAtThePrefixWithOneSlash(t *testing.T) {
	e := newEdge(t, func(c *api.Config) { c.Page = true })
	w := e.send("GET", "/mfa/?return_to=/admin", "", "")
	if w.Code != 200 || w.Header().Get("Cache-Control") != "no-store" ||
		!strings.Contains(w.Header().Get("Content-Security-Policy"), "frame-ancestors 'none'") {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	for target, want := range map[string]string{
		"/mfa": "/mfa/", "/mfa?return_to=/admin": "/mfa/?return_to=/admin", "/MFA//": "/mfa/", "/mfa/x/..": "/mfa/",
		// Where a browser would look for the page's scripts at the upstream.
		"/mfa%2f": "/mfa/", "/files/x%2f..%2f..%2fmfa%2f?a=b": "/mfa/?a=b", "/mfa/x%2f..%2f": "/mfa/", "/MFA/": "/mfa/",
	} {
		if w := e.send("GET", target, "", ""); w.Code != 308 || w.Header().Get("Location") != want {
			t.Errorf("%s: %d to %q", target, w.Code, w.Header().Get("Location"))
		}
	}
}

func TestPagesThatAreNotOnOfferAreNotFound(t *testing.T) {
	e := newEdge(t, func(c *api.Config) { c.MagicLink = false })
	for _, target := range []string{"/mfa", "/mfa/", "/mfa/magic-link", "/mfa/assets/page.css", "/mfa/assets/link.js"} {
		e.want(e.send("GET", target, "", ""), 404, "not_found")
	}
}

func TestPagesComeInTheReadersLanguageAndAreNotKept(t *testing.T) {
	e := newEdge(t, func(c *api.Config) { c.Page = true })
	for header, want := range map[string]string{"": "en", "fr-CH, de;q=0.5": "fr", "ja": "ja"} {
		for _, target := range []string{"/mfa/", "/mfa/magic-link"} {
			w := e.send("GET", target, "", "", "Accept-Language", header)
			if !strings.Contains(w.Body.String(), `<html lang="`+want+`">`) || !slices.Contains(w.Header().Values("Vary"), "Accept-Language") ||
				w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("%s for %q: %v", target, header, w.Header())
			}
		}
	}
}

func TestABrowserKeepsAssetsAndAsksWhetherTheyAreCurrent(t *testing.T) {
	e := newEdge(t, func(c *api.Config) { c.Page = true })
	w := e.send("GET", "/mfa/assets/page.js", "", "")
	tag := w.Header().Get("ETag")
	if w.Code != 200 || w.Header().Get("Cache-Control") != "no-cache" || tag == "" {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	if w := e.send("GET", "/mfa/assets/page.js", "", "", "If-None-Match", tag); w.Code != 304 || w.Body.Len() != 0 {
		t.Errorf("the current one: %d, %d bytes", w.Code, w.Body.Len())
	}
	if w := e.send("GET", "/mfa/assets/page.js", "", "", "If-None-Match", `"older"`); w.Code != 200 || w.Body.Len() == 0 {
		t.Errorf("an older one: %d", w.Code)
	}
	if w := e.send("HEAD", "/mfa/assets/page.js", "", ""); w.Code != 200 || w.Body.Len() != 0 {
		t.Errorf("HEAD: %d, %d bytes", w.Code, w.Body.Len())
	}
	e.want(e.send("GET", "/mfa/assets/logo", "", ""), 404, "not_found")
}
