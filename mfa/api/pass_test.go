package api_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/api"
	"github.com/caddymfa/caddy-mfa/mfa/bearer"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// pass has r pass where no gate is. Nil is returned when it was refused.
func (e *edge) pass(r *http.Request) (*api.Presented, answer) {
	e.t.Helper()
	if !api.Carries(r) {
		e.t.Errorf("not seen as carrying an assertion: %v", r.Header)
	}
	a := answer{ResponseRecorder: httptest.NewRecorder()}
	return e.handler.Pass(a, r), a
}

func TestAnAssertionIsTakenOutWhereNoGateIs(t *testing.T) {
	e := newEdge(t)
	p := e.enrolled(alice)
	for _, row := range []struct {
		name    string
		headers []string
		want    http.Header
		clears  bool
	}{
		{"the bearer", []string{"Authorization", "Bearer " + p.full}, http.Header{"Authorization": {"Bearer " + p.token}}, false},
		{"the bearer in another spelling", []string{"Authorization", "bEARER  " + p.full + " "}, http.Header{"Authorization": {"Bearer " + p.token}}, false},
		{"the bearer after a tab", []string{"Authorization", "Bearer\t" + p.full}, http.Header{"Authorization": {"Bearer " + p.token}}, false},
		{"a malformed cookie", []string{"Cookie", "a=1; __Host-mfa=\"x"}, http.Header{"Cookie": {"a=1"}}, true},
		{"the cookie", []string{"Authorization", "Bearer " + p.token, "Cookie", "a=1; __Host-mfa=" + p.cookie},
			http.Header{"Authorization": {"Bearer " + p.token}, "Cookie": {"a=1"}}, false},
		{"the cookie alone", []string{"Cookie", "__Host-mfa=" + p.cookie}, http.Header{}, false},
		{"both", []string{"Authorization", "Bearer " + p.full, "Cookie", "__Host-mfa=" + p.cookie}, http.Header{"Authorization": {"Bearer " + p.token}}, false},
		{"a dead cookie", []string{"Authorization", "Bearer other", "Cookie", "__Host-mfa=dead; b=2"},
			http.Header{"Authorization": {"Bearer other"}, "Cookie": {"b=2"}}, true},
		{"two cookies", []string{"Cookie", "__Host-mfa=" + p.cookie, "Cookie", "__Host-mfa=" + p.cookie}, http.Header{}, true},
	} {
		r := e.request("GET", "/open", "", row.headers...)
		found, a := e.pass(r)
		if found == nil {
			t.Errorf("%s: refused by %d %s", row.name, a.Code, a.Body)
			continue
		}
		if fmt.Sprint(r.Header) != fmt.Sprint(row.want) {
			t.Errorf("%s: the upstream gets %v", row.name, r.Header)
		}
		if cleared := strings.HasPrefix(a.Header().Get("Set-Cookie"), "__Host-mfa=; Path=/; Max-Age=0;"); cleared != row.clears {
			t.Errorf("%s: the answer has %v", row.name, a.Header())
		}
	}
}

func TestADeadAssertionAsTheBearerIsRefusedWhereNoGateIs(t *testing.T) {
	e := newEdge(t)
	p := e.enrolled(alice)
	expired := e.enrolled(bearer.Identity{Subject: "bob"})
	e.logins.expire(expired.token)
	dead := e.enrolled(bearer.Identity{Subject: "carol"})
	e.need(e.post("/mfa/sign-out", dead.full, ""))
	for name, token := range map[string]string{
		"signed out": dead.full, "the login's token has expired": expired.full, "the slim form": p.cookie, "altered": p.full + "x",
	} {
		found, a := e.pass(e.request("GET", "/open", token, "Origin", listed))
		if found != nil {
			t.Errorf("%s: passed", name)
			continue
		}
		wantError(t, a.ResponseRecorder, 401, "invalid_token", "")
		if !strings.Contains(a.Header().Get("WWW-Authenticate"), `error="invalid_token"`) || a.Header().Get("Access-Control-Allow-Origin") != listed {
			t.Errorf("%s: %v", name, a.Header())
		}
	}
}

func TestAnAssertionBesideAnotherAuthorizationGetsToNoUpstream(t *testing.T) {
	e := newEdge(t)
	p := e.enrolled(alice)
	for _, values := range [][]string{{p.full, "other"}, {"other", p.full}, {p.full, p.full}} {
		found, a := e.pass(e.request("GET", "/open", "", "Authorization", "Bearer "+values[0], "Authorization", "Bearer "+values[1]))
		if found != nil {
			t.Fatal("passed")
		}
		wantError(t, a.ResponseRecorder, 400, "invalid_request", "")
	}
}

