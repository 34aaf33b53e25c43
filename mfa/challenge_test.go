package mfa_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/passkey"
	"github.com/caddymfa/caddy-mfa/mfa/seal"
)

// byPasskey is a login by a passkey's answer.
func (f *fixture) byPasskey(caller mfa.Caller, answer mfa.LoginProof) error {
	_, err := f.VerifyLogin(f.t.Context(), caller, factor.TypePasskey, answer)
	return err
}

// document is the only record, as it is stored.
func (f *fixture) document() []byte {
	f.t.Helper()
	value, err := f.store.Get(f.t.Context(), "user/"+f.account())
	if err != nil {
		f.t.Fatal(err)
	}
	return value
}

func TestAskingForAPasskeyChallengeWritesNothing(t *testing.T) {
	f := newFixture(t)
	f.enrolPasskey(alice, newDevice(t))
	before, seen := f.document(), map[string]bool{}
	for range 100 {
		options := f.challenge(alice)
		if len(options.Challenge) > 200 || seen[options.Challenge] {
			t.Fatalf("the challenge %s has %d characters; seen before: %v", options.Challenge, len(options.Challenge), seen[options.Challenge])
		}
		seen[options.Challenge] = true
	}
	if !bytes.Equal(before, f.document()) {
		t.Error("the record was written")
	}
}

// Who has stolen the access token asks for challenges, and answers them
// wrongly, as often as they like.
func TestAThiefNeitherTakesTheOwnersChallengeAwayNorBringsAnAnswerBack(t *testing.T) {
	f := newFixture(t)
	device := newDevice(t)
	f.enrolPasskey(alice, device)
	spent := device.answer(t, f.challenge(alice), origin)
	wrong := device.answer(t, f.challenge(alice), "https://evil.test")
	wantError(t, f.byPasskey(alice, wrong), mfa.ErrWrongProof)
	if err := f.byPasskey(alice, spent); err != nil {
		t.Fatal(err)
	}
	waiting := f.challenge(alice)
	size := 0
	for n := range 100 {
		wantError(t, f.byPasskey(alice, newDevice(t).answer(t, f.challenge(alice), origin)), mfa.ErrWrongProof)
		if n == 20 {
			size = len(f.document())
		}
	}
	if grown := len(f.document()) - size; grown > 16 {
		t.Errorf("the record grows by %d bytes with 80 wrong answers", grown)
	}
	wantError(t, f.byPasskey(alice, spent), mfa.ErrWrongProof)
	wantError(t, f.byPasskey(alice, wrong), mfa.ErrWrongProof)
	if err := f.byPasskey(alice, device.answer(t, waiting, origin)); err != nil {
		t.Errorf("the owner's challenge: %v", err)
	}
}

func TestARightAnswerIsNotForgottenHoweverManyFollow(t *testing.T) {
	f := newFixture(t)
	device := newDevice(t)
	f.enrolPasskey(alice, device)
	old := device.answer(t, f.challenge(alice), origin)
	var answers []mfa.LoginProof
	for range 80 {
		f.advance(time.Second)
		answer := device.answer(t, f.challenge(alice), origin)
		f.login(alice, factor.TypePasskey, answer)
		answers = append(answers, answer)
	}
	for n, answer := range answers {
		if err := f.byPasskey(alice, answer); err == nil {
			t.Errorf("answer %d is taken again", n)
		}
	}
	// What cannot be remembered any more counts as spent.
	wantError(t, f.byPasskey(alice, old), mfa.ErrWrongProof)
	if err := f.byPasskey(alice, device.answer(t, f.challenge(alice), origin)); err != nil {
		t.Error(err)
	}
}

