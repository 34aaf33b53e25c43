package api_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/api"
	"github.com/caddymfa/caddy-mfa/mfa/bearer"
)

func TestAGateTellsWhichFactorItDemands(t *testing.T) {
	e := newEdge(t)
	p := e.enrolled(alice)
	for _, row := range []struct {
		name   string
		policy api.Policy
		want   string
	}{
		{"any", api.Policy{}, `description="A second factor is required", acr_values="mfa"`},
		{"a level", api.Policy{ACR: mfa.ACRPhR}, `description="A second factor is required", acr_values="phr"`},
		{"the least level", api.Policy{ACR: mfa.ACRMail}, `description="A second factor is required", acr_values="mail"`},
		{"a passkey", api.Policy{Methods: []string{"PASSKEY"}}, `acr_values="phr"`},
		{"a link too", api.Policy{Methods: []string{"PASSKEY", "MAGIC_LINK"}}, `acr_values="mail"`},
		{"some methods", api.Policy{Methods: []string{"PASSKEY", "GOOGLE_AUTH"}}, `acr_values="mfa"`},
		{"a recent one", api.Policy{MaxAge: 15 * time.Minute},
			`description="A second factor shown within the last 15 minutes is required", acr_values="mfa", max_age="900"`},
	} {
		_, a := e.decide(row.name, api.NoFactor, row.policy, p.token)
		if got := a.Header().Get("WWW-Authenticate"); !strings.HasSuffix(got, row.want) || !strings.HasPrefix(got, `Bearer realm="mfa", error="insufficient_user_authentication"`) {
			t.Errorf("%s: %s", row.name, got)
		}
	}
}

func TestAGateHoldsAFactorAgainstItsPolicy(t *testing.T) {
	e := newEdge(t)
	app := e.enrolled(alice)
	key := e.signIn(bearer.Identity{Subject: "kay"})
	key.enrolPasskey()
	link := e.signIn(bearer.Identity{Subject: "lin", Email: "lin@example.com"})
	link.enrolLink()
	code := e.enrolled(bearer.Identity{Subject: "cody"})
	code.keep(code.verify(code.codes[0]))
	e.clock.Advance(10 * time.Minute)
	for _, row := range []struct {
		name                   string
		policy                 api.Policy
		app, key, link, backup bool
	}{
		{"any", api.Policy{}, true, true, true, true},
		{"just as recent", api.Policy{MaxAge: 10 * time.Minute}, true, true, true, true},
		{"more recent", api.Policy{MaxAge: 10*time.Minute - time.Second}, false, false, false, false},
		{"passkeys", api.Policy{Methods: []string{"PASSKEY"}}, false, true, false, false},
		{"apps or links", api.Policy{Methods: []string{"GOOGLE_AUTH", "MAGIC_LINK"}}, true, false, true, false},
		{"backup codes", api.Policy{Methods: []string{mfa.MethodBackupCode}}, false, false, false, true},
		{"mail", api.Policy{ACR: mfa.ACRMail}, true, true, true, true},
		{"mfa", api.Policy{ACR: mfa.ACRMFA}, true, true, false, true},
		{"phr", api.Policy{ACR: mfa.ACRPhR}, false, true, false, false},
		{"a level and a method", api.Policy{ACR: mfa.ACRPhR, Methods: []string{"GOOGLE_AUTH"}}, false, false, false, false},
	} {
		for i, p := range []*person{app, key, link, code} {
			want := api.NoFactor
			if []bool{row.app, row.key, row.link, row.backup}[i] {
				want = api.Passed
			}
			e.decide(row.name+" by "+[]string{"app", "passkey", "link", "backup code"}[i], want, row.policy, p.full)
		}
	}
}

