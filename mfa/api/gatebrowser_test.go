package api_test

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/api"
)

const listed = "https://app.example.com"

func TestABearerByCookieChangesNothingForAForeignPage(t *testing.T) {
	e := newEdge(t)
	p := e.enrolled(alice)
	cookies := "session=" + p.token + "; __Host-mfa=" + p.cookie
	for _, row := range []struct {
		name    string
		method  string
		headers []string
		want    api.Decision
	}{
		{"reading", "GET", nil, api.Passed},
		{"reading for a foreign page", "GET", []string{"Origin", "https://evil.example"}, api.Passed},
		{"an upgrade", "GET", []string{"Upgrade", "websocket", "Connection", "Upgrade"}, api.Refused},
		{"an upgrade for a foreign page", "GET", []string{"Upgrade", "websocket", "Origin", "https://evil.example"}, api.Refused},
		{"an upgrade for its own page", "GET", []string{"Upgrade", "websocket", "Origin", "https://example.com"}, api.Passed},
		{"writing without an origin", "POST", nil, api.Refused},
		{"writing for a foreign page", "DELETE", []string{"Origin", "https://evil.example"}, api.Refused},
		{"writing for no page", "POST", []string{"Origin", "null"}, api.Refused},
		{"writing for its own page", "PUT", []string{"Origin", "https://example.com"}, api.Passed},
		{"writing for a listed page", "POST", []string{"Origin", listed}, api.Passed},
		{"two origins", "POST", []string{"Origin", listed, "Origin", "https://evil.example"}, api.Refused},
		{"an unknown method", "QUERY", nil, api.Refused},
	} {
		o, a := e.check(api.Policy{}, e.request(row.method, "/admin", "", append(row.headers, "Cookie", cookies)...))
		if o.Decision != row.want {
			t.Errorf("%s: %s %s", row.name, o.Decision, a.Body)
		}
		if row.want == api.Refused {
			wantError(t, a.ResponseRecorder, 403, "origin_not_allowed", "")
		} else if o.Request != nil && o.Request.Header.Get("Cookie") != "session="+p.token {
			t.Errorf("%s: the upstream gets %q", row.name, o.Request.Header["Cookie"])
		}
	}
	o, _ := e.check(api.Policy{}, e.request("POST", "/admin", p.full, "Origin", "https://evil.example"))
	if o.Decision != api.Passed {
		t.Errorf("a bearer in the header, which no browser adds by itself: %s", o.Decision)
	}
}

func TestAGateAnswersPreflightsOfListedOriginsAlone(t *testing.T) {
	e := newEdge(t)
	preflight := func(headers ...string) (api.Decision, answer) {
		o, a := e.check(api.Policy{}, e.request("OPTIONS", "/admin", "", headers...))
		return o.Decision, a
	}
	decision, a := preflight("Origin", listed, "Access-Control-Request-Method", "DELETE", "Access-Control-Request-Headers", "authorization,x-custom")
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin": listed, "Access-Control-Allow-Methods": "DELETE",
		"Access-Control-Allow-Headers": "authorization,x-custom", "Access-Control-Allow-Credentials": "true", "Vary": "Origin",
	} {
		if got := a.Header().Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if decision != api.Preflight || a.Code != 204 || a.Body.Len() > 0 {
		t.Errorf("%s, %d %s", decision, a.Code, a.Body)
	}
	for name, headers := range map[string][]string{
		"of another origin": {"Origin", "https://evil.example", "Access-Control-Request-Method", "GET"},
		"of no origin":      {"Access-Control-Request-Method", "GET"},
		"no preflight":      {"Origin", listed},
	} {
		decision, a := preflight(headers...)
		if decision != api.NoToken || a.Code != 401 || a.Header().Get("Access-Control-Allow-Methods") != "" {
			t.Errorf("%s: %s, %d %v", name, decision, a.Code, a.Header())
		}
	}
}

