package mfa_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

// failLogins makes n logins by a wrong code.
func (f *fixture) failLogins(caller mfa.Caller, secret string, n int) {
	f.t.Helper()
	for range n {
		err := f.tryCode(caller, f.wrongCode(secret).Code)
		var locked *mfa.LockedError
		if !errors.Is(err, mfa.ErrWrongProof) || errors.As(err, &locked) {
			f.t.Errorf("got %v, want a wrong proof", err)
		}
	}
}

func TestTheFifthWrongCodeLocksCodesRightAndWrong(t *testing.T) {
	f := newFixture(t)
	app := f.enrolApp(alice)
	other := f.enrolApp(bob)
	f.failLogins(alice, app.secret, 4)
	wantError(t, f.tryCode(alice, "AAAA-BBBB-CCCC"), mfa.ErrWrongProof) // a backup code counts too
	locked := func(want time.Duration) {
		t.Helper()
		wantLocked(t, f.tryCode(alice, f.wrongCode(app.secret).Code), want)
		wantLocked(t, f.tryCode(alice, f.code(app.secret).Code), want)
		wantLocked(t, f.tryCode(alice, app.backupCodes[0]), want)
	}
	locked(15 * time.Minute)
	f.Service = f.node()
	f.advance(10 * time.Minute)
	locked(5 * time.Minute)
	if err := f.tryCode(bob, other.backupCodes[0]); err != nil {
		t.Errorf("another person: %v", err)
	}
	f.advance(5 * time.Minute)
	if err := f.tryCode(alice, f.code(app.secret).Code); err != nil {
		t.Errorf("after the lockout: %v", err)
	}
}

func TestFourWrongCodesAreForgottenWithARightOne(t *testing.T) {
	f := newFixture(t)
	app := f.enrolApp(alice)
	f.failLogins(alice, app.secret, 4)
	f.login(alice, factor.TypeTOTP, f.appProof(app.secret))
	f.failLogins(alice, app.secret, 4)
	f.advance(30 * time.Second)
	f.login(alice, factor.TypeTOTP, f.appProof(app.secret))
}

func TestAReplayedCodeIsNoGuess(t *testing.T) {
	f := newFixture(t)
	app := f.enrolApp(alice)
	code := f.appProof(app.secret)
	f.login(alice, factor.TypeTOTP, code)
	f.login(alice, factor.TypeTOTP, mfa.LoginProof{Code: app.backupCodes[0]})
	for range 10 {
		wantError(t, f.tryCode(alice, code.Code), factor.ErrSpentProof)
		wantError(t, f.tryCode(alice, app.backupCodes[0]), factor.ErrSpentProof)
	}
	f.advance(30 * time.Second)
	f.login(alice, factor.TypeTOTP, f.appProof(app.secret))
}

func TestWhatCannotBeACodeIsNoGuess(t *testing.T) {
	f := newFixture(t)
	app := f.enrolApp(alice)
	for range 3 {
		for _, code := range []string{"12345", "1234567", "12a456", "AAAA-BBBB-CCC", "AAAA-BBBB-CCCCC", "AAAA-BBBB-CCC!", "password", "١٢٣"} {
			wantError(t, f.tryCode(alice, code), factor.ErrMalformedProof)
		}
	}
	f.failLogins(alice, app.secret, 4)
	wantError(t, f.tryCode(alice, "12345"), factor.ErrMalformedProof)
	f.failLogins(alice, app.secret, 1)
	// While codes are locked nothing is said of their form.
	wantLocked(t, f.tryCode(alice, "12345"), 15*time.Minute)
}

