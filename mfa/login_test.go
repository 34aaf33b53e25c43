package mfa_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

func TestOneOfAHundredCopiesOfAProofIsGranted(t *testing.T) {
	for name, prepare := range map[string]func(*fixture) (factor.Type, mfa.LoginProof){
		"code": func(f *fixture) (factor.Type, mfa.LoginProof) {
			return factor.TypeTOTP, f.appProof(f.enrolApp(alice).secret)
		},
		"backup code": func(f *fixture) (factor.Type, mfa.LoginProof) {
			return factor.TypeTOTP, mfa.LoginProof{Code: f.enrolApp(alice).backupCodes[3]}
		},
		"passkey": func(f *fixture) (factor.Type, mfa.LoginProof) {
			d := newDevice(t)
			f.enrolPasskey(alice, d)
			return factor.TypePasskey, d.answer(t, f.challenge(alice), origin)
		},
		"token of a link": func(f *fixture) (factor.Type, mfa.LoginProof) {
			f.enrolLink(alice, "alice@example.com")
			f.sendLink(alice)
			return factor.TypeMagicLink, mfa.LoginProof{Token: f.mails.Token(t)}
		},
		"approved link": func(f *fixture) (factor.Type, mfa.LoginProof) {
			f.enrolLink(alice, "alice@example.com")
			sent := f.sendLink(alice)
			if err := f.approve(f.mails.Token(t), sent.Number); err != nil {
				t.Fatal(err)
			}
			return factor.TypeMagicLink, mfa.LoginProof{Link: sent.ID}
		},
	} {
		f := newFixture(t)
		kind, proof := prepare(f)
		n := f.grants(mfa.ErrWrongProof, func(ctx context.Context, s *mfa.Service) (*mfa.Grant, error) {
			return s.VerifyLogin(ctx, alice, kind, proof)
		})
		if n != 1 {
			t.Errorf("%s: %d grants", name, n)
		}
	}
}

func TestAProofIsGoodForItsOwnerOnly(t *testing.T) {
	f := newFixture(t)
	app := f.enrolApp(alice)
	device := newDevice(t)
	f.enrolPasskey(app.caller, device)
	f.enrolPasskey(f.enrolApp(bob).caller, newDevice(t))
	answer := device.answer(t, f.challenge(alice), origin)
	f.challenge(bob)
	for name, attempt := range map[string]struct {
		kind  factor.Type
		proof mfa.LoginProof
	}{
		"code":        {factor.TypeTOTP, f.appProof(app.secret)},
		"backup code": {factor.TypeTOTP, mfa.LoginProof{Code: app.backupCodes[0]}},
		"passkey":     {factor.TypePasskey, answer},
	} {
		if _, err := f.VerifyLogin(t.Context(), bob, attempt.kind, attempt.proof); !errors.Is(err, mfa.ErrWrongProof) {
			t.Errorf("%s of another: %v", name, err)
		}
		f.login(alice, attempt.kind, attempt.proof)
	}
}

func TestALoginByAWrongOrMissingProofIsRefused(t *testing.T) {
	f := newFixture(t)
	for _, kind := range []factor.Type{factor.TypeTOTP, factor.TypeMagicLink, factor.TypePasskey} {
		for name, proof := range map[string]mfa.LoginProof{
			"nothing":    {},
			"code":       {Code: "123456"},
			"token":      {Token: "a.b"},
			"link":       {Link: "a"},
			"credential": {Credential: json.RawMessage(`{}`)},
		} {
			g, err := f.VerifyLogin(t.Context(), alice, kind, proof)
			if g != nil || !errors.Is(err, mfa.ErrWrongProof) {
				t.Errorf("%s by %s of a person without factors: %v", kind, name, err)
			}
		}
	}
	_, err := f.VerifyLogin(t.Context(), alice, "SMS", mfa.LoginProof{Code: "123456"})
	wantError(t, err, mfa.ErrUnknownType)
}

func TestABackupCodeIsTakenAsPeopleTypeItAndIsGoodOnce(t *testing.T) {
	f := newFixture(t)
	app := f.enrolApp(alice)
	typed := " " + strings.ToLower(strings.ReplaceAll(app.backupCodes[0], "-", " ")) + "\n"
	shown := f.open(f.login(alice, factor.TypePasskey, mfa.LoginProof{Code: typed}).Assertion)
	if !slices.Equal(shown.Methods, []string{mfa.MethodBackupCode}) || shown.ACR != mfa.ACRMFA {
		t.Errorf("shown: %v, %s", shown.Methods, shown.ACR)
	}
	wantError(t, f.tryCode(alice, app.backupCodes[0]), factor.ErrSpentProof)
	if left := f.status(alice).BackupCodes; left != 9 {
		t.Errorf("%d codes are left", left)
	}
	fresh := f.freshBackupCode(app.caller)
	wantError(t, f.tryCode(alice, app.backupCodes[1]), mfa.ErrWrongProof)
	if err := f.tryCode(alice, fresh); err != nil {
		t.Errorf("a code of the fresh set: %v", err)
	}
}