func TestAChallengeIsOfOneAccountAndTakenWhole(t *testing.T) {
	f := newFixture(t)
	alices, bobs := newDevice(t), newDevice(t)
	f.enrolPasskey(alice, alices)
	f.enrolPasskey(bob, bobs)
	options := f.challenge(alice)
	mine := f.challenge(bob)
	mine.Challenge = options.Challenge
	wantError(t, f.byPasskey(bob, bobs.answer(t, mine, origin)), mfa.ErrWrongProof)
	for name, altered := range map[string]string{
		"short": "AAAA", "32 random bytes": base64.RawURLEncoding.EncodeToString(make([]byte, 32)),
		"longer": options.Challenge + "AAAA", "another's start": f.challenge(alice).Challenge[:40] + options.Challenge[40:],
	} {
		other := options
		other.Challenge = altered
		if err := f.byPasskey(alice, alices.answer(t, other, origin)); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	f.login(alice, factor.TypePasskey, alices.answer(t, options, origin))
}

func TestAPasskeyChallengeEndsWithAllThatWasBegun(t *testing.T) {
	for name, end := range map[string]func(f *fixture, owner mfa.Caller, refresh string) error{
		"sign-out everywhere": func(f *fixture, owner mfa.Caller, _ string) error { return f.signOut(owner, true) },
		"another factor removed": func(f *fixture, owner mfa.Caller, _ string) error {
			return f.RemoveCredential(t.Context(), owner, f.credentialID(owner, factor.TypeTOTP))
		},
		"disabled and enabled": func(f *fixture, owner mfa.Caller, _ string) error {
			if err := f.Disable(t.Context(), owner, factor.TypePasskey); err != nil {
				return err
			}
			f.advance(30 * time.Second)
			again := f.as(alice)(f.VerifyLogin(t.Context(), alice, factor.TypeTOTP, mfa.LoginProof{Code: f.backup}))
			return f.Enable(t.Context(), again, factor.TypePasskey)
		},
		"detected reuse": func(f *fixture, _ mfa.Caller, refresh string) error {
			f.refresh(alice, refresh)
			f.advance(time.Minute)
			f.wantNoRefresh(alice, refresh)
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			app := f.enrolApp(alice)
			f.backup = app.backupCodes[0]
			device := newDevice(t)
			owner := f.enrolPasskey(app.caller, device)
			answer := device.answer(t, f.challenge(alice), origin) // by the access token alone
			if err := end(f, owner, app.grant.Refresh); err != nil {
				t.Fatal(err)
			}
			wantError(t, f.byPasskey(alice, answer), mfa.ErrWrongProof)
			f.login(alice, factor.TypePasskey, device.answer(t, f.challenge(alice), origin))
		})
	}
}

func TestAChallengeOutlivesItsKeyAndOneOfTheOldKeyIsNotMadeAfterwards(t *testing.T) {
	f := newFixture(t)
	n := f.alone()
	device := newDevice(t)
	f.enrolPasskey(alice, device)
	stolen := filepath.Join(t.TempDir(), "stolen.key")
	copyFile(t, f.keyPath, stolen)
	waiting := f.challenge(alice)
	f.advance(time.Minute)
	n.rotate()
	old, err := seal.Load(stolen)
	if err != nil {
		t.Fatal(err)
	}
	forge := func(options passkey.LoginOptions) passkey.LoginOptions {
		text := binary.BigEndian.AppendUint64(nil, uint64(f.now.Add(time.Duration(options.Timeout)*time.Millisecond).Unix()))
		sealed, err := old.Seal("caddy-mfa passkey challenge "+f.account()+" ", text)
		if err != nil {
			t.Fatal(err)
		}
		options.Challenge = base64.RawURLEncoding.EncodeToString(sealed)
		return options
	}
	if err := f.byPasskey(alice, device.answer(t, waiting, origin)); err != nil {
		t.Errorf("the challenge of before: %v", err)
	}
	f.advance(2 * time.Minute)
	wantError(t, f.byPasskey(alice, device.answer(t, forge(waiting), origin)), mfa.ErrWrongProof)
	f.login(alice, factor.TypePasskey, device.answer(t, f.challenge(alice), origin))
}

func TestAPasskeyChallengeDoesNotOutliveADeletedRecord(t *testing.T) {
	f := newFixture(t)
	device := newDevice(t)
	f.enrolPasskey(alice, device)
	spent := device.answer(t, f.challenge(alice), origin)
	f.login(alice, factor.TypePasskey, spent)
	unused := device.answer(t, f.challenge(alice), origin)
	if err := f.Delete(t.Context(), alice.Issuer, alice.Subject); err != nil {
		t.Fatal(err)
	}
	f.enrolPasskey(alice, device)
	wantError(t, f.byPasskey(alice, spent), mfa.ErrWrongProof)
	wantError(t, f.byPasskey(alice, unused), mfa.ErrWrongProof)
	f.login(alice, factor.TypePasskey, device.answer(t, f.challenge(alice), origin))
}

// A clock that was ahead and is set, or a node whose clock is behind, takes a
// challenge for one that still waits.
func TestARightAnswerIsNotTakenAgainAfterTheClockWentBack(t *testing.T) {
	f := newFixture(t)
	device := newDevice(t)
	f.enrolPasskey(alice, device)
	old := device.answer(t, f.challenge(alice), origin)
	f.login(alice, factor.TypePasskey, old)
	f.advance(time.Hour)
	f.login(alice, factor.TypePasskey, device.answer(t, f.challenge(alice), origin))
	f.advance(-time.Hour)
	wantError(t, f.byPasskey(alice, old), mfa.ErrWrongProof)
	f.login(alice, factor.TypePasskey, device.answer(t, f.challenge(alice), origin))
}