func TestACookieIsKeptWhileItsKeyMayBeAnotherNodesNewOne(t *testing.T) {
	f := &faulty{}
	e := newEdge(t, func(c *api.Config) { f.Service, c.Service = c.Service, f })
	p := e.enrolled(alice)
	f.open = mfa.ErrUndecidedAssertion
	request := func() *http.Request { return e.request("GET", "/open", p.token, "Cookie", "__Host-mfa="+p.cookie) }
	r := request()
	found, a := e.pass(r)
	if found == nil || r.Header["Cookie"] != nil || a.Header()["Set-Cookie"] != nil {
		t.Errorf("%v, answer %d %v", r.Header, a.Code, a.Header())
	}
	gate := api.NewGate(e.handler, api.Policy{})
	w := httptest.NewRecorder()
	if o := gate.Check(w, request(), "/open", nil); o.Pass || o.Decision != api.NoFactor || w.Header()["Set-Cookie"] != nil {
		t.Errorf("at a gate: %+v, %v", o, w.Header())
	}
	found, a = e.pass(e.request("GET", "/open", p.full))
	if found != nil || a.Code != 401 {
		t.Errorf("a bearer: answer %d %v", a.Code, a.Header())
	}
}

func TestACookieIsKeptWhileNobodyCanTellWhetherItIsGood(t *testing.T) {
	f := &faulty{}
	e := newEdge(t, func(c *api.Config) { f.Service, c.Service = c.Service, f })
	p := e.enrolled(alice)
	f.open, f.live = store.ErrUnavailable, store.ErrUnavailable
	r := e.request("GET", "/open", p.token, "Cookie", "__Host-mfa="+p.cookie)
	found, a := e.pass(r)
	if found == nil || r.Header["Cookie"] != nil || a.Header()["Set-Cookie"] != nil {
		t.Errorf("%v, answer %d %v", r.Header, a.Code, a.Header())
	}
	found, a = e.pass(e.request("GET", "/open", p.full))
	if found != nil || a.Code != 503 {
		t.Errorf("a bearer: answer %d %v", a.Code, a.Header())
	}
}

func TestAGateKnowsWhatWasTakenOutBeforeIt(t *testing.T) {
	e := newEdge(t)
	p := e.enrolled(alice)
	for name, r := range map[string]*http.Request{
		"the bearer": e.request("GET", "/admin", p.full),
		"the cookie": e.request("GET", "/admin", p.token, "Cookie", "__Host-mfa="+p.cookie),
	} {
		found, _ := e.pass(r)
		o, a := e.checkFound(api.Policy{}, r, found)
		if o.Decision != api.Passed || r.Header.Get("Authorization") != "Bearer "+p.token || r.Header.Get("X-Mfa-User") != "alice" {
			t.Errorf("%s: %s %s", name, o.Decision, a.Body)
		}
	}
	r := e.request("GET", "/admin", p.token, "Cookie", "__Host-mfa=dead")
	found, a := e.pass(r)
	o := api.NewGate(e.handler, api.Policy{}).Check(a, r, "/admin", found)
	if o.Decision != api.NoFactor || len(a.Header()["Set-Cookie"]) != 1 {
		t.Errorf("a dead cookie: %s, Set-Cookie %q", o.Decision, a.Header()["Set-Cookie"])
	}
}

func TestForeignRequestsCostNothing(t *testing.T) {
	e := newEdge(t)
	p := e.enrolled(alice)
	for name, headers := range map[string][]string{
		"nothing":          nil,
		"a login's token":  {"Authorization", "Bearer " + strings.Repeat("eyJhbGciOiJSUzI1NiJ9.", 20)},
		"another scheme":   {"Authorization", "Basic eDp5"},
		"a name like ours": {"Authorization", "Bearer x", "Accept", "__Host-mfa=" + p.cookie},
	} {
		r := e.request("GET", "/open", "", headers...)
		var carries bool
		if n := testing.AllocsPerRun(100, func() { carries = api.Carries(r) }); n != 0 || carries {
			t.Errorf("%s: carries %v, %v allocations", name, carries, n)
		}
	}
	for _, cookies := range []string{"a=1", "x__Host-mfa=" + p.cookie, "__Host-mfax=1", "a=__Host-mfa"} {
		if api.Carries(e.request("GET", "/open", "", "Cookie", cookies)) {
			t.Errorf("cookies %q are taken for an assertion", cookies)
		}
	}
}

func TestStripTakesOutWhatOnlyTheEdgeSays(t *testing.T) {
	e := newEdge(t)
	r := e.request("GET", "/open", "x", "X-MFA-User", "root", "X_MFA_ACR", "phr", "X-Other", "kept")
	api.Strip(r)
	if want := "map[Authorization:[Bearer x] X-Other:[kept]]"; fmt.Sprint(r.Header) != want {
		t.Errorf("left %v", r.Header)
	}
}
