package mfa_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

// redeem completes the login of a link that was approved elsewhere.
func (f *fixture) redeem(caller mfa.Caller, id string) error {
	_, err := f.VerifyLogin(f.t.Context(), caller, factor.TypeMagicLink, mfa.LoginProof{Link: id})
	return err
}

// byToken completes a login by the token of its link.
func (f *fixture) byToken(caller mfa.Caller, token string) error {
	_, err := f.VerifyLogin(f.t.Context(), caller, factor.TypeMagicLink, mfa.LoginProof{Token: token})
	return err
}

func TestAnApprovedLinkCompletesTheLoginThatAskedForItAndNoOther(t *testing.T) {
	f := newFixture(t)
	f.enrolLink(alice, "alice@example.com")
	f.enrolLink(bob, "bob@example.com")
	thief := f.sendLink(alice) // by the same access token
	asked := f.sendLink(alice)
	token := f.mails.Token(t)
	if asked.Number < 10 || asked.Number > 99 || asked.ID == "" || asked.ID == thief.ID {
		t.Errorf("sent %+v", asked)
	}
	wantError(t, f.redeem(alice, asked.ID), mfa.ErrLinkPending)
	if err := f.approve(token, asked.Number); err != nil {
		t.Fatal(err)
	}
	wantError(t, f.redeem(alice, thief.ID), mfa.ErrLinkPending)
	wantError(t, f.redeem(bob, asked.ID), mfa.ErrWrongProof)
	wantError(t, f.redeem(alice, "x"), mfa.ErrWrongProof)
	if err := f.redeem(alice, asked.ID); err != nil {
		t.Fatal(err)
	}
	wantError(t, f.redeem(alice, asked.ID), mfa.ErrWrongProof)
	wantError(t, f.byToken(alice, token), mfa.ErrWrongProof)
}

func TestAnApprovalBeginsNoSession(t *testing.T) {
	f := newFixture(t)
	f.setup(alice, mfa.SetupRequest{Type: factor.TypeMagicLink, Email: "alice@example.com"})
	if err := f.activate(f.mails.Token(t)); err != nil {
		t.Fatal(err)
	}
	sent := f.sendLink(alice)
	if err := f.approve(f.mails.Token(t), sent.Number); err != nil {
		t.Fatal(err)
	}
	a, err := f.Account(t.Context(), alice.Issuer, alice.Subject)
	if err != nil || len(a.Sessions) != 0 {
		t.Errorf("sessions: %v, %v", a.Sessions, err)
	}
}

func TestTheThirdWrongNumberKillsALink(t *testing.T) {
	f := newFixture(t)
	f.enrolLink(alice, "alice@example.com")
	forgiven := f.sendLink(alice)
	token := f.mails.Token(t)
	for range 5 {
		wantError(t, f.approve(token, 0), mfa.ErrWrongProof) // none entered
	}
	for range 2 {
		wantError(t, f.approve(token, forgiven.Number+1), mfa.ErrWrongProof)
	}
	if err := f.approve(token, forgiven.Number); err != nil {
		t.Errorf("after two wrong numbers: %v", err)
	}
	killed := f.sendLink(alice)
	token = f.mails.Token(t)
	for range 3 {
		wantError(t, f.approve(token, killed.Number+1), mfa.ErrWrongProof)
	}
	if err := f.approve(token, killed.Number); err == nil {
		t.Error("approved after three wrong numbers")
	}
	wantError(t, f.redeem(alice, killed.ID), mfa.ErrWrongProof)
	wantError(t, f.byToken(alice, token), mfa.ErrWrongProof)
	if err := f.redeem(alice, forgiven.ID); err != nil {
		t.Errorf("the other link: %v", err)
	}
}

func TestInspectingALinkTellsWhoAskedAndSpendsNothing(t *testing.T) {
	f := newFixture(t)
	caller := alice
	caller.Client = mfa.Client{IP: "192.0.2.7", UserAgent: "a browser"}
	inspect := func(purpose string, expires time.Time) {
		t.Helper()
		want := mfa.LinkInfo{Purpose: purpose, RequestedAt: f.now, Client: caller.Client, ExpiresAt: expires}
		for range 3 {
			if got, err := f.InspectLink(t.Context(), f.mails.Token(t)); err != nil || got != want {
				t.Errorf("told %+v, %v; want %+v", got, err, want)
			}
		}
	}
	setup := f.setup(caller, mfa.SetupRequest{Type: factor.TypeMagicLink, Email: "alice@example.com"})
	inspect(mfa.PurposeSetup, setup.ExpiresAt)
	if err := f.activate(f.mails.Token(t)); err != nil {
		t.Fatal(err)
	}
	_, err := f.InspectLink(t.Context(), f.mails.Token(t))
	wantError(t, err, mfa.ErrWrongProof)

	sent := f.sendLink(caller)
	inspect(mfa.PurposeLogin, sent.ExpiresAt)
	if err := f.approve(f.mails.Token(t), sent.Number); err != nil {
		t.Fatal(err)
	}
	_, err = f.InspectLink(t.Context(), f.mails.Token(t))
	wantError(t, err, mfa.ErrWrongProof)
}