func TestPagesOfListedOriginsCanReadWhyAGateIsClosed(t *testing.T) {
	e := newEdge(t)
	p := e.enrolled(alice)
	for _, token := range []string{"", "bad", "keyless", p.token} {
		_, a := e.check(api.Policy{}, e.request("POST", "/admin", token, "Origin", listed))
		if a.Header().Get("Access-Control-Allow-Origin") != listed || a.Header().Get("Vary") != "Origin" ||
			a.Header().Get("Access-Control-Expose-Headers") != "WWW-Authenticate, Retry-After" {
			t.Errorf("%q: %v", token, a.Header())
		}
		_, a = e.check(api.Policy{}, e.request("POST", "/admin", token, "Origin", "https://evil.example"))
		if a.Header().Get("Access-Control-Allow-Origin") != "" || a.Header().Get("Vary") != "Origin" {
			t.Errorf("%q, for a foreign page: %v", token, a.Header())
		}
	}
}

const page = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"

func TestABrowserWithoutALoginIsSentToIt(t *testing.T) {
	const login = "https://login.example.com/in?x=1"
	e := newEdge(t, func(c *api.Config) { c.LoginURL = login })
	for _, row := range []struct {
		name    string
		method  string
		headers []string
		want    api.Decision
	}{
		{"a page", "GET", []string{"Accept", page}, api.Redirected},
		{"its head", "HEAD", []string{"Accept", "TEXT/HTML"}, api.Redirected},
		{"a navigation", "GET", []string{"Accept", page, "Sec-Fetch-Mode", "navigate"}, api.Redirected},
		{"a script", "GET", []string{"Accept", page, "Sec-Fetch-Mode", "cors"}, api.NoToken},
		{"a form", "POST", []string{"Accept", page}, api.NoToken},
		{"a program", "GET", []string{"Accept", "application/json"}, api.NoToken},
		{"who accepts anything", "GET", nil, api.NoToken},
		{"a bad bearer", "GET", []string{"Accept", page, "Authorization", "Bearer bad"}, api.NoToken},
	} {
		o, a := e.check(api.Policy{}, e.request(row.method, "/admin", "", row.headers...))
		if o.Decision != row.want {
			t.Errorf("%s: %s %d", row.name, o.Decision, a.Code)
		}
		if row.want == api.Redirected && (a.Code != 302 || a.Header().Get("Location") != login || a.Header().Get("Cache-Control") != "no-store") {
			t.Errorf("%s: %d %v", row.name, a.Code, a.Header())
		}
	}
	e = newEdge(t)
	o, a := e.check(api.Policy{}, e.request("GET", "/admin", "", "Accept", page))
	if o.Decision != api.NoToken {
		t.Errorf("without a login URL: %s %d", o.Decision, a.Code)
	}
}

func TestABrowserWhoseSignInHasRunOutIsToldSoByThePage(t *testing.T) {
	const page = "text/html,application/xhtml+xml"
	policy := api.Policy{ACR: "phr"}
	for name, off := range map[string]bool{"with the page": false, "without": true} {
		e := newEdge(t, func(c *api.Config) { c.Page, c.LoginURL = !off, "https://login.example.com/in" })
		p := e.enrolled(alice)
		e.logins.expire(p.token)
		o, a := e.check(policy, e.request("GET", "/admin?x=1", "", "Accept", page, "Cookie", "session="+p.token+"; __Host-mfa="+p.cookie))
		want, location := api.Redirected, "/mfa/?return_to=%2Fadmin%3Fx%3D1&acr_values=phr"
		if off {
			want, location = api.NoToken, ""
		}
		if o.Decision != want || a.Header().Get("Location") != location {
			t.Errorf("%s: %s to %q", name, o.Decision, a.Header().Get("Location"))
		}
		for program, headers := range map[string][]string{
			"a program":     {"Cookie", "session=" + p.token},
			"in the header": {"Authorization", "Bearer " + p.token, "Accept", page},
		} {
			if o, _ := e.check(policy, e.request("GET", "/admin", "", headers...)); o.Decision != api.NoToken {
				t.Errorf("%s, %s: %s", name, program, o.Decision)
			}
		}
	}
}

