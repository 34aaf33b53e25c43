package mfa_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

// refresh spends a refresh token that is expected to be good.
func (f *fixture) refresh(caller mfa.Caller, token string) *mfa.Grant {
	f.t.Helper()
	g, err := f.Refresh(f.t.Context(), caller, token)
	if err != nil {
		f.t.Fatal(err)
	}
	return g
}

func (f *fixture) wantNoRefresh(caller mfa.Caller, token string) {
	f.t.Helper()
	_, err := f.Refresh(f.t.Context(), caller, token)
	wantError(f.t, err, mfa.ErrSessionExpired)
}

func TestARefreshPutsTodaysBearerIntoAPairOfTheSameSession(t *testing.T) {
	f := newFixture(t)
	first := f.enrolApp(alice).grant
	f.advance(50 * time.Minute)
	caller := alice
	caller.Token = "todays.access.token"
	second := f.refresh(caller, first.Refresh)
	was, is := f.open(first.Assertion), f.open(second.Assertion)
	if is.Bearer != caller.Token || is.Session != was.Session || !is.AuthTime.Equal(was.AuthTime) ||
		is.ACR != was.ACR || !slices.Equal(is.AMR, was.AMR) {
		t.Errorf("shown %+v, was %+v", is, was)
	}
	if !is.ExpiresAt.Equal(f.now.Truncate(time.Second).Add(mfa.DefaultTokenLifetime)) || second.Refresh == first.Refresh {
		t.Errorf("the new pair: %+v", second)
	}
}

func TestASpentRefreshTokenIsHonouredForTenSecondsAndThenEndsItsSession(t *testing.T) {
	f := newFixture(t)
	first := f.enrolApp(alice).grant
	second := f.refresh(alice, first.Refresh)
	f.advance(10 * time.Second)
	if again := f.refresh(alice, first.Refresh); again.Refresh == second.Refresh {
		t.Error("a second tab got the same successor")
	}
	f.advance(time.Second)
	f.wantNoRefresh(alice, first.Refresh)
	if f.live(first.Assertion) || f.live(second.Assertion) {
		t.Error("the session of a stolen token goes on")
	}
	f.wantNoRefresh(alice, second.Refresh)
	if !slices.Contains(f.events.kinds(), mfa.EventRefreshReused) {
		t.Error("the journal was not told")
	}
}

func TestAForgedRefreshTokenEndsNothing(t *testing.T) {
	f := newFixture(t)
	first := f.enrolApp(alice).grant
	f.enrolApp(bob)
	second := f.refresh(alice, first.Refresh)
	f.advance(time.Minute)
	id, rest, _ := strings.Cut(second.Refresh, ".")
	_, mac, _ := strings.Cut(rest, ".")
	for _, forged := range []string{"", ".", "..", id, id + ".1." + mac, id + ".9." + mac, id + ".1.", second.Refresh + "A",
		"x" + second.Refresh, strings.Repeat("a", 1<<16), second.Assertion} {
		f.wantNoRefresh(alice, forged)
	}
	f.wantNoRefresh(bob, second.Refresh)
	f.wantNoRefresh(bob, first.Refresh)
	if !f.live(second.Assertion) {
		t.Error("a forged token ended the session")
	}
	f.refresh(alice, second.Refresh)
}

func TestASessionEndsWithItsLifetimeHoweverOftenItIsRefreshed(t *testing.T) {
	f := newFixture(t, func(c *mfa.Config) { c.SessionLifetime = 3 * time.Hour })
	end := f.now.Add(3 * time.Hour)
	g := f.enrolApp(alice).grant
	for range 3 {
		f.advance(50 * time.Minute)
		g = f.refresh(alice, g.Refresh)
	}
	if !g.ExpiresAt.Equal(end) {
		t.Errorf("the last assertion runs out at %v, the session at %v", g.ExpiresAt, end)
	}
	shown := f.open(g.Assertion)
	f.advance(end.Sub(f.now) - time.Second)
	if !f.live(g.Assertion) {
		t.Error("the session ended before its time")
	}
	f.advance(time.Second)
	if live, err := f.Live(t.Context(), shown); live || err != nil {
		t.Error("the session goes on", err)
	}
	_, err := f.OpenAssertion(t.Context(), g.Assertion)
	wantError(t, err, mfa.ErrInvalidAssertion)
	f.wantNoRefresh(alice, g.Refresh)
}

