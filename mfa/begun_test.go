package mfa_test

import (
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

// secondSession logs the app's owner in once more, as on another device.
func (f *fixture) secondSession(app enrolled) (mfa.Caller, *mfa.Grant) {
	f.t.Helper()
	grant := f.login(alice, factor.TypeTOTP, f.appProof(app.secret))
	f.advance(30 * time.Second)
	return f.as(alice)(grant, nil), grant
}

// signOut is SignOut for who does not count.
func (f *fixture) signOut(caller mfa.Caller, everywhere bool) error {
	_, err := f.SignOut(f.t.Context(), caller, everywhere)
	return err
}

func TestASetupEndsWithTheSessionThatBeganIt(t *testing.T) {
	for name, end := range map[string]func(f *fixture, app enrolled, thief mfa.Caller, stolen *mfa.Grant) error{
		"sign-out of that session": func(f *fixture, _ enrolled, thief mfa.Caller, _ *mfa.Grant) error {
			return f.signOut(thief, false)
		},
		"sign-out everywhere": func(f *fixture, _ enrolled, _ mfa.Caller, _ *mfa.Grant) error {
			return f.signOut(alice, true)
		},
		"disable": func(f *fixture, app enrolled, _ mfa.Caller, _ *mfa.Grant) error {
			return f.Disable(f.t.Context(), app.caller, factor.TypeTOTP)
		},
		"reset": func(f *fixture, app enrolled, _ mfa.Caller, _ *mfa.Grant) error {
			return f.Reset(f.t.Context(), app.caller, "", false)
		},
		"reset by the operator": func(f *fixture, _ enrolled, _ mfa.Caller, _ *mfa.Grant) error {
			return f.ResetAccount(f.t.Context(), alice.Issuer, alice.Subject, false)
		},
		"removal of a credential": func(f *fixture, app enrolled, _ mfa.Caller, _ *mfa.Grant) error {
			return f.RemoveCredential(f.t.Context(), app.caller, f.credentialID(alice, factor.TypeTOTP))
		},
		"reuse of a refresh token": func(f *fixture, app enrolled, _ mfa.Caller, _ *mfa.Grant) error {
			f.refresh(alice, app.grant.Refresh)
			f.advance(time.Minute)
			f.wantNoRefresh(alice, app.grant.Refresh)
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			app := f.enrolApp(alice)
			thief, stolen := f.secondSession(app)
			f.setup(thief, mfa.SetupRequest{Type: factor.TypeMagicLink, Email: "thief@example.net"})
			token := f.mails.Token(t)
			if err := end(f, app, thief, stolen); err != nil {
				t.Fatal(err)
			}
			wantError(t, f.activate(token), mfa.ErrNoPendingSetup)
			_, err := f.InspectLink(t.Context(), token)
			wantError(t, err, mfa.ErrNoPendingSetup)
			for _, method := range f.status(alice).Methods {
				if method == factor.TypeMagicLink {
					t.Error("the thief's address is a factor now")
				}
			}
		})
	}
}

func TestASetupSurvivesTheEndOfAnotherSession(t *testing.T) {
	f := newFixture(t)
	app := f.enrolApp(alice)
	other, _ := f.secondSession(app)
	f.setup(app.caller, mfa.SetupRequest{Type: factor.TypeMagicLink, Email: "alice@example.com"})
	if err := f.signOut(other, false); err != nil {
		t.Fatal(err)
	}
	if err := f.activate(f.mails.Token(t)); err != nil {
		t.Error(err)
	}
}

func TestASetupBegunByTheAccessTokenAloneEndsWithEverything(t *testing.T) {
	for name, end := range map[string]func(f *fixture) error{
		"sign-out everywhere":         func(f *fixture) error { return f.signOut(alice, true) },
		"reset":                       func(f *fixture) error { return f.Reset(f.t.Context(), alice, "", false) },
		"another factor is confirmed": func(f *fixture) error { f.enrolApp(alice); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.setup(alice, mfa.SetupRequest{Type: factor.TypeMagicLink, Email: "thief@example.net"})
			if err := end(f); err != nil {
				t.Fatal(err)
			}
			wantError(t, f.activate(f.mails.Token(t)), mfa.ErrNoPendingSetup)
		})
	}
}

func TestALoginLinkDiesWithItsAddressAndWithTheSessionThatAsked(t *testing.T) {
	mailed := func(f *fixture, caller mfa.Caller) (*mfa.SentLink, string) {
		sent := f.sendLink(caller)
		return sent, f.mails.Token(f.t)
	}
	for name, end := range map[string]func(f *fixture, owner mfa.Caller){
		"the address is replaced": func(f *fixture, owner mfa.Caller) {
			f.setup(owner, mfa.SetupRequest{Type: factor.TypeMagicLink, Email: "new@example.com"})
			if err := f.activate(f.mails.Token(f.t)); err != nil {
				f.t.Fatal(err)
			}
		},
		"sign-out everywhere": func(f *fixture, owner mfa.Caller) {
			if err := f.signOut(owner, true); err != nil {
				f.t.Fatal(err)
			}
		},
		"sign-out of the session that asked": func(f *fixture, owner mfa.Caller) {
			if err := f.signOut(owner, false); err != nil {
				f.t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			owner := f.enrolLink(alice, "old@example.com")
			sent, token := mailed(f, owner)
			end(f, owner)
			wantError(t, f.approve(token, sent.Number), mfa.ErrNoPendingSetup)
			_, err := f.VerifyLogin(t.Context(), alice, factor.TypeMagicLink, mfa.LoginProof{Token: token})
			wantError(t, err, mfa.ErrWrongProof)
			_, err = f.VerifyLogin(t.Context(), alice, factor.TypeMagicLink, mfa.LoginProof{Link: sent.ID})
			wantError(t, err, mfa.ErrWrongProof)
		})
	}
}

func TestAPasskeyChallengeEndsWithTheSessionThatAskedForIt(t *testing.T) {
	f := newFixture(t)
	device := newDevice(t)
	owner := f.enrolPasskey(alice, device)
	answer := device.answer(t, f.challenge(owner), origin)
	if err := f.signOut(owner, false); err != nil {
		t.Fatal(err)
	}
	_, err := f.VerifyLogin(t.Context(), alice, factor.TypePasskey, answer)
	wantError(t, err, mfa.ErrWrongProof)
}