func TestALoginThatAsksForItIsToldWhereToComeBackTo(t *testing.T) {
	for login, want := range map[string]string{
		"https://login.example.com/in?return_to=":            "https://login.example.com/in?return_to=BACK",
		"https://login.example.com/in?a=%20&return_to=&b=#c": "https://login.example.com/in?a=%20&return_to=BACK&b=#c",
		"https://login.example.com/in?return_to=/home":       "https://login.example.com/in?return_to=/home",
		"https://login.example.com/in?my_return_to=":         "https://login.example.com/in?my_return_to=",
		"https://login.example.com/in":                       "https://login.example.com/in",
	} {
		e := newEdge(t, func(c *api.Config) {
			c.LoginURL = login
			c.PublicURLs = []string{"https://example.com", "https://www.example.com:8443"}
		})
		for host, origin := range map[string]string{
			"example.com": "https://example.com", "WWW.example.com:8443": "https://www.example.com:8443",
			"evil.example": "https://example.com",
		} {
			for target, path := range map[string]string{"/admin/a%2Fb?x=1&y=2": "/admin/a%2Fb?x=1&y=2", "//evil.example": "/"} {
				r := e.request("GET", "/admin", "", "Accept", page)
				r.Host = host
				a := answer{ResponseRecorder: httptest.NewRecorder()}
				o := api.NewGate(e.handler, api.Policy{}).Check(a, r, target, nil)
				to := strings.Replace(want, "BACK", url.QueryEscape(origin+path), 1)
				if got := a.Header().Get("Location"); o.Decision != api.Redirected || got != to {
					t.Errorf("%s, %s%s: %s to %q, want %q", login, host, target, o.Decision, got, to)
				}
			}
		}
	}
}

func TestABrowserWithoutAFactorIsSentToThePageAndBack(t *testing.T) {
	e := newEdge(t, func(c *api.Config) { c.Page = true })
	p := e.enrolled(alice)
	byCookie := []string{"Cookie", "session=" + p.token, "Accept", page}
	for target, want := range map[string]string{
		"/admin":                        "/admin",
		"/admin/a%2Fb?x=1&y=2":          "/admin/a%2Fb?x=1&y=2",
		"/a?next=https://evil.example":  "/a?next=https://evil.example",
		"/%5cevil.example":              "/%5cevil.example",
		"//evil.example":                "/",
		"///evil.example":               "/",
		`/\evil.example`:                "/",
		`\\evil.example`:                "/",
		"https://evil.example/":         "/",
		"javascript:alert(1)":           "/",
		"evil.example":                  "/",
		"":                              "/",
		"*":                             "/",
		"/\t/evil.example":              "/",
		"/\n/evil.example":              "/",
		"/\r\nSet-Cookie: a=b":          "/",
		"/\x00":                         "/",
		"/ x":                           "/",
		"/\x7f":                         "/",
		"/\u00e9":                       "/",
		"/" + strings.Repeat("x", 2048): "/",
		"/" + strings.Repeat("x", 2047): "/" + strings.Repeat("x", 2047),
	} {
		a := answer{ResponseRecorder: httptest.NewRecorder()}
		o := api.NewGate(e.handler, api.Policy{}).Check(a, e.request("GET", "/admin", "", byCookie...), target, nil)
		if location := a.Header().Get("Location"); o.Decision != api.Redirected || a.Code != 302 || location != "/mfa/?return_to="+url.QueryEscape(want) {
			t.Errorf("%q: %s to %q", target, o.Decision, location)
		}
	}
	for name, headers := range map[string][]string{
		"a bearer in the header": {"Authorization", "Bearer " + p.token, "Accept", page},
		"a program":              {"Cookie", "session=" + p.token},
		"a script":               append([]string{"Sec-Fetch-Mode", "same-origin"}, byCookie...),
	} {
		e.decide(name, api.NoFactor, api.Policy{}, "", headers...)
	}
}

func TestAGateTellsThePageWhatItDemands(t *testing.T) {
	e := newEdge(t, func(c *api.Config) { c.Page = true })
	p := e.enrolled(alice)
	for want, policy := range map[string]api.Policy{
		"":                                {MaxAge: time.Minute},
		"&acr_values=phr":                 {ACR: "phr"},
		"&methods=PASSKEY+GOOGLE_AUTH":    {Methods: []string{"PASSKEY", "GOOGLE_AUTH"}},
		"&acr_values=mfa&methods=PASSKEY": {ACR: "mfa", Methods: []string{"PASSKEY"}},
	} {
		_, a := e.check(policy, e.request("GET", "/admin", "", "Accept", "text/html", "Cookie", "session="+p.token))
		if location := a.Header().Get("Location"); location != "/mfa/?return_to=%2Fadmin"+want {
			t.Errorf("the page is told %q, want %q", location, want)
		}
	}
}
