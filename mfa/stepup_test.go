package mfa_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

// changes are all that change what protects the caller's own account. id is
// that of a factor.
func (f *fixture) changes(id string) map[string]func(mfa.Caller) error {
	ctx := f.t.Context()
	return map[string]func(mfa.Caller) error{
		"setup": func(c mfa.Caller) error {
			_, err := f.Setup(ctx, c, mfa.SetupRequest{Type: factor.TypePasskey})
			return err
		},
		"verify-setup": func(c mfa.Caller) error {
			return f.verifySetup(c, factor.TypePasskey, factor.Proof{})
		},
		"enable":  func(c mfa.Caller) error { return f.Enable(ctx, c, factor.TypeTOTP) },
		"disable": func(c mfa.Caller) error { return f.Disable(ctx, c, factor.TypeTOTP) },
		"primary": func(c mfa.Caller) error { return f.SetPrimary(ctx, c, factor.TypeTOTP) },
		"reset":   func(c mfa.Caller) error { return f.Reset(ctx, c, "", false) },
		"reset by name": func(c mfa.Caller) error {
			return f.Reset(ctx, c, c.Subject, false)
		},
		"backup codes": func(c mfa.Caller) error {
			_, err := f.ReplaceBackupCodes(ctx, c)
			return err
		},
		"rename": func(c mfa.Caller) error { return f.RenameCredential(ctx, c, id, "phone") },
		"remove": func(c mfa.Caller) error { return f.RemoveCredential(ctx, c, id) },
	}
}

func TestEveryChangeNeedsARecentSecondFactor(t *testing.T) {
	f := newFixture(t)
	other := f.enrolApp(bob)
	app := f.enrolApp(alice)
	f.enrolLink(app.caller, "alice@example.com")
	id := f.credentialID(alice, factor.TypeTOTP)
	old := app.caller
	f.advance(15 * time.Minute) // and the 30 s that enrolApp waits
	f.sendLink(alice)
	callers := map[string]mfa.Caller{
		"no session":             alice,
		"an old session":         old,
		"an unknown session":     {Issuer: alice.Issuer, Subject: alice.Subject, Session: "x"},
		"the session of another": {Issuer: alice.Issuer, Subject: alice.Subject, Session: other.caller.Session},
		"a mail session": f.as(alice)(f.VerifyLogin(t.Context(), alice, factor.TypeMagicLink,
			mfa.LoginProof{Token: f.mails.Token(t)})),
	}
	before := f.status(alice)
	for name, change := range f.changes(id) {
		for session, caller := range callers {
			t.Run(name+" with "+session, func(t *testing.T) { wantStepUp(t, change(caller)) })
		}
	}
	if after := f.status(alice); len(after.Methods) != len(before.Methods) || after.BackupCodes != before.BackupCodes {
		t.Errorf("changed from %+v to %+v", before, after)
	}
}

