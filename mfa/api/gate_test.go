package api_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/api"
	"github.com/caddymfa/caddy-mfa/mfa/bearer"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// decided is what a gate decided, with what goes on to the upstream, nil when
// nothing does.
type decided struct {
	api.Outcome
	Request *http.Request
}

// check has a gate decide about r, and write its refusal.
func (e *edge) check(policy api.Policy, r *http.Request) (decided, answer) {
	e.t.Helper()
	return e.checkFound(policy, r, nil)
}

// checkFound is check for a request in which something was found before.
func (e *edge) checkFound(policy api.Policy, r *http.Request, found *api.Presented) (decided, answer) {
	e.t.Helper()
	gate := api.NewGate(e.handler, policy)
	a := answer{ResponseRecorder: httptest.NewRecorder()}
	o := decided{Outcome: gate.Check(a, r, r.URL.RequestURI(), found)}
	if o.Pass {
		o.Request = r
	}
	answered := o.Decision == api.Preflight || o.Decision == api.Redirected
	if o.Pass == (o.Refusal != nil || answered) {
		e.t.Errorf("%s: passes %v and refusal %v", o.Decision, o.Pass, o.Refusal)
	}
	if o.Refusal != nil {
		gate.Write(a, r, o.Refusal)
	}
	return o, a
}

// decide fails the test unless a gate decides so about a GET of /admin.
func (e *edge) decide(name string, want api.Decision, policy api.Policy, token string, headers ...string) (decided, answer) {
	e.t.Helper()
	o, a := e.check(policy, e.request("GET", "/admin", token, headers...))
	if o.Decision != want {
		e.t.Errorf("%s: %s, want %s: %d %s", name, o.Decision, want, a.Code, a.Body)
	}
	return o, a
}

func TestAGateIsClosedUnlessAFactorWasShown(t *testing.T) {
	e := newEdge(t)
	p := e.enrolled(alice)
	dead := e.enrolled(bearer.Identity{Subject: "dead"})
	e.need(e.post("/mfa/sign-out", dead.full, ""))
	newcomer := e.logins.signIn(bearer.Identity{Subject: "newcomer"})
	const challenge = `Bearer realm="mfa"`
	const invalid = challenge + `, error="invalid_token", error_description="`
	const factor = challenge + `, error="insufficient_user_authentication", error_description="A second factor is required", acr_values="mfa"`
	for _, row := range []struct {
		name      string
		headers   []string
		want      api.Decision
		status    int
		code      string
		challenge string
		text      string
	}{
		{"no token", nil, api.NoToken, 401, "authentication_required", challenge, ""},
		{"another scheme", []string{"Authorization", "Basic eDp5"}, api.NoToken, 401, "authentication_required", challenge, ""},
		{"an assertion by cookie alone", []string{"Cookie", "__Host-mfa=" + p.full}, api.NoToken, 401, "authentication_required", challenge, ""},
		{"a bad token", []string{"Authorization", "Bearer bad"}, api.NoToken, 401, "invalid_token", invalid, ""},
		{"a dead assertion", []string{"Authorization", "Bearer " + dead.full}, api.NoToken, 401, "invalid_token", invalid, ""},
		{"a slim assertion", []string{"Authorization", "Bearer " + p.cookie}, api.NoToken, 401, "invalid_token", invalid, ""},
		{"no keys", []string{"Authorization", "Bearer keyless"}, api.Failed, 503, "unavailable", "", ""},
		{"nobody with a factor", []string{"Authorization", "Bearer " + newcomer}, api.NoFactor, 401, "insufficient_user_authentication", factor, "/mfa/setup"},
		{"no factor shown", []string{"Authorization", "Bearer " + p.token}, api.NoFactor, 401, "insufficient_user_authentication", factor, "/mfa/verify-login"},
		{"two tokens", []string{"Authorization", "Bearer " + p.full, "Authorization", "Bearer " + p.full}, api.Refused, 400, "invalid_request", "", ""},
	} {
		o, a := e.decide(row.name, row.want, api.Policy{}, "", row.headers...)
		if o.Refusal == nil {
			continue
		}
		wantError(t, a.ResponseRecorder, row.status, row.code, row.text)
		if got := a.Header().Get("WWW-Authenticate"); row.challenge == "" && got != "" || !strings.HasPrefix(got, row.challenge) ||
			!strings.HasSuffix(row.challenge, `="`) && got != row.challenge {
			t.Errorf("%s: challenge %q", row.name, got)
		}
	}
}

