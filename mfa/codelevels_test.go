package mfa_test

import (
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/totp"
)

// acr is the level of a grant.
func (f *fixture) acr(g *mfa.Grant) string {
	f.t.Helper()
	return f.open(g.Assertion).ACR
}

// byCode logs in by a backup code.
func (f *fixture) byCode(caller mfa.Caller, code string) *mfa.Grant {
	f.t.Helper()
	return f.login(caller, factor.TypeTOTP, mfa.LoginProof{Code: code})
}

func TestCodesOfASetupThatSomebodyElseConfirmsAreVoid(t *testing.T) {
	f := newFixture(t)
	shown := f.setup(alice, mfa.SetupRequest{Type: factor.TypeMagicLink, Email: "alice@example.com"}).BackupCodes
	if len(shown) == 0 {
		t.Fatal("no codes came with the setup")
	}
	if err := f.activate(f.mails.Token(t)); err != nil { // the owner, who knows nothing of the thief
		t.Fatal(err)
	}
	wantError(t, f.tryCode(alice, shown[0]), mfa.ErrWrongProof)
	if status := f.status(alice); status.BackupCodes != 0 || status.BackupCodesACR != "" || len(status.Methods) != 1 {
		t.Errorf("status: %+v", status)
	}
}

func TestCodesOfASetupThatAnotherSessionConfirmsAreVoid(t *testing.T) {
	f := newFixture(t)
	app := f.enrolApp(alice)
	other, _ := f.secondSession(app)
	setup := f.setup(app.caller, mfa.SetupRequest{Type: factor.TypeTOTP})
	grant, err := f.VerifySetup(t.Context(), other, factor.TypeTOTP, f.code(setup.Offer.(totp.Enrolment).Secret))
	if err != nil || !grant.CodesVoid {
		t.Fatalf("granted %+v, %v", grant, err)
	}
	wantError(t, f.tryCode(alice, setup.BackupCodes[0]), mfa.ErrWrongProof)
	if err := f.tryCode(alice, app.backupCodes[0]); err != nil {
		t.Errorf("the codes before: %v", err)
	}
}

func TestCodesThatAMailBoughtAreWorthAMail(t *testing.T) {
	t.Run("with the setup of a magic link", func(t *testing.T) {
		f := newFixture(t)
		codes := f.setup(alice, mfa.SetupRequest{Type: factor.TypeMagicLink, Email: "alice@example.com"}).BackupCodes
		f.as(alice)(f.VerifySetup(t.Context(), alice, factor.TypeMagicLink, factor.Proof{Token: f.mails.Token(t)}))
		if got := f.acr(f.byCode(alice, codes[0])); got != mfa.ACRMail {
			t.Errorf("level %s", got)
		}
	})
	t.Run("with the setup of an app", func(t *testing.T) {
		f := newFixture(t)
		if got := f.acr(f.byCode(alice, f.enrolApp(alice).backupCodes[0])); got != mfa.ACRMFA {
			t.Errorf("level %s", got)
		}
	})
	t.Run("with the setup of a passkey", func(t *testing.T) {
		f := newFixture(t)
		setup, proof := f.setupPasskey(alice, newDevice(t))
		f.as(alice)(f.VerifySetup(t.Context(), alice, factor.TypePasskey, proof))
		if got := f.acr(f.byCode(alice, setup.BackupCodes[0])); got != mfa.ACRMFA {
			t.Errorf("level %s", got)
		}
	})
	t.Run("made by a mail session, for ever", func(t *testing.T) {
		f := newFixture(t)
		f.enrolApp(of(bob, "acme"))
		owner := f.enrolLink(admin, "admin@example.com")
		codes, err := f.ReplaceBackupCodes(t.Context(), owner)
		if err != nil {
			t.Fatal(err)
		}
		byCode := f.as(admin)(f.byCode(admin, codes[0]), nil)
		wantStepUp(t, f.Reset(t.Context(), byCode, "bob", false))
		wantStepUp(t, f.Enforce(t.Context(), byCode, true))
		// A code makes codes that are worth no more than it.
		codes, err = f.ReplaceBackupCodes(t.Context(), byCode)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.acr(f.byCode(admin, codes[0])); got != mfa.ACRMail {
			t.Errorf("level %s by a code that a code made", got)
		}
		// Nor do they become worth more by a factor that comes later, which
		// leaves them in place.
		f.enrolPasskey(byCode, newDevice(t))
		grant := f.byCode(admin, codes[1])
		if got := f.acr(grant); got != mfa.ACRMail {
			t.Errorf("level %s beside a passkey", got)
		}
		wantPasskey(t, f.Enforce(t.Context(), f.as(admin)(grant, nil), true))
		if got := f.acr(f.refresh(admin, grant.Refresh)); got != mfa.ACRMail {
			t.Errorf("level %s after a refresh", got)
		}
		if got := f.status(admin).BackupCodesACR; got != mfa.ACRMail {
			t.Errorf("status says %q", got)
		}
	})
}