func TestAnAssertionTellsWhatWasShown(t *testing.T) {
	f := newFixture(t)
	caller := alice
	caller.Token = "access.token.of-alice"
	app := f.enrolApp(alice)
	device := newDevice(t)
	mail := f.enrolLink(app.caller, "alice@example.com")
	mail.Session = app.caller.Session
	f.enrolPasskey(mail, device)
	f.sendLink(alice)
	for _, row := range []struct {
		kind  factor.Type
		proof mfa.LoginProof
		acr   string
		amr   []string
	}{
		{factor.TypeTOTP, f.appProof(app.secret), mfa.ACRMFA, []string{"otp", "mfa"}},
		{factor.TypeMagicLink, mfa.LoginProof{Token: f.mails.Token(t)}, mfa.ACRMail, []string{"mfa"}},
		{factor.TypePasskey, device.answer(t, f.challenge(alice), origin), mfa.ACRPhR, []string{"hwk", "user", "mfa"}},
	} {
		g := f.login(caller, row.kind, row.proof)
		if strings.Contains(g.Assertion, caller.Token) || strings.Contains(g.Cookie, caller.Token) {
			t.Errorf("%s: the access token can be read in the assertion", row.kind)
		}
		full, slim := f.open(g.Assertion), f.open(g.Cookie)
		if full.Bearer != caller.Token || slim.Bearer != "" {
			t.Errorf("%s: carries %q and %q", row.kind, full.Bearer, slim.Bearer)
		}
		for _, shown := range []*mfa.Shown{full, slim} {
			if shown.Issuer != alice.Issuer || shown.Subject != alice.Subject || shown.ACR != row.acr || !slices.Equal(shown.AMR, row.amr) ||
				!slices.Equal(shown.Methods, []string{string(row.kind)}) || !shown.AuthTime.Equal(f.now) ||
				!shown.ExpiresAt.Equal(f.now.Add(mfa.DefaultTokenLifetime)) {
				t.Errorf("%s: shown %+v", row.kind, shown)
			}
		}
		if !f.live(g.Assertion) || !f.live(g.Cookie) {
			t.Errorf("%s: not live", row.kind)
		}
	}
}

func TestAPasskeyChallengeIsSpentByItsFirstUseRightOrWrong(t *testing.T) {
	f := newFixture(t)
	device := newDevice(t)
	f.enrolPasskey(alice, device)
	try := func(proof mfa.LoginProof) error {
		_, err := f.VerifyLogin(t.Context(), alice, factor.TypePasskey, proof)
		return err
	}
	options := f.challenge(alice)
	other := f.challenge(alice)
	wantError(t, try(device.answer(t, options, "https://evil.test")), mfa.ErrWrongProof)
	wantError(t, try(device.answer(t, options, origin)), mfa.ErrWrongProof)
	if err := try(device.answer(t, other, origin)); err != nil {
		t.Errorf("the other challenge: %v", err)
	}
	late := f.challenge(alice)
	f.advance(time.Duration(late.Timeout) * time.Millisecond)
	wantError(t, try(device.answer(t, late, origin)), mfa.ErrWrongProof)
}

func TestAPasskeyWhoseCounterWentBackIsRefused(t *testing.T) {
	f := newFixture(t)
	device := newDevice(t)
	f.enrolPasskey(alice, device)
	device.credential.Counter = 7
	f.login(alice, factor.TypePasskey, device.answer(t, f.challenge(alice), origin))
	device.credential.Counter = 6
	_, err := f.VerifyLogin(t.Context(), alice, factor.TypePasskey, device.answer(t, f.challenge(alice), origin))
	wantError(t, err, mfa.ErrWrongProof)
	if !slices.Contains(f.events.kinds(), mfa.EventClonedPasskey) {
		t.Error("the journal was not told")
	}
}

func TestWhoHasNoPasskeyGetsNoChallenge(t *testing.T) {
	f := newFixture(t)
	_, err := f.PasskeyOptions(t.Context(), alice)
	wantError(t, err, mfa.ErrNotEnrolled)
}

func TestAPasskeyProvesPresenceFromItsEnrolmentOn(t *testing.T) {
	f := newFixture(t)
	_, proof := f.setupPasskey(alice, newDevice(t))
	g, err := f.VerifySetup(t.Context(), alice, factor.TypePasskey, proof)
	if err != nil {
		t.Fatal(err)
	}
	if shown := f.open(g.Assertion); !slices.Equal(shown.AMR, []string{"hwk", "user", "mfa"}) || shown.ACR != mfa.ACRPhR {
		t.Errorf("shown %+v", shown)
	}
}
