package api_test

import (
	"net/http/httptest"
	"strings"
	"testing"
)

func TestBearersAreAskedForAsRFC6750Says(t *testing.T) {
	f := newFixture(t)
	const bare = `Bearer realm="mfa"`
	const invalid = `Bearer realm="mfa", error="invalid_token", error_description="a 'reason'"`
	for _, row := range []struct {
		name      string
		headers   []string
		status    int
		code      string
		challenge string
	}{
		{"none", nil, 401, "authentication_required", bare},
		{"another scheme", []string{"Authorization", "Basic Z29vZA=="}, 401, "authentication_required", bare},
		{"another scheme beside a cookie", []string{"Authorization", "Basic Z29vZA==", "Cookie", "session=good"}, 401, "authentication_required", bare},
		{"a bad one", []string{"Authorization", "Bearer bad"}, 401, "invalid_token", invalid},
		{"an empty one", []string{"Authorization", "Bearer"}, 401, "invalid_token", invalid},
		{"a bad one beside a good cookie", []string{"Authorization", "Bearer bad", "Cookie", "session=good"}, 401, "invalid_token", invalid},
		{"two", []string{"Authorization", "Bearer good", "Authorization", "Bearer good"}, 400, "invalid_request", ""},
		{"two cookies", []string{"Cookie", "session=good", "Cookie", "session=good"}, 400, "invalid_request", ""},
		// Go's own parser does not see the first of these, others do.
		{"two cookies, one malformed", []string{"Cookie", `session=stolen\\; session=good`}, 400, "invalid_request", ""},
		{"one that is two to some", []string{"Cookie", "session=good; x=1 session=stolen"}, 400, "invalid_request", ""},
		{"two that are one name to some", []string{"Cookie", "session=good; SESSION=stolen"}, 400, "invalid_request", ""},
		{"a malformed cookie", []string{"Cookie", `session=bad\\`}, 401, "invalid_token", invalid},
		{"an empty cookie", []string{"Cookie", "session="}, 401, "authentication_required", bare},
	} {
		w := f.do("GET", "/mfa/status", "", row.headers...)
		wantError(t, w, row.status, row.code, "")
		if got := w.Header().Get("WWW-Authenticate"); got != row.challenge {
			t.Errorf("%s: challenge %q, want %q", row.name, got, row.challenge)
		}
	}
	w := f.do("GET", "/mfa/status", "", "Authorization", "Bearer keyless")
	wantError(t, w, 503, "unavailable", "")
	if strings.Contains(w.Body.String(), "internal") || w.Header().Get("Retry-After") == "" {
		t.Errorf("keys unavailable: %s, Retry-After %q", w.Body, w.Header().Get("Retry-After"))
	}
	if w := f.do("GET", "/mfa/status", "", "Authorization", "bEaReR good"); w.Code != 200 {
		t.Errorf("scheme in another case: %d", w.Code)
	}
}

func TestABearerFromACookieNeedsATrustedOriginToChangeAnything(t *testing.T) {
	f := newFixture(t)
	f.service.setup = appSetup
	post := func(origins ...string) *httptest.ResponseRecorder {
		headers := []string{"Cookie", "session=good", "Content-Type", "application/json"}
		for _, origin := range origins {
			headers = append(headers, "Origin", origin)
		}
		return f.do("POST", "/mfa/setup", `{"mfaType":"GOOGLE_AUTH"}`, headers...)
	}
	for _, origin := range []string{"https://example.com", "https://app.example.com"} {
		if w := post(origin); w.Code != 200 {
			t.Errorf("%s: %d %s", origin, w.Code, w.Body)
		}
	}
	for _, origin := range []string{"https://evil.example", "http://example.com", "https://example.com.evil.example", "null", ""} {
		wantError(t, post(origin), 403, "origin_not_allowed", "")
	}
	wantError(t, post(), 403, "origin_not_allowed", "")
	wantError(t, post("https://example.com", "https://evil.example"), 403, "origin_not_allowed", "")
	if w := f.do("GET", "/mfa/status", "", "Cookie", "session=good"); w.Code != 200 {
		t.Errorf("reading without an origin: %d", w.Code)
	}
}

func TestListedOriginsMayReadAnswersAndAskFirst(t *testing.T) {
	f := newFixture(t)
	w := f.do("OPTIONS", "/mfa/setup", "", "Origin", "https://app.example.com", "Access-Control-Request-Method", "POST")
	if w.Code != 204 || w.Header().Get("Access-Control-Allow-Origin") != "https://app.example.com" ||
		w.Header().Get("Access-Control-Allow-Methods") != "POST" || w.Header().Get("Vary") != "Origin" {
		t.Errorf("preflight: %d %v", w.Code, w.Header())
	}
	w = f.do("GET", "/mfa/status", "", "Origin", "https://app.example.com")
	if w.Code != 401 || !strings.Contains(w.Header().Get("Access-Control-Expose-Headers"), "WWW-Authenticate") {
		t.Errorf("refusal: %d %v", w.Code, w.Header())
	}
	w = f.do("OPTIONS", "/mfa/setup", "", "Origin", "https://evil.example", "Access-Control-Request-Method", "POST")
	if w.Code != 405 || w.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("preflight of a stranger: %d %v", w.Code, w.Header())
	}
}