func TestAFactorThatWasShownOpensAGate(t *testing.T) {
	e := newEdge(t)
	p := e.enrolled(alice)
	shown := e.clock.Now()
	e.clock.Advance(59 * time.Minute)
	for name, r := range map[string]*http.Request{
		"as the bearer": e.request("GET", "/admin", p.full),
		"as the cookie": e.request("GET", "/admin", p.token, "Cookie", "a=1; __Host-mfa="+p.cookie+"; b=2"),
	} {
		o, a := e.check(api.Policy{}, r)
		if o.Decision != api.Passed {
			t.Fatalf("%s: %s %s", name, o.Decision, a.Body)
		}
		want := http.Header{
			"Authorization": {"Bearer " + p.token}, "X-Mfa-User": {"alice"}, "X-Mfa-Methods": {"GOOGLE_AUTH"},
			"X-Mfa-Acr": {"mfa"}, "X-Mfa-Auth-Time": {shown.Format(time.RFC3339)},
		}
		if name == "as the cookie" {
			want.Set("Cookie", "a=1; b=2")
		}
		if got := fmt.Sprint(o.Request.Header); got != fmt.Sprint(want) {
			t.Errorf("%s: the upstream gets %v", name, got)
		}
		if len(a.Header()) != 0 {
			t.Errorf("%s: the answer has %v", name, a.Header())
		}
		if o.User.ID != "alice" || o.User.Email != alice.Email || o.User.ACR != "mfa" || !o.User.AuthTime.Equal(shown) {
			t.Errorf("%s: user %+v", name, o.User)
		}
	}
	e.clock.Advance(time.Minute)
	e.decide("an hour later", api.NoToken, api.Policy{}, p.full)
}

func TestACookieThatIsNotTheCallersIsClearedAndDoesNotCount(t *testing.T) {
	e := newEdge(t)
	p := e.enrolled(alice)
	for name, headers := range map[string][]string{
		"of another person": {"Authorization", "Bearer " + e.logins.signIn(bearer.Identity{Subject: "bob"})},
		"of nobody":         {"Authorization", "Bearer " + p.token, "Cookie", "__Host-mfa=x"},
	} {
		_, a := e.decide(name, api.NoFactor, api.Policy{}, "", append(headers, "Cookie", "__Host-mfa="+p.cookie)...)
		if got := a.Header()["Set-Cookie"]; len(got) != 1 || !strings.HasPrefix(got[0], "__Host-mfa=; Path=/; Max-Age=0;") {
			t.Errorf("%s: Set-Cookie %q", name, got)
		}
	}
	e.need(e.post("/mfa/sign-out", p.full, ""))
	o, a := e.decide("a dead one", api.PassedTrusted, api.Policy{TrustAMR: []string{"mfa"}},
		e.logins.signIn(bearer.Identity{Subject: "alice", AMR: []string{"mfa"}}), "Cookie", "__Host-mfa="+p.cookie)
	if !strings.Contains(a.Header().Get("Set-Cookie"), "Max-Age=0") || o.Request != nil && o.Request.Header["Cookie"] != nil {
		t.Errorf("a dead one: %v to the client", a.Header())
	}
}

func TestAStolenTokenInTheCookieDoesNotPassByAnothersFactor(t *testing.T) {
	e := newEdge(t)
	p := e.enrolled(alice)
	stolen := e.logins.signIn(bearer.Identity{Subject: "bob"})
	again := e.logins.signIn(bearer.Identity{Subject: "alice"})
	for name, auth := range map[string][]string{
		"an assertion":             {"Authorization", "Bearer " + p.full},
		"a token and an assertion": {"Authorization", "Bearer " + p.token, "Cookie", "__Host-mfa=" + p.cookie},
	} {
		for cookie, want := range map[string]string{
			"session=" + stolen + "; b=2":                "b=2",
			"session=" + p.token + "; session=" + stolen: "",
			`session="` + stolen + `"`:                   "",
			"session=%65xpired.or.spelled.otherwise":     "",
			"session=" + p.token:                         "session=" + p.token,
			"a=1; session=" + again + "; b=2":            "a=1; session=" + again + "; b=2",
			"session=":                                   "session=",
		} {
			o, _ := e.decide(name, api.Passed, api.Policy{}, "", append(auth, "Cookie", cookie)...)
			if o.Request != nil && strings.Join(o.Request.Header["Cookie"], "; ") != want {
				t.Errorf("%s with %s: the upstream gets %q", name, cookie, o.Request.Header["Cookie"])
			}
		}
		for _, cookie := range []string{"x=1,session=" + stolen, "Session=" + stolen, "x=1 session=" + stolen} {
			e.decide(name+" with "+cookie, api.Refused, api.Policy{}, "", append(auth, "Cookie", cookie)...)
		}
	}
}