func TestWhatEndsASessionEndsItAtOnce(t *testing.T) {
	for name, row := range map[string]struct {
		end        func(*fixture, mfa.Caller) error
		endsOthers bool // also the session that was begun by a backup code
	}{
		"sign-out": {func(f *fixture, c mfa.Caller) error { return f.signOut(c, false) }, false},
		"sign-out everywhere": {func(f *fixture, c mfa.Caller) error {
			c.Session = ""
			return f.signOut(c, true)
		}, true},
		"reset":   {func(f *fixture, c mfa.Caller) error { return f.Reset(t.Context(), c, "", false) }, true},
		"disable": {func(f *fixture, c mfa.Caller) error { return f.Disable(t.Context(), c, factor.TypeTOTP) }, true},
		"removal": {func(f *fixture, c mfa.Caller) error {
			return f.RemoveCredential(t.Context(), c, f.credentialID(c, factor.TypeTOTP))
		}, false},
		"delete": {func(f *fixture, c mfa.Caller) error { return f.Delete(t.Context(), c.Issuer, c.Subject) }, true},
	} {
		f := newFixture(t)
		app := f.enrolApp(alice)
		f.enrolLink(app.caller, "alice@example.com") // so that the app is not the last factor
		other := f.login(alice, factor.TypeTOTP, mfa.LoginProof{Code: app.backupCodes[0]})
		shown, second := f.open(app.grant.Assertion), f.open(other.Assertion)
		live := func(s *mfa.Service, shown *mfa.Shown) bool {
			live, err := s.Live(t.Context(), shown)
			if err != nil {
				t.Fatal(err)
			}
			return live
		}
		if !live(f.Service, shown) || !live(f.Service, second) {
			t.Fatalf("%s: not live before", name)
		}
		if err := row.end(f, app.caller); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, node := range []*mfa.Service{f.Service, f.node()} {
			if live(node, shown) {
				t.Errorf("%s: the session goes on", name)
			}
			if live(node, second) == row.endsOthers {
				t.Errorf("%s: the other session: ended %v", name, !row.endsOthers)
			}
		}
		f.wantNoRefresh(alice, app.grant.Refresh)
		status := f.status(app.caller)
		if status.Verified {
			t.Errorf("%s: the status calls the session verified", name)
		}
	}
}

func TestNodesOverOneStoreOpenEachOthersAssertions(t *testing.T) {
	f := newFixture(t)
	first, second := f.node(), f.node()
	g := f.enrolApp(alice).grant
	for _, node := range []*mfa.Service{first, second} {
		shown, err := node.OpenAssertion(t.Context(), g.Assertion)
		if err != nil {
			t.Fatal(err)
		}
		if live, err := node.Live(t.Context(), shown); err != nil || !live {
			t.Error(live, err)
		}
		if _, err := node.Refresh(t.Context(), alice, g.Refresh); err != nil {
			t.Error(err)
		}
	}
	if !mfa.IsAssertion(g.Assertion) || !mfa.IsAssertion(g.Cookie) || mfa.IsAssertion(g.Refresh) {
		t.Error("assertions are not told from other tokens")
	}
	elsewhere := newFixture(t)
	_, err := elsewhere.OpenAssertion(t.Context(), g.Assertion)
	wantError(t, err, mfa.ErrInvalidAssertion)
	for _, forged := range []string{"", "a.b.c", g.Assertion + "A", g.Assertion[:len(g.Assertion)-4]} {
		_, err := first.OpenAssertion(t.Context(), forged)
		wantError(t, err, mfa.ErrInvalidAssertion)
	}
}

func TestARotatedSigningKeyKeepsOldAssertionsGoodAndARevokedOneDoesNot(t *testing.T) {
	f := newFixture(t)
	other := f.node()
	old := f.enrolApp(alice).grant
	if err := f.RotateSigningKey(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	f.advance(mfa.SigningOverlap)
	renewed, err := other.Refresh(t.Context(), alice, old.Refresh)
	if err != nil {
		t.Fatal(err)
	}
	header := func(g *mfa.Grant) string {
		h, _, _ := strings.Cut(g.Assertion, ".")
		return h
	}
	if header(renewed) == header(old) {
		t.Error("the old key signs on")
	}
	if !f.live(old.Assertion) || !f.live(renewed.Assertion) {
		t.Error("an assertion ended with the rotation")
	}
	if err := other.RotateSigningKey(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	for _, g := range []*mfa.Grant{old, renewed} {
		_, err := f.OpenAssertion(t.Context(), g.Assertion)
		wantError(t, err, mfa.ErrInvalidAssertion)
	}
	if !f.live(f.refresh(alice, renewed.Refresh).Assertion) {
		t.Error("the session ended with its key")
	}
}

func TestThirtyTwoSessionsGoOnAndTheOldestMakesWay(t *testing.T) {
	f := newFixture(t)
	app := f.enrolApp(alice)
	var grants []*mfa.Grant
	for range 32 {
		grants = append(grants, f.login(alice, factor.TypeTOTP, f.appProof(app.secret)))
		f.advance(30 * time.Second)
	}
	if f.live(app.grant.Assertion) {
		t.Error("the oldest session goes on")
	}
	for n, g := range grants {
		if !f.live(g.Assertion) {
			t.Errorf("session %d ended", n)
		}
	}
}

func TestASessionIsNotLongerThanItsAssertions(t *testing.T) {
	for _, row := range []struct {
		token, session         time.Duration
		wantToken, wantSession time.Duration
		bad                    bool
	}{
		{0, 0, time.Hour, 12 * time.Hour, false},
		{24 * time.Hour, 0, 24 * time.Hour, 24 * time.Hour, false},
		{2 * time.Hour, time.Hour, 0, 0, true},
		{-time.Second, 0, 0, 0, true},
		{time.Hour, 91 * 24 * time.Hour, 0, 0, true},
	} {
		token, session, err := mfa.Lifetimes(row.token, row.session)
		if (err != nil) != row.bad || token != row.wantToken || session != row.wantSession {
			t.Errorf("%v and %v: %v, %v, %v", row.token, row.session, token, session, err)
		}
	}
	f := newFixture(t)
	f.config.AssertionIssuer = ""
	if _, err := mfa.New(f.config); err == nil || errors.Is(err, mfa.ErrInvalidAssertion) {
		t.Errorf("without an issuer: %v", err)
	}
}