func TestAnExceptionLetsItsCallersPassWithoutAFactor(t *testing.T) {
	e := newEdge(t)
	policy := api.Policy{Except: []api.Exception{{Claim: "azp", Values: []string{"cron", "backup"}}, {Claim: "kind", Values: []string{"machine"}}}}
	for _, row := range []struct {
		name string
		kept map[string][]string
		want api.Decision
	}{
		{"none", nil, api.NoFactor},
		{"one of two values", map[string][]string{"azp": {"x", "backup"}}, api.PassedExcept},
		{"the other claim", map[string][]string{"kind": {"machine"}}, api.PassedExcept},
		{"a value of the other claim", map[string][]string{"azp": {"machine"}}, api.NoFactor},
		{"another case", map[string][]string{"azp": {"Cron"}}, api.NoFactor},
	} {
		o, _ := e.decide(row.name, row.want, policy, e.logins.signIn(bearer.Identity{Subject: "m", Kept: row.kept}))
		if o.Request != nil && (o.Request.Header.Get("X-Mfa-User") != "m" || o.Request.Header["X-Mfa-Acr"] != nil || o.Request.Header["X-Mfa-Methods"] != nil) {
			t.Errorf("%s: the upstream gets %v", row.name, o.Request.Header)
		}
	}
}

func TestAnOptionalGateLetsPassWhoHasNoFactorAndNeedsNone(t *testing.T) {
	e := newEdge(t)
	optional := api.Policy{Optional: true}
	o, _ := e.decide("a newcomer", api.PassedNone, optional, e.logins.signIn(bearer.Identity{Subject: "new"}))
	if o.Request != nil && (o.Request.Header.Get("X-Mfa-User") != "new" || len(o.Request.Header) != 2) {
		t.Errorf("the upstream gets %v", o.Request.Header)
	}
	p := e.enrolled(alice)
	e.decide("who has a factor", api.NoFactor, optional, p.token)
	e.decide("who has shown it", api.Passed, optional, p.full)
	e.decide("who has shown a lesser one", api.NoFactor, api.Policy{Optional: true, ACR: mfa.ACRPhR}, p.full)

	admin := e.enrolled(member("ann", "OWNER", "acme"))
	bob := e.logins.signIn(member("bob", "MEMBER", "acme"))
	e.decide("a member", api.PassedNone, optional, bob)
	e.need(e.post("/mfa/organization/enforce", admin.full, `{"enforced":true}`))
	e.decide("a member, enforced", api.NoFactor, optional, bob)
	e.decide("a member, without the claim today", api.NoFactor, optional, e.logins.signIn(bearer.Identity{Subject: "bob"}))
	e.need(e.post("/mfa/organization/enforce", admin.full, `{"enforced":false}`))
	e.decide("a member, free again", api.PassedNone, optional, bob)
	e.need(e.post("/mfa/reset", admin.full, `{"resetUserId":"bob","enable":true}`))
	e.decide("who must enrol again", api.NoFactor, optional, bob)
}