func TestASubjectWithOuterBlanksIsRefused(t *testing.T) {
	e := newEdge(t)
	for _, subject := range []string{"bob ", " bob", "\tbob", "bob\n", "\u00a0bob"} {
		token := e.logins.signIn(bearer.Identity{Subject: subject, AMR: []string{"mfa"}})
		_, a := e.decide(subject, api.Refused, api.Policy{Optional: true, TrustAMR: []string{"mfa"}}, token)
		wantError(t, a.ResponseRecorder, 401, "invalid_token", "")
	}
}

func TestWhatAClientSaysOfAFactorIsTakenOut(t *testing.T) {
	e := newEdge(t)
	p := e.enrolled(alice)
	for name, token := range map[string]string{"passed": p.full, "optional": e.logins.signIn(bearer.Identity{Subject: "newcomer"})} {
		r := e.request("GET", "/admin", token, "Connection", "close, X-MFA-User, x_mfa_acr", "X-Mfa-User", "root", "X-Other", "kept")
		for _, spelling := range []string{"X_MFA_USER", "x-mfa-user", "X-MFA_Methods", "X-MFA-Anything", "x_mfa_acr"} {
			r.Header[spelling] = []string{"root"}
		}
		o, a := e.check(api.Policy{Optional: true}, r)
		if o.Request == nil {
			t.Fatalf("%s: %s %s", name, o.Decision, a.Body)
		}
		if text := fmt.Sprint(o.Request.Header); strings.Contains(text, "root") || strings.Contains(strings.ToLower(o.Request.Header.Get("Connection")), "mfa") {
			t.Errorf("%s: the upstream gets %s", name, text)
		}
		if o.Request.Header.Get("X-Mfa-User") != o.User.ID || o.Request.Header.Get("X-Other") != "kept" {
			t.Errorf("%s: the upstream gets %v", name, o.Request.Header)
		}
	}
}

// faulty is a Service that cannot answer gates.
type faulty struct {
	api.Service
	standing, live, open error
}

func (f *faulty) Standing(ctx context.Context, caller mfa.Caller) (mfa.Standing, error) {
	if f.standing != nil {
		return mfa.Standing{}, f.standing
	}
	return f.Service.Standing(ctx, caller)
}

func (f *faulty) Live(ctx context.Context, shown *mfa.Shown) (bool, error) {
	if f.live != nil {
		return true, f.live
	}
	return f.Service.Live(ctx, shown)
}

func (f *faulty) OpenAssertion(ctx context.Context, token string) (*mfa.Shown, error) {
	if f.open != nil {
		return nil, f.open
	}
	return f.Service.OpenAssertion(ctx, token)
}

func TestAGateThatCannotTellStaysClosed(t *testing.T) {
	f := &faulty{}
	e := newEdge(t, func(c *api.Config) { f.Service, c.Service = c.Service, f })
	p := e.enrolled(alice)
	cookie := "__Host-mfa=" + p.cookie
	down := fmt.Errorf("reading: %w", store.ErrUnavailable)
	policy := api.Policy{Optional: true, TrustAMR: []string{"pwd"}}
	for _, row := range []struct {
		name          string
		fault         faulty
		token, cookie string
	}{
		{"opening the bearer", faulty{open: down}, p.full, "a=1"},
		{"opening the cookie", faulty{open: down}, p.token, cookie},
		{"reading the session", faulty{live: down}, p.token, cookie},
		{"reading the standing", faulty{standing: down}, p.token, "a=1"},
	} {
		f.standing, f.live, f.open = row.fault.standing, row.fault.live, row.fault.open
		_, a := e.decide(row.name, api.Failed, policy, row.token, "Cookie", row.cookie)
		wantError(t, a.ResponseRecorder, 503, "unavailable", "")
		if a.Header().Get("Retry-After") == "" || a.Header()["Set-Cookie"] != nil {
			t.Errorf("%s: %v", row.name, a.Header())
		}
		f.standing, f.live, f.open = nil, nil, nil
	}
}