func TestARecentSecondFactorIsEnoughForAChange(t *testing.T) {
	for name := range newFixture(t).changes("") {
		f := newFixture(t)
		app := f.enrolApp(alice)
		f.advance(15*time.Minute - 30*time.Second)
		change := f.changes(f.credentialID(alice, factor.TypeTOTP))[name]
		err := change(app.caller)
		if name == "verify-setup" && errors.Is(err, mfa.ErrNoPendingSetup) {
			continue // past the step-up: nothing was begun
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAMailSessionIsEnoughForWhoHasMailAlone(t *testing.T) {
	f := newFixture(t)
	mail := f.enrolLink(alice, "alice@example.com")
	_, err := f.Setup(t.Context(), alice, mfa.SetupRequest{Type: factor.TypeTOTP})
	var stepUp *mfa.StepUpError
	if !errors.As(err, &stepUp) || stepUp.ACR != mfa.ACRMail {
		t.Errorf("without a session: %v", err)
	}
	secret := f.setupApp(mail)
	if err := f.confirmApp(mail, secret); err != nil {
		t.Fatal(err)
	}
	_, err = f.Setup(t.Context(), mail, mfa.SetupRequest{Type: factor.TypePasskey})
	wantStepUp(t, err)
}

func TestABackupCodeIsASecondFactorLikeTheOthers(t *testing.T) {
	f := newFixture(t)
	app := f.enrolApp(alice)
	me := f.as(alice)(f.VerifyLogin(t.Context(), alice, factor.TypeTOTP, mfa.LoginProof{Code: app.backupCodes[0]}))
	f.enrolPasskey(me, newDevice(t))
}

func TestEnablingAFactorVoidsTheSetupsThatWait(t *testing.T) {
	f := newFixture(t)
	app := f.enrolApp(alice)
	if err := f.Disable(t.Context(), app.caller, factor.TypeTOTP); err != nil {
		t.Fatal(err)
	}
	_, proof := f.setupPasskey(alice, newDevice(t))
	if err := f.Enable(t.Context(), alice, factor.TypeTOTP); err != nil {
		t.Fatal(err)
	}
	me := f.as(alice)(f.VerifyLogin(t.Context(), alice, factor.TypeTOTP, f.appProof(app.secret)))
	wantError(t, f.verifySetup(me, factor.TypePasskey, proof), mfa.ErrNoPendingSetup)
}

func TestADisabledFactorProvesNothing(t *testing.T) {
	f := newFixture(t)
	app := f.enrolApp(alice)
	device := newDevice(t)
	owner := f.enrolPasskey(app.caller, device)
	if err := f.Disable(t.Context(), owner, factor.TypeTOTP); err != nil {
		t.Fatal(err)
	}
	wantError(t, f.tryCode(alice, f.code(app.secret).Code), mfa.ErrWrongProof)
	answer := device.answer(t, f.challenge(alice), origin)
	me := f.as(alice)(f.VerifyLogin(t.Context(), alice, factor.TypePasskey, answer))
	if err := f.Disable(t.Context(), me, factor.TypePasskey); err != nil {
		t.Fatal(err)
	}
	wantError(t, f.tryCode(alice, app.backupCodes[0]), mfa.ErrWrongProof)
	if status := f.status(alice); len(status.Methods) != 0 || status.BackupCodes != 0 || status.Primary != "" {
		t.Errorf("status: %+v", status)
	}
}

func TestTheLastFactorTakesTheBackupCodesWithIt(t *testing.T) {
	f := newFixture(t)
	app := f.enrolApp(alice)
	device := newDevice(t)
	me := f.enrolPasskey(app.caller, device)
	if err := f.RemoveCredential(t.Context(), me, f.credentialID(me, factor.TypeTOTP)); err != nil {
		t.Fatal(err)
	}
	if left := f.status(alice).BackupCodes; left != 10 {
		t.Errorf("%d codes are left beside a passkey", left)
	}
	if err := f.RemoveCredential(t.Context(), me, f.credentialID(me, factor.TypePasskey)); err != nil {
		t.Fatal(err)
	}
	if left := f.status(alice).BackupCodes; left != 0 {
		t.Errorf("%d codes are left without a factor", left)
	}
	wantError(t, f.tryCode(alice, app.backupCodes[0]), mfa.ErrWrongProof)

	f.enrolPasskey(bob, device) // its credential is free again
}

func TestRenamingNeedsANameThatCanBeShown(t *testing.T) {
	f := newFixture(t)
	me := f.enrolApp(alice).caller
	id := f.credentialID(me, factor.TypeTOTP)
	for _, bad := range []string{"", " ", " phone", "a\nb", strings.Repeat("a", 65), "\xff"} {
		wantError(t, f.RenameCredential(t.Context(), me, id, bad), mfa.ErrBadRequest)
	}
	wantError(t, f.RenameCredential(t.Context(), me, "x", "phone"), mfa.ErrNoCredential)
	if err := f.RenameCredential(t.Context(), me, id, "Alice's phone"); err != nil {
		t.Fatal(err)
	}
	all, err := f.Credentials(t.Context(), me)
	if err != nil || len(all) != 1 || all[0].Name != "Alice's phone" || !all[0].Enabled {
		t.Errorf("credentials: %+v, %v", all, err)
	}
}