func TestALoginsOwnFactorCountsWhereItIsTrusted(t *testing.T) {
	e := newEdge(t)
	now := e.clock.Now()
	trust := []string{"mfa", "hwk"}
	for _, row := range []struct {
		name     string
		amr      []string
		authTime time.Time
		policy   api.Policy
		want     api.Decision
	}{
		{"trusted", []string{"pwd", "mfa"}, now.Add(-time.Hour), api.Policy{TrustAMR: trust}, api.PassedTrusted},
		{"no time", []string{"hwk"}, time.Time{}, api.Policy{TrustAMR: trust}, api.PassedTrusted},
		{"another value", []string{"pwd"}, now, api.Policy{TrustAMR: trust}, api.NoFactor},
		{"no value", nil, now, api.Policy{TrustAMR: trust}, api.NoFactor},
		{"not trusted", []string{"mfa"}, now, api.Policy{}, api.NoFactor},
		{"recent", []string{"mfa"}, now.Add(-time.Minute), api.Policy{TrustAMR: trust, MaxAge: time.Minute}, api.PassedTrusted},
		{"not recent", []string{"mfa"}, now.Add(-time.Minute - 1), api.Policy{TrustAMR: trust, MaxAge: time.Minute}, api.NoFactor},
		{"nobody knows when", []string{"mfa"}, time.Time{}, api.Policy{TrustAMR: trust, MaxAge: time.Minute}, api.NoFactor},
		{"a gate of methods", []string{"mfa"}, now, api.Policy{TrustAMR: trust, Methods: []string{"PASSKEY", "GOOGLE_AUTH"}}, api.NoFactor},
		{"a gate of that level", []string{"mfa"}, now, api.Policy{TrustAMR: trust, ACR: mfa.ACRMFA}, api.PassedTrusted},
		{"a gate of a higher level", []string{"hwk"}, now, api.Policy{TrustAMR: trust, ACR: mfa.ACRPhR}, api.NoFactor},
	} {
		// Its iat is fresh by each refresh of the login and says nothing.
		token := e.logins.signIn(bearer.Identity{Subject: "trudy", AMR: row.amr, AuthTime: row.authTime, IssuedAt: now})
		o, _ := e.decide(row.name, row.want, row.policy, token)
		if o.Request == nil {
			continue
		}
		header, when := o.Request.Header, ""
		if !row.authTime.IsZero() {
			when = row.authTime.Format(time.RFC3339)
		}
		if header.Get("X-Mfa-Methods") != api.MethodTrusted || header.Get("X-Mfa-Acr") != "mfa" || header.Get("X-Mfa-Auth-Time") != when {
			t.Errorf("%s: the upstream gets %v", row.name, header)
		}
	}
	trusted := e.signIn(bearer.Identity{Subject: "ann", AMR: []string{"mfa"}, AuthTime: now, Roles: []string{"OWNER"}, Organizations: []string{"acme"}})
	e.want(e.post("/mfa/organization/enforce", trusted.token, `{"enforced":true}`), 401, "insufficient_user_authentication")
}

func TestARefusalCanBeHandedToSomebodyElse(t *testing.T) {
	e := newEdge(t)
	gate := api.NewGate(e.handler, api.Policy{})
	r := e.request("GET", "/admin", e.enrolled(alice).token, "Origin", "https://app.example.com")
	w := httptest.NewRecorder()
	status, err := gate.Hand(w, r, gate.Check(w, r, "/admin", nil).Refusal)
	if status != http.StatusUnauthorized || err == nil || w.Body.Len() > 0 || w.Header().Get("WWW-Authenticate") == "" ||
		w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Access-Control-Allow-Origin") != "https://app.example.com" {
		t.Errorf("%d, %v, %v, %q", status, err, w.Header(), w.Body)
	}
}

func TestARefusalThatIsHandedOnTellsAndGivesAwayNothing(t *testing.T) {
	e := newEdge(t)
	p := e.enrolled(alice)
	gate := api.NewGate(e.handler, api.Policy{ACR: mfa.ACRPhR})
	for name, headers := range map[string][]string{
		"by the bearer": {"Authorization", "Bearer " + p.full},
		"by the cookie": {"Authorization", "Bearer " + p.token, "Cookie", "a=1; __Host-mfa=" + p.cookie},
		"by nothing":    {"Cookie", "a=1"},
	} {
		r := e.request("GET", "/admin", "", append(headers, "X-MFA-User", "root", "X-Mfa~Acr", "phr")...)
		w := httptest.NewRecorder()
		o := gate.Check(w, r, "/admin", nil)
		if o.Pass {
			t.Fatalf("%s: it passes", name)
		}
		gate.Hand(w, r, o.Refusal)
		want := http.Header{}
		if name != "by the bearer" {
			want.Set("Cookie", "a=1")
		}
		if name == "by the cookie" {
			want.Set("Authorization", "Bearer "+p.token)
		}
		if fmt.Sprint(r.Header) != fmt.Sprint(want) {
			t.Errorf("%s: the error routes get %v", name, r.Header)
		}
	}
}
