package main_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

const loginURL = "https://login.example.com/start"

// browserGate is a Caddyfile for applications whose pages have the token in
// a cookie.
func browserGate() string {
	config := gated(adminGate, "page {", "login_url "+loginURL, "}", "cors_origins https://app.example.com")
	return strings.Replace(config, "bearer dev", "bearer {\n dev\n cookie session\n}", 1)
}

// navigate asks as a browser does that opens a page.
func navigate(e *edgetest.Edge, method, path, cookie string) edgetest.Answer {
	r := e.Request(method, path, "", nil)
	r.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	if cookie != "" {
		r.Header.Set("Cookie", cookie)
	}
	return e.Send(r)
}

func TestABrowserIsSentToWhereItCanDoSomething(t *testing.T) {
	e := edgetest.New(t)
	e.Start(browserGate())
	alice := enrolled(t, e, "alice", nil)
	session := "session=" + alice.token
	for _, test := range []struct{ method, path, cookie, location string }{
		{"GET", "/admin/x?a=b&c=%20", "", loginURL},
		{"HEAD", "/admin/x", "", loginURL},
		{"GET", "/admin/x?a=b&c=%20", session, "/mfa/?return_to=" + url.QueryEscape("/admin/x?a=b&c=%20")},
		{"HEAD", "/admin/x", session, "/mfa/?return_to=%2Fadmin%2Fx"},
		{"GET", "//evil.example/../../admin/x", session, "/mfa/?return_to=%2F"},
		{"GET", "/admin/x", session + "; __Host-mfa=" + alice.pair.cookie[:40], "/mfa/?return_to=%2Fadmin%2Fx"},
		{"GET", "/admin/x", "session=nonsense", "/mfa/?return_to=%2Fadmin%2Fx"},
	} {
		answer := navigate(e, test.method, test.path, test.cookie)
		if answer.Status != 302 || answer.Header.Get("Location") != test.location || answer.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s: %d %v", test.method, test.path, answer.Status, answer.Header)
		}
	}
	// What no person looks at is told, not sent.
	for name, answer := range map[string]edgetest.Answer{
		"a script":            e.Do("GET", "/admin/x", "", nil),
		"a form":              navigate(e, "POST", "/admin/x", ""),
		"a token in a header": e.Do("GET", "/admin/x", alice.token, nil),
	} {
		wantStatus(t, name, answer, 401)
	}
	if got := len(e.Upstream.Requests()); got != 0 {
		t.Errorf("the upstream got %d requests", got)
	}
	answer := navigate(e, "GET", "/admin/x", session+"; __Host-mfa="+alice.pair.cookie)
	wantStatus(t, "with both cookies", answer, 200)
}

func TestAPageOfAListedOriginCanAskTheGate(t *testing.T) {
	e := edgetest.New(t)
	e.Start(browserGate())
	alice := enrolled(t, e, "alice", nil)
	const listed, other = "https://app.example.com", "https://evil.example"
	ask := func(method, origin, token string, headers ...string) edgetest.Answer {
		r := e.Request(method, "/admin/x", token, nil)
		r.Header.Set("Origin", origin)
		for _, header := range headers {
			name, value, _ := strings.Cut(header, ": ")
			r.Header.Set(name, value)
		}
		return e.Send(r)
	}
	preflight := []string{"Access-Control-Request-Method: PUT", "Access-Control-Request-Headers: authorization,x-custom"}
	answer := ask("OPTIONS", listed, "", preflight...)
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin": listed, "Access-Control-Allow-Credentials": "true", "Access-Control-Allow-Methods": "PUT",
		"Access-Control-Allow-Headers": "authorization,x-custom", "Vary": "Origin",
	} {
		if got := answer.Header.Get(name); got != want {
			t.Errorf("preflight: %s is %q, want %q", name, got, want)
		}
	}
	wantStatus(t, "preflight", answer, 204)
	wantStatus(t, "a preflight from elsewhere", ask("OPTIONS", other, "", preflight...), 401)
	wantStatus(t, "OPTIONS that is no preflight", ask("OPTIONS", listed, ""), 401)

	refused := ask("PUT", listed, alice.token)
	refused.WantError(t, 401, "insufficient_user_authentication", "")
	if refused.Header.Get("Access-Control-Allow-Origin") != listed ||
		!strings.Contains(refused.Header.Get("Access-Control-Expose-Headers"), "WWW-Authenticate") {
		t.Errorf("the refusal has %v", refused.Header)
	}
	if h := ask("PUT", other, alice.token).Header; h.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("another origin gets %v", h)
	}
	// Cookies are sent by browsers unasked: other pages cannot use them.
	both := "Cookie: session=" + alice.token + "; __Host-mfa=" + alice.pair.cookie
	wantStatus(t, "cookies from elsewhere", ask("PUT", other, "", both), 403)
	wantStatus(t, "cookies from nowhere", ask("PUT", "null", "", both), 403)
	if got := len(e.Upstream.Requests()); got != 0 {
		t.Errorf("the upstream got %d requests", got)
	}
	wantStatus(t, "cookies from a listed origin", ask("PUT", listed, "", both), 200)
	wantStatus(t, "cookies from the site itself", ask("PUT", e.URL, "", both), 200)
}

func TestARefusalCanBeHandedToTheErrorRoutes(t *testing.T) {
	e := edgetest.New(t)
	config := gated(adminGate+" {\n\t\thandle_errors\n\t}") + "\n"
	config = strings.Replace(config, "\treverse_proxy", "\thandle_errors {\n\t\trespond \"a page of ours for {err.status_code}\"\n\t}\n\treverse_proxy", 1)
	e.Start(config)
	alice := enrolled(t, e, "alice", nil)
	for token, challenge := range map[string]string{
		"":          `Bearer realm="mfa"`,
		alice.token: `error="insufficient_user_authentication"`,
		"nonsense":  `error="invalid_token"`,
	} {
		answer := e.Do("GET", "/admin/x", token, nil)
		if answer.Status != 401 || answer.Body != "a page of ours for 401" || !strings.Contains(answer.Header.Get("WWW-Authenticate"), challenge) ||
			answer.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%d %v %s", answer.Status, answer.Header, answer.Body)
		}
	}
	alice.pair.wantOpens(t, e, "alice", alice.token, "GOOGLE_AUTH", "mfa")
}