func TestADeniedLinkIsDead(t *testing.T) {
	f := newFixture(t)
	deny := func() error {
		return f.DenyLink(t.Context(), mfa.OpenedLink{Token: f.mails.Token(t)})
	}
	f.setup(alice, mfa.SetupRequest{Type: factor.TypeMagicLink, Email: "thief@example.com"})
	if err := deny(); err != nil {
		t.Fatal(err)
	}
	wantError(t, deny(), mfa.ErrWrongProof)
	wantError(t, f.activate(f.mails.Token(t)), mfa.ErrNoPendingSetup)

	f.enrolLink(alice, "alice@example.com")
	for _, approved := range []bool{false, true} {
		sent := f.sendLink(alice)
		if approved {
			if err := f.approve(f.mails.Token(t), sent.Number); err != nil {
				t.Fatal(err)
			}
		}
		if err := deny(); err != nil {
			t.Fatal(err)
		}
		if err := f.approve(f.mails.Token(t), sent.Number); err == nil {
			t.Error("approved after it was denied")
		}
		wantError(t, f.redeem(alice, sent.ID), mfa.ErrWrongProof)
		wantError(t, f.byToken(alice, f.mails.Token(t)), mfa.ErrWrongProof)
	}
	if n := len(slices.DeleteFunc(f.events.kinds(), func(k mfa.EventKind) bool { return k != mfa.EventLinkDenied })); n != 3 {
		t.Errorf("the journal was told of %d denials", n)
	}
}

func TestALoginLinkExpires(t *testing.T) {
	f := newFixture(t)
	f.enrolLink(alice, "alice@example.com")
	sent := f.sendLink(alice)
	token := f.mails.Token(t)
	if err := f.approve(token, sent.Number); err != nil {
		t.Fatal(err)
	}
	f.advance(sent.ExpiresAt.Sub(f.now))
	wantError(t, f.redeem(alice, sent.ID), mfa.ErrWrongProof)
	wantError(t, f.byToken(alice, token), mfa.ErrWrongProof)
}

func TestALinkGoesToWhoHasAMailboxInUse(t *testing.T) {
	f := newFixture(t)
	_, err := f.SendLink(t.Context(), alice)
	wantError(t, err, mfa.ErrNotEnrolled)

	f.setup(alice, mfa.SetupRequest{Type: factor.TypeMagicLink, Email: "alice@example.com"})
	old := f.mails.Token(t)
	again := f.sendLink(alice)
	if again.ID != "" || f.mails.Token(t) == old {
		t.Errorf("a pending setup's mail again: %+v", again)
	}
	wantError(t, f.activate(old), mfa.ErrWrongProof)
	if err := f.activate(f.mails.Token(t)); err != nil {
		t.Fatal(err)
	}
	sent := f.sendLink(alice)
	token := f.mails.Token(t)
	me := f.as(alice)(f.VerifyLogin(t.Context(), alice, factor.TypeMagicLink, mfa.LoginProof{Token: token}))
	waiting := f.sendLink(alice)
	if err := f.Disable(t.Context(), me, factor.TypeMagicLink); err != nil {
		t.Fatal(err)
	}
	_, err = f.SendLink(t.Context(), alice)
	wantError(t, err, mfa.ErrNotEnrolled)
	for _, id := range []string{sent.ID, waiting.ID} {
		wantError(t, f.redeem(alice, id), mfa.ErrWrongProof)
	}
}

func TestLoginMailIsLimited(t *testing.T) {
	f := newFixture(t)
	f.enrolLink(alice, "alice@example.com") // the first mail
	for range 4 {
		f.sendLink(alice)
	}
	_, err := f.SendLink(t.Context(), alice)
	var limit *mfa.RateLimitError
	if !errors.As(err, &limit) || limit.RetryAfter != 15*time.Minute {
		t.Errorf("got %v, want a limit for 15 minutes", err)
	}
	f.advance(15 * time.Minute)
	f.sendLink(alice)
}
