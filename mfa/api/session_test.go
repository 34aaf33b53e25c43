package api_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/api"
	"github.com/caddymfa/caddy-mfa/mfa/bearer"
)

// verified reports what status says of the caller's session.
func (e *edge) verified(token string, headers ...string) bool {
	e.t.Helper()
	return e.need(e.send("GET", "/mfa/status", token, "", headers...)).data()["sessionVerified"] == true
}

func TestTheFullAccessTokenIsABearerOfTheAPI(t *testing.T) {
	e := newEdge(t)
	p := e.enrolled(alice)
	if !e.verified(p.full) {
		t.Error("it does not count as a second factor")
	}
	if e.verified(p.token) {
		t.Error("the login's token alone counts as one")
	}
	if got := e.send("GET", "/mfa/status", "", "", "Authorization", "bearer  "+p.full+" "); got.Code != 200 {
		t.Errorf("in another spelling of the scheme: %d %s", got.Code, got.Body)
	}
}

func TestADeadAssertionAsTheBearerIsAnInvalidToken(t *testing.T) {
	for name, kill := range map[string]func(*edge, *person){
		"expired":    func(e *edge, _ *person) { e.clock.Advance(time.Hour) },
		"signed out": func(e *edge, p *person) { e.need(e.post("/mfa/sign-out", p.full, "")) },
		"reset":      func(e *edge, p *person) { e.need(e.post("/mfa/reset", p.full, "")) },
		"disabled":   func(e *edge, p *person) { e.need(e.post("/mfa/disable", p.full, `{"mfaType":"GOOGLE_AUTH"}`)) },
		"the login's token in it has expired": func(e *edge, p *person) {
			e.logins.expire(p.token)
		},
		"altered": func(_ *edge, p *person) { p.full = p.full[:len(p.full)-4] + "AAAA" },
		"the slim form": func(_ *edge, p *person) {
			p.full = p.cookie
		},
		"of another edge": func(e *edge, p *person) { p.full = newEdge(e.t).enrolled(alice).full },
	} {
		t.Run(name, func(t *testing.T) {
			e := newEdge(t)
			p := e.enrolled(alice)
			if !e.verified(p.full) { // and is in the cache now
				t.Error("not verified before")
			}
			kill(e, p)
			a := e.want(e.send("GET", "/mfa/status", p.full, ""), 401, "invalid_token")
			if got := a.Header().Get("WWW-Authenticate"); !strings.HasPrefix(got, `Bearer realm="mfa", error="invalid_token", error_description="`) {
				t.Errorf("challenge %q", got)
			}
		})
	}
}

func TestTheCookieCountsOnlyBesideABearerOfTheSamePerson(t *testing.T) {
	e := newEdge(t)
	p := e.enrolled(alice)
	cookie := "__Host-mfa=" + p.cookie
	for _, row := range []struct {
		name, token, cookie string
		verified            bool
	}{
		{"the slim form", p.token, cookie, true},
		{"the full form", p.token, "__Host-mfa=" + p.full, true},
		{"another login of the person", e.logins.signIn(alice), cookie, true},
		{"another person", e.logins.signIn(bearer.Identity{Subject: "bob"}), cookie, false},
		{"a namesake at another issuer", e.logins.signIn(bearer.Identity{Issuer: "https://other.example", Subject: "alice"}), cookie, false},
		{"two cookies", p.token, cookie + "; " + cookie, false},
		{"another name", p.token, "mfa=" + p.cookie, false},
		{"a login's token in it", p.token, "__Host-mfa=" + p.token, false},
	} {
		if got := e.verified(row.token, "Cookie", row.cookie); got != row.verified {
			t.Errorf("%s: verified %v", row.name, got)
		}
	}
	e.want(e.send("GET", "/mfa/status", "", "", "Cookie", cookie), 401, "authentication_required")
	e.clock.Advance(time.Hour)
	if e.verified(p.token, "Cookie", cookie) {
		t.Error("an expired one counts")
	}
}