func TestNewCodesEndTheSessionsOfTheOldOnes(t *testing.T) {
	f := newFixture(t)
	app := f.enrolApp(alice)
	thief := f.byCode(alice, app.backupCodes[0])
	own := f.byCode(alice, app.backupCodes[1])
	caller := f.as(alice)(own, nil)
	if _, err := f.ReplaceBackupCodes(t.Context(), caller); err != nil {
		t.Fatal(err)
	}
	if f.live(thief.Assertion) {
		t.Error("the session of an old code goes on")
	}
	f.wantNoRefresh(alice, thief.Refresh)
	if !f.live(own.Assertion) || !f.live(app.grant.Assertion) {
		t.Error("the asking session, or one of another factor, has ended")
	}
	// The codes of a setup that is confirmed are new ones too.
	secret := f.setupApp(app.caller)
	if err := f.confirmApp(app.caller, secret); err != nil {
		t.Fatal(err)
	}
	if f.live(own.Assertion) {
		t.Error("the session of an old code goes on beside the codes of a setup")
	}
}

func TestAPhishedCodeEnrolsNothingForWhoHasAPasskey(t *testing.T) {
	f := newFixture(t)
	app := f.enrolApp(alice)
	owner := f.enrolPasskey(app.caller, newDevice(t))
	key := f.credentialID(alice, factor.TypePasskey)
	f.advance(30 * time.Second)
	for name, thief := range map[string]mfa.Caller{
		"the app":       f.as(alice)(f.login(alice, factor.TypeTOTP, f.appProof(app.secret)), nil),
		"a backup code": f.as(alice)(f.byCode(alice, app.backupCodes[0]), nil),
	} {
		for change, run := range f.changes(key) {
			t.Run(change+" by "+name, func(t *testing.T) { wantPasskey(t, run(thief)) })
		}
	}
	f.enrolPasskey(owner, newDevice(t))

	relaxed := newFixture(t, func(c *mfa.Config) { c.StepUp = mfa.StepUpAny })
	app = relaxed.enrolApp(alice)
	relaxed.enrolPasskey(app.caller, newDevice(t))
	relaxed.enrolPasskey(app.caller, newDevice(t))
}

func TestAPasskeyIsNotAskedForWhereNoneAreOnOffer(t *testing.T) {
	f := newFixture(t)
	app := f.enrolApp(alice)
	f.enrolPasskey(app.caller, newDevice(t))
	f.config.Kinds = f.config.Kinds[:2] // the app and the link
	withdrawn := f.node()
	if _, err := withdrawn.ReplaceBackupCodes(t.Context(), app.caller); err != nil {
		t.Error(err)
	}
}

func TestNobodyRemovesTheirLastFactorWhereAnOrganizationDemandsOne(t *testing.T) {
	f := newFixture(t)
	boss := f.enrolApp(admin).caller
	if err := f.Enforce(t.Context(), boss, true); err != nil {
		t.Fatal(err)
	}
	member := f.enrolApp(of(alice, "acme")).caller
	without := member
	without.Organizations = nil // today's token says nothing
	for name, caller := range map[string]mfa.Caller{"member": member, "token without the claim": without, "administrator": boss} {
		id := f.credentialID(caller, factor.TypeTOTP)
		for way, err := range map[string]error{
			"reset":          f.Reset(t.Context(), caller, "", false),
			"reset by name":  f.Reset(t.Context(), caller, caller.Subject, false),
			"reset, enable":  f.Reset(t.Context(), caller, "", true),
			"disable":        f.Disable(t.Context(), caller, factor.TypeTOTP),
			"removal":        f.RemoveCredential(t.Context(), caller, id),
			"removal of one": f.RemoveCredential(t.Context(), caller, id),
		} {
			t.Run(name+", "+way, func(t *testing.T) { wantError(t, err, mfa.ErrEnforced) })
		}
		if status := f.status(caller); len(status.Methods) != 1 || status.BackupCodes != 10 || !status.Verified {
			t.Errorf("%s: left %+v", name, status)
		}
	}
	if err := f.Reset(t.Context(), boss, "alice", false); err != nil {
		t.Errorf("by an administrator: %v", err)
	}
}
