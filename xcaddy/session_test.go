package main_test

import (
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

// wantEnded checks that a pair that worked is of no more use.
func (p *person) wantEnded(of pair) {
	p.t.Helper()
	before := len(p.e.Upstream.Requests())
	p.e.Do("GET", "/admin/x", of.access, nil).WantError(p.t, 401, "invalid_token", "")
	p.e.Do("GET", "/public", of.access, nil).WantError(p.t, 401, "invalid_token", "")
	if after := len(p.e.Upstream.Requests()); after != before {
		p.t.Error("the upstream got a request")
	}
	wantClosed(p.t, p.e, func() edgetest.Answer { return withCookie(p.e, "GET", "/admin/x", p.token, of.cookie) })
	p.refresh(of).WantError(p.t, 401, "mfa_session_expired", "MFA session expired")

	// Where no gate is, a dead cookie is taken out and cleared.
	answer := withCookie(p.e, "GET", "/public", p.token, of.cookie)
	if answer.Status != 200 || answer.Header.Get("Set-Cookie") == "" {
		p.t.Errorf("a dead cookie: %d %v", answer.Status, answer.Header)
	}
	got := p.e.Upstream.Requests()
	if cookie := got[len(got)-1].Header.Get("Cookie"); cookie != "theme=dark; lang=en" {
		p.t.Errorf("the upstream gets the cookies %q", cookie)
	}
}

func (p *person) refresh(of pair) edgetest.Answer {
	p.t.Helper()
	return p.e.Do("POST", "/mfa/refresh", p.token, map[string]any{"refreshToken": of.refresh})
}

func TestWhatEndsASessionClosesTheGateAtOnce(t *testing.T) {
	for name, end := range map[string]func(p *person, other pair){
		"sign-out": func(p *person, _ pair) {
			p.e.Do("POST", "/mfa/sign-out", p.pair.access, nil).WantMessage(p.t, "Signed out")
		},
		"sign-out everywhere": func(p *person, other pair) {
			p.e.Do("POST", "/mfa/sign-out", other.access, map[string]any{"everywhere": true}).WantMessage(p.t, "Signed out")
		},
		"reset": func(p *person, other pair) {
			p.e.Do("POST", "/mfa/reset", other.access, map[string]any{}).WantMessage(p.t, "MFA reset successfully")
		},
		"disable": func(p *person, other pair) {
			p.e.Do("POST", "/mfa/disable", other.access, map[string]any{"mfaType": "GOOGLE_AUTH"}).WantMessage(p.t, "MFA method disabled")
		},
		"reset by an operator": func(p *person, _ pair) {
			if _, stderr, err := p.e.Command("mfa", "users", "reset", p.subject, "--yes", "--address", p.e.Admin()); err != nil {
				p.t.Fatalf("%v: %s", err, stderr)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := edgetest.New(t)
			e.Start(gated(adminGate))
			alice, bob := enrolled(t, e, "alice", nil), enrolled(t, e, "bob", nil)
			other := pairOf(t, alice.showCode(alice.code(0)))
			alice.pair.wantOpens(t, e, "alice", alice.token, "GOOGLE_AUTH", "mfa")
			other.wantOpens(t, e, "alice", alice.token, "GOOGLE_AUTH", "mfa")
			end(alice, other)
			alice.wantEnded(alice.pair)
			if name != "sign-out" {
				alice.wantEnded(other)
			} else {
				other.wantOpens(t, e, "alice", alice.token, "GOOGLE_AUTH", "mfa")
			}
			bob.pair.wantOpens(t, e, "bob", bob.token, "GOOGLE_AUTH", "mfa")

			// Nor does a restart bring it back.
			e.Kill()
			e.Start("")
			alice.wantEnded(alice.pair)
		})
	}
}

func TestARefreshPutsANewLoginIntoTheSameSession(t *testing.T) {
	e := edgetest.New(t)
	e.Start(gated(adminGate))
	alice := enrolled(t, e, "alice", nil)
	shownAt := func(p pair) string {
		e.Do("GET", "/admin/x", p.access, nil)
		got := e.Upstream.Requests()
		return got[len(got)-1].Header.Get("X-MFA-Auth-Time")
	}
	before := shownAt(alice.pair)
	alice.token = e.Token("alice", map[string]any{"jti": "a new login"})
	next := pairOf(t, alice.refresh(alice.pair))
	next.wantOpens(t, e, "alice", alice.token, "GOOGLE_AUTH", "mfa")
	if after := shownAt(next); after != before {
		t.Errorf("the second factor was shown at %s, now at %s", before, after)
	}
	// Two tabs refresh at once: both go on.
	second := pairOf(t, alice.refresh(alice.pair))
	second.wantOpens(t, e, "alice", alice.token, "GOOGLE_AUTH", "mfa")
	// Another person's bearer cannot use it.
	bob := enrolled(t, e, "bob", nil)
	bob.refresh(next).WantError(t, 401, "mfa_session_expired", "MFA session expired")
}

func TestASpentRefreshTokenThatComesBackLateEndsItsSession(t *testing.T) {
	t.Parallel() // it waits
	e := edgetest.New(t)
	e.Start(gated(adminGate))
	alice := enrolled(t, e, "alice", nil)
	next := pairOf(t, alice.refresh(alice.pair))
	// It is refused before that, once it has given out as many tokens as it may.
	edgetest.Eventually(t, 20*time.Second, "the spent token ends its session", func() bool {
		alice.refresh(alice.pair)
		return e.Do("GET", "/admin/x", next.access, nil).Status == 401
	})
	alice.wantEnded(next)
}

func TestAThiefWhoRefreshesAlongWithTheOwnerEndsTheSession(t *testing.T) {
	e := edgetest.New(t)
	e.Start(gated(adminGate))
	alice := enrolled(t, e, "alice", nil)
	thief := pairOf(t, alice.refresh(alice.pair))
	owner := pairOf(t, alice.refresh(alice.pair)) // within the grace
	if thief.refresh == owner.refresh {
		t.Fatal("both got the same token")
	}
	next := pairOf(t, alice.refresh(thief))
	next.wantOpens(t, e, "alice", alice.token, "GOOGLE_AUTH", "mfa")
	alice.refresh(owner).WantError(t, 401, "mfa_session_expired", "MFA session expired")
	alice.wantEnded(next)
	alice.wantEnded(owner)
	if !strings.Contains(e.Log(), `"event":"refresh_reused"`) {
		t.Error("it is not in the audit log")
	}
}