func TestARefreshBringsANewPairAroundTheBearerOfItsRequest(t *testing.T) {
	e := newEdge(t)
	p := e.enrolled(alice)
	e.clock.Advance(50 * time.Minute)
	old, spent := p.full, p.refresh
	renewed := e.logins.signIn(alice)
	a := p.keep(e.post("/mfa/refresh", renewed, fmt.Sprintf(`{"refreshToken":%q}`, p.refresh)))
	e.want(a, 200, "MFA session refreshed")
	if p.full == old || p.refresh == spent || p.cookie == "" || !strings.Contains(a.Header().Get("Set-Cookie"), "Max-Age=3600") {
		t.Errorf("not a new pair: %s %v", a.Body, a.Header())
	}
	e.logins.expire(p.token)
	if !e.verified(p.full) {
		t.Error("the new pair is not good")
	}
	e.clock.Advance(11 * time.Second)
	for _, token := range []string{spent, p.refresh, "x", "x.1.y"} { // the reuse ends the session
		a := e.want(e.post("/mfa/refresh", renewed, fmt.Sprintf(`{"refreshToken":%q}`, token)), 401, "MFA session expired")
		if a.text("code") != "mfa_session_expired" || a.cookie() != "" {
			t.Errorf("%s, cookie %q", a.Body, a.cookie())
		}
	}
	e.want(e.post("/mfa/refresh", renewed, `{}`), 400, "invalid_request")
	e.want(e.post("/mfa/refresh", renewed, ""), 400, "invalid_request")
}

func TestARefreshDoesNotCountAsARecentFactor(t *testing.T) {
	e := newEdge(t)
	p := e.enrolled(alice)
	e.clock.Advance(16 * time.Minute)
	p.keep(e.post("/mfa/refresh", p.token, fmt.Sprintf(`{"refreshToken":%q}`, p.refresh)))
	a := e.want(e.post("/mfa/backup-codes", p.full, ""), 401, "insufficient_user_authentication")
	if got := a.Header().Get("WWW-Authenticate"); !strings.Contains(got, `acr_values="mfa", max_age="900"`) {
		t.Errorf("challenge %q", got)
	}
	p.keep(p.verify(p.nextCode()))
	e.want(e.post("/mfa/backup-codes", p.full, ""), 200, "")
}

// nothingEnded is what a sign-out says that presents no session.
const nothingEnded = `No session was ended: send the fullAccessToken or the cookie of the one that shall end, or "everywhere": true.`

func TestSigningOutEndsTheSessionAndClearsTheCookie(t *testing.T) {
	e := newEdge(t)
	p := e.enrolled(alice)
	first := *p
	p.keep(p.verify(p.nextCode()))
	ended := func(a answer, n float64) {
		t.Helper()
		if got := a.data()["ended"]; got != n {
			t.Errorf("ended %v, want %v", got, n)
		}
	}
	ended(e.want(e.post("/mfa/sign-out", p.token, ""), 200, nothingEnded), 0) // the access token alone is none
	if !e.verified(p.full) {
		t.Error("it ended all the same")
	}
	a := e.want(e.post("/mfa/sign-out", p.token, "", "Cookie", "__Host-mfa="+p.cookie), 200, "Signed out")
	ended(a, 1)
	if got := a.Header().Get("Set-Cookie"); got != "__Host-mfa=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax" {
		t.Errorf("Set-Cookie %q", got)
	}
	if e.verified(p.token, "Cookie", "__Host-mfa="+p.cookie) {
		t.Error("the session goes on")
	}
	e.want(e.post("/mfa/refresh", p.token, fmt.Sprintf(`{"refreshToken":%q}`, p.refresh)), 401, "mfa_session_expired")
	if !e.verified(first.full) {
		t.Error("another session ended too")
	}
	ended(e.want(e.post("/mfa/sign-out", p.token, "", "Cookie", "__Host-mfa="+p.cookie), 200, nothingEnded), 0)
	p.keep(p.verify(p.nextCode()))
	ended(e.want(e.post("/mfa/sign-out", first.token, `{"everywhere":true}`), 200, "Signed out"), 2)
	ended(e.want(e.post("/mfa/sign-out", first.token, `{"everywhere":true}`), 200, "Signed out"), 0)
	e.want(e.send("GET", "/mfa/status", first.full, ""), 401, "invalid_token")
	e.want(e.post("/mfa/sign-out", first.token, `{"everywhere":"yes"}`), 400, "invalid_request")
}

func TestAnAssertionNeedsTheKeysOfTheLoginInIt(t *testing.T) {
	keyless := false
	e := newEdge(t, func(c *api.Config) { c.Verifier = switchable{c.Verifier, &keyless} })
	p := e.enrolled(alice)
	keyless = true
	if a := e.want(e.send("GET", "/mfa/status", p.full, ""), 503, "unavailable"); a.Header().Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}