func TestLockoutsDoubleAndAHundredWrongCodesSwitchCodesOff(t *testing.T) {
	for name, mend := range map[string]func(*fixture) error{
		"unlock": func(f *fixture) error { return f.Unlock(t.Context(), alice.Issuer, alice.Subject) },
		"reset":  func(f *fixture) error { return f.ResetAccount(t.Context(), alice.Issuer, alice.Subject, false) },
	} {
		f := newFixture(t)
		app := f.enrolApp(alice)
		device := newDevice(t)
		f.enrolPasskey(app.caller, device)
		length := 15 * time.Minute
		for range 19 {
			f.failLogins(alice, app.secret, 5)
			wantLocked(t, f.tryCode(alice, f.code(app.secret).Code), length)
			f.advance(length)
			length = min(2*length, 24*time.Hour)
		}
		f.failLogins(alice, app.secret, 5)
		f.advance(365 * 24 * time.Hour)
		err := f.tryCode(alice, f.code(app.secret).Code)
		var locked *mfa.LockedError
		if !errors.As(err, &locked) || !locked.Off {
			t.Fatalf("after a hundred wrong codes: %v", err)
		}
		if a, err := f.Account(t.Context(), alice.Issuer, alice.Subject); err != nil || !a.CodesOff {
			t.Errorf("the operator sees %+v, %v", a, err)
		}
		f.login(alice, factor.TypePasskey, device.answer(t, f.challenge(alice), origin))
		if err := f.tryCode(alice, app.backupCodes[0]); !errors.As(err, &locked) || !locked.Off {
			t.Errorf("a backup code after a login by passkey: %v", err)
		}

		if err := mend(f); err != nil {
			t.Fatal(err)
		}
		if name == "reset" {
			app = f.enrolApp(alice)
		}
		if err := f.tryCode(alice, f.code(app.secret).Code); err != nil {
			t.Errorf("after %s: %v", name, err)
		}
	}
}

func TestPasskeysStayUsableWhileCodesAreLocked(t *testing.T) {
	f := newFixture(t)
	app := f.enrolApp(alice)
	device := newDevice(t)
	f.enrolPasskey(app.caller, device)
	f.failLogins(alice, app.secret, 5)
	f.login(alice, factor.TypePasskey, device.answer(t, f.challenge(alice), origin))
	wantLocked(t, f.tryCode(alice, f.code(app.secret).Code), 15*time.Minute)
}

func TestALinkThatIsNotApprovedYetIsNoWrongCode(t *testing.T) {
	f := newFixture(t)
	app := f.enrolApp(alice)
	f.enrolLink(app.caller, "alice@example.com")
	sent := f.sendLink(alice)
	for range 20 {
		_, err := f.VerifyLogin(t.Context(), alice, factor.TypeMagicLink, mfa.LoginProof{Link: sent.ID})
		wantError(t, err, mfa.ErrLinkPending)
	}
	f.login(alice, factor.TypeTOTP, f.appProof(app.secret))
}

func TestTheJournalTellsOfLoginsWithoutTheirSecrets(t *testing.T) {
	f := newFixture(t)
	app := f.enrolApp(alice)
	code := f.appProof(app.secret)
	g := f.login(alice, factor.TypeTOTP, code)
	wantError(t, f.tryCode(alice, code.Code), factor.ErrSpentProof)
	wrong := f.wrongCode(app.secret).Code
	f.failLogins(alice, app.secret, 5)
	wantLocked(t, f.tryCode(alice, wrong), 15*time.Minute)
	if err := f.Reset(t.Context(), app.caller, "", false); err != nil {
		t.Fatal(err)
	}
	want := []mfa.EventKind{mfa.EventSetupBegun, mfa.EventEnrolled, mfa.EventVerified, mfa.EventFailed,
		mfa.EventFailed, mfa.EventFailed, mfa.EventFailed, mfa.EventFailed, mfa.EventFailed, mfa.EventLocked,
		mfa.EventFailed, mfa.EventReset}
	if got := f.events.kinds(); !slices.Equal(got, want) {
		t.Errorf("events: %v", got)
	}
	f.events.wantNone(t, append(app.backupCodes, app.secret, code.Code, wrong, g.Assertion, g.Refresh, app.caller.Session)...)
}
