package passkey

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

func TestEveryPasskeyOfAnAccountLogsIn(t *testing.T) {
	kind := newKind(t, nil)
	keys := []signer{es256Signer(t), edDSASigner(t), rs256Signer(t), es384Signer(t), es512Signer(t)}
	holder := holderOf(t, kind, 0, 0, keys...)
	for i, key := range keys {
		options := beginLogin(t, kind, holder)
		login, err := kind.VerifyLogin(holder, options.Challenge, honestAssertion(t, options, holder.Credentials[i], key).credential(t))
		if err != nil {
			t.Errorf("passkey %d: %v", i, err)
			continue
		}
		if login.Index != i || login.Synced {
			t.Errorf("passkey %d: %+v", i, login)
		}
		if !bytes.Equal(login.State, holder.Credentials[i]) {
			t.Errorf("passkey %d: the state went from %s to %s, and nothing has changed", i, holder.Credentials[i], login.State)
		}
	}
}

func TestALoginIsAcceptedAtEveryOriginAndWithoutAUserHandle(t *testing.T) {
	kind := newKind(t, nil)
	key := es256Signer(t)
	holder := holderOf(t, kind, 0, 0, key)
	for _, origin := range config().Origins {
		options := beginLogin(t, kind, holder)
		answer := honestAssertion(t, options, holder.Credentials[0], key)
		answer.origin, answer.userHandle = origin, nil
		answer.members = map[string]any{"clientExtensionResults": map[string]any{"credProps": map[string]any{"rk": true}}}
		if _, err := kind.VerifyLogin(holder, options.Challenge, answer.credential(t)); err != nil {
			t.Errorf("%s: %v", origin, err)
		}
	}
}

func TestALoginThatIsWrongInOnePlaceIsRefused(t *testing.T) {
	other := base64.RawURLEncoding.EncodeToString(make([]byte, 32))
	for name, spoil := range map[string]func(*assertion){
		"another challenge":               func(a *assertion) { a.challenge = other },
		"an empty challenge":              func(a *assertion) { a.challenge = "" },
		"a challenge that is a number":    func(a *assertion) { a.clientData = map[string]any{"challenge": 1} },
		"a padded challenge":              func(a *assertion) { a.challenge += "=" },
		"another origin":                  func(a *assertion) { a.origin = "https://evil.test" },
		"an origin that only looks right": func(a *assertion) { a.origin = "https://login.example.com.evil.test" },
		"a sibling origin not listed":     func(a *assertion) { a.origin = "https://example.com" },
		"the origin over http":            func(a *assertion) { a.origin = "http://login.example.com" },
		"another port":                    func(a *assertion) { a.origin = "https://login.example.com:444" },
		"no origin":                       func(a *assertion) { a.origin = "" },
		"another relying party":           func(a *assertion) { a.rpID = "login.example.com" },
		"a registration's type":           func(a *assertion) { a.typ = "webauthn.create" },
		"no type":                         func(a *assertion) { a.typ = "" },
		"a cross-origin frame":            func(a *assertion) { a.clientData = map[string]any{"crossOrigin": true} },
		"a cross-origin frame with a top origin": func(a *assertion) {
			a.clientData = map[string]any{"crossOrigin": true, "topOrigin": "https://login.example.com"}
		},
		"a top origin":                func(a *assertion) { a.clientData = map[string]any{"topOrigin": "https://login.example.com"} },
		"no user presence":            func(a *assertion) { a.flags &^= flagUP },
		"attested data that is not":   func(a *assertion) { a.flags |= flagAT },
		"extensions that are missing": func(a *assertion) { a.flags |= 0x80 },
		"leftover authenticator data": func(a *assertion) { a.extra = []byte{0} },
		"a passkey that became backup eligible": func(a *assertion) {
			a.flags |= flagBE
		},
		"backed up but not eligible": func(a *assertion) { a.flags |= flagBS },
		"another user's handle":      func(a *assertion) { a.userHandle = bytes.Repeat([]byte{1}, 32) },
		"a part of the handle":       func(a *assertion) { a.userHandle = a.userHandle[:31] },
		"the key of another passkey": func(a *assertion) { a.signer = es256Signer(t) },
		"a key of another type":      func(a *assertion) { a.signer = edDSASigner(t) },
		"an unknown passkey":         func(a *assertion) { a.id, a.rawID = other, other },
		"id and rawId that differ":   func(a *assertion) { a.id = other },
		"no id":                      func(a *assertion) { a.id = "" },
		"no rawId":                   func(a *assertion) { a.rawID = "" },
		"an id that is a number":     func(a *assertion) { a.members = map[string]any{"id": 1} },
		"another type of credential": func(a *assertion) { a.members = map[string]any{"type": "password"} },
		"no response":                func(a *assertion) { a.members = map[string]any{"response": nil} },
		"client data changed after signing": func(a *assertion) {
			a.tamper = func(clientData, _, _ *[]byte) { *clientData = append(*clientData, ' ') }
		},
		"a counter changed after signing": func(a *assertion) {
			a.tamper = func(_, authData, _ *[]byte) { (*authData)[36]++ }
		},
		"user verification claimed after signing": func(a *assertion) {
			a.flags &^= flagUV
			a.tamper = func(_, authData, _ *[]byte) { (*authData)[32] |= flagUV }
		},
		"no signature": func(a *assertion) {
			a.tamper = func(_, _, signature *[]byte) { *signature = nil }
		},
		"a signature of zeros": func(a *assertion) {
			a.tamper = func(_, _, signature *[]byte) { clear(*signature) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			kind := newKind(t, func(c *Config) { c.Origins = c.Origins[:1] })
			key := es256Signer(t)
			holder := holderOf(t, kind, 0, 0, key)
			options := beginLogin(t, kind, holder)
			answer := honestAssertion(t, options, holder.Credentials[0], key)
			spoil(&answer)
			login, err := kind.VerifyLogin(holder, options.Challenge, answer.credential(t))
			if !errors.Is(err, factor.ErrWrongProof) {
				t.Fatalf("%v, want ErrWrongProof", err)
			}
			if errors.Is(err, ErrClonedCredential) {
				t.Errorf("%v: nothing here speaks of a clone", err)
			}
			if login.State != nil {
				t.Error("a state was returned with the error")
			}
			if strings.Contains(err.Error(), options.Challenge) || strings.Contains(err.Error(), other) {
				t.Errorf("the error %q gives a challenge away", err)
			}
			if len(err.Error()) > 1500 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
		})
	}
}

func TestAPasskeyOfAnotherAccountDoesNotLogIn(t *testing.T) {
	kind := newKind(t, nil)
	mine, theirs := es256Signer(t), es256Signer(t)
	holder, thief := holderOf(t, kind, 0, 0, mine), holderOf(t, kind, 0, 0, theirs)
	options := beginLogin(t, kind, holder)

	answer := honestAssertion(t, options, thief.Credentials[0], theirs)
	if _, err := kind.VerifyLogin(holder, options.Challenge, answer.credential(t)); !errors.Is(err, factor.ErrWrongProof) {
		t.Errorf("their own: %v, want ErrWrongProof", err)
	}
	answer = honestAssertion(t, options, holder.Credentials[0], theirs)
	if _, err := kind.VerifyLogin(holder, options.Challenge, answer.credential(t)); !errors.Is(err, factor.ErrWrongProof) {
		t.Errorf("under the ID of mine: %v, want ErrWrongProof", err)
	}
	answer = honestAssertion(t, options, holder.Credentials[0], mine)
	if _, err := kind.VerifyLogin(factor.Account{Handle: holder.Handle}, options.Challenge, answer.credential(t)); !errors.Is(err, factor.ErrWrongProof) {
		t.Errorf("an account without passkeys: %v, want ErrWrongProof", err)
	}
}

func TestAnAnswerToOneLoginDoesNotFitAnother(t *testing.T) {
	kind := newKind(t, nil)
	key := es256Signer(t)
	holder := holderOf(t, kind, 0, 0, key)
	first, second := beginLogin(t, kind, holder), beginLogin(t, kind, holder)
	answer := honestAssertion(t, first, holder.Credentials[0], key).credential(t)
	_, err := kind.VerifyLogin(holder, second.Challenge, answer)
	if !errors.Is(err, factor.ErrWrongProof) {
		t.Fatalf("%v, want ErrWrongProof", err)
	}
	if strings.Contains(err.Error(), first.Challenge) {
		t.Errorf("the error %q gives the challenge of the other login away, which lives", err)
	}
	if challenge, err := Challenge(answer); err != nil || challenge != first.Challenge {
		t.Errorf("it answers %q, %v, want %q", challenge, err, first.Challenge)
	}
}

func TestTheSignatureCounterMustAdvanceUnlessThereIsNone(t *testing.T) {
	kind := newKind(t, nil)
	key := es256Signer(t)
	for _, c := range []struct {
		stored, presented uint32
		cloned            bool
	}{
		{0, 0, false},
		{0, 1, false},
		{7, 8, false},
		{7, 1<<32 - 1, false},
		{7, 7, true},
		{7, 6, true},
		{7, 0, true},
		{1<<32 - 1, 1, true},
	} {
		holder := holderOf(t, kind, 0, c.stored, key)
		options := beginLogin(t, kind, holder)
		answer := honestAssertion(t, options, holder.Credentials[0], key)
		answer.signCount = c.presented
		login, err := kind.VerifyLogin(holder, options.Challenge, answer.credential(t))
		if c.cloned {
			if !errors.Is(err, ErrClonedCredential) || !errors.Is(err, factor.ErrWrongProof) || login.State != nil {
				t.Errorf("%d after %d: %v and the state %s, want ErrClonedCredential", c.presented, c.stored, err, login.State)
			}
			continue
		}
		if err != nil {
			t.Errorf("%d after %d: %v", c.presented, c.stored, err)
			continue
		}
		kept, err := readRecord(login.State)
		if err != nil || kept.SignCount != c.presented {
			t.Errorf("%d after %d: kept %d, %v", c.presented, c.stored, kept.SignCount, err)
		}
	}
}

// Each device that has a synced passkey counts for itself, or not at all.
func TestASyncedPasskeysCounterMayGoBack(t *testing.T) {
	kind := newKind(t, nil)
	key := es256Signer(t)
	holder := holderOf(t, kind, flagBE, 7, key)
	for _, count := range []uint32{0, 3, 7, 0, 9, 1} {
		options := beginLogin(t, kind, holder)
		answer := honestAssertion(t, options, holder.Credentials[0], key)
		answer.flags, answer.signCount = flagUP|flagUV|flagBE, count
		login, err := kind.VerifyLogin(holder, options.Challenge, answer.credential(t))
		if err != nil {
			t.Fatalf("%d: %v", count, err)
		}
		holder.Credentials[0] = login.State
	}
	// One that says that it is bound to a device now is none of them.
	options := beginLogin(t, kind, holder)
	answer := honestAssertion(t, options, holder.Credentials[0], key)
	answer.flags, answer.signCount = flagUP|flagUV, 10
	if _, err := kind.VerifyLogin(holder, options.Challenge, answer.credential(t)); !errors.Is(err, factor.ErrWrongProof) {
		t.Errorf("with the flag taken back: %v", err)
	}
}

func TestACounterThatWentBackUnderAWrongSignatureIsNoClone(t *testing.T) {
	kind := newKind(t, nil)
	holder := holderOf(t, kind, 0, 7, es256Signer(t))
	options := beginLogin(t, kind, holder)
	answer := honestAssertion(t, options, holder.Credentials[0], es256Signer(t))
	_, err := kind.VerifyLogin(holder, options.Challenge, answer.credential(t))
	if !errors.Is(err, factor.ErrWrongProof) || errors.Is(err, ErrClonedCredential) {
		t.Errorf("%v, want ErrWrongProof alone", err)
	}
}

func TestALoginKeepsTheBackupStateAndNothingElseOfTheRecord(t *testing.T) {
	kind := newKind(t, nil)
	key := es256Signer(t)
	holder := holderOf(t, kind, flagBE, 3, key)
	before, err := readRecord(holder.Credentials[0])
	if err != nil {
		t.Fatal(err)
	}
	for count, flags := range []byte{flagUP | flagBE | flagBS, flagUP | flagUV | flagBE} {
		options := beginLogin(t, kind, holder)
		answer := honestAssertion(t, options, holder.Credentials[0], key)
		answer.flags, answer.signCount = flags, uint32(4+count)
		login, err := kind.VerifyLogin(holder, options.Challenge, answer.credential(t))
		if err != nil {
			t.Fatalf("flags %#x: %v", flags, err)
		}
		if !login.Synced {
			t.Errorf("flags %#x: %+v", flags, login)
		}
		want := before
		want.SignCount, want.BackupState = uint32(4+count), flags&flagBS != 0
		if got := string(login.State); got != string(encodeJSON(t, want)) {
			t.Errorf("flags %#x: kept %s, want %s", flags, got, encodeJSON(t, want))
		}
		holder.Credentials[0] = login.State
	}
}

func TestAPasskeyThatCeasesToBeBackupEligibleIsRefused(t *testing.T) {
	kind := newKind(t, nil)
	key := es256Signer(t)
	holder := holderOf(t, kind, flagBE, 0, key)
	options := beginLogin(t, kind, holder)
	answer := honestAssertion(t, options, holder.Credentials[0], key)
	if _, err := kind.VerifyLogin(holder, options.Challenge, answer.credential(t)); !errors.Is(err, factor.ErrWrongProof) {
		t.Errorf("%v, want ErrWrongProof", err)
	}
}

func TestUserVerificationAtLoginIsHeldAgainstTheConfiguration(t *testing.T) {
	key := es256Signer(t)
	for verification, required := range map[string]bool{"required": true, "preferred": false, "discouraged": false, "": false} {
		kind := newKind(t, func(c *Config) { c.UserVerification = verification })
		holder := holderOf(t, kind, 0, 0, key)
		for _, verified := range []bool{true, false} {
			options := beginLogin(t, kind, holder)
			answer := honestAssertion(t, options, holder.Credentials[0], key)
			if !verified {
				answer.flags &^= flagUV
			}
			login, err := kind.VerifyLogin(holder, options.Challenge, answer.credential(t))
			switch {
			case required && !verified:
				if !errors.Is(err, factor.ErrWrongProof) {
					t.Errorf("%q: %v, want ErrWrongProof", verification, err)
				}
			case err != nil:
				t.Errorf("%q, verified %v: %+v, %v", verification, verified, login, err)
			}
		}
	}
}

func TestALoginFromAStateThatIsNotOursIsNoWrongProof(t *testing.T) {
	kind := newKind(t, nil)
	key := es256Signer(t)
	holder := holderOf(t, kind, 0, 0, key)
	options := beginLogin(t, kind, holder)
	answer := honestAssertion(t, options, holder.Credentials[0], key).credential(t)
	for _, state := range []string{"", "null", "{}", "[]", `{"id":1}`} {
		holder.Credentials = []json.RawMessage{json.RawMessage(state)}
		if _, err := kind.VerifyLogin(holder, options.Challenge, answer); err == nil || errors.Is(err, factor.ErrWrongProof) {
			t.Errorf("%s: %v", state, err)
		}
	}
}

func TestWhatIsTooLargeIsRefusedBeforeTheChallengeIsRead(t *testing.T) {
	kind := newKind(t, nil)
	key := es256Signer(t)
	holder := holderOf(t, kind, 0, 0, key)
	options := beginLogin(t, kind, holder)
	long := func(part *[]byte, size int) { *part = append(*part, bytes.Repeat([]byte(" "), size-len(*part))...) }
	for _, c := range []struct {
		name  string
		spoil func(*assertion)
	}{
		{"JSON", func(a *assertion) { a.members = map[string]any{"padding": strings.Repeat("x", 64<<10)} }},
		{"client data", func(a *assertion) {
			a.tamper = func(clientData, _, _ *[]byte) { long(clientData, 4097) }
		}},
		{"authenticator data", func(a *assertion) {
			a.tamper = func(_, authData, _ *[]byte) { long(authData, 4097) }
		}},
		{"signature", func(a *assertion) {
			a.tamper = func(_, _, signature *[]byte) { long(signature, 1025) }
		}},
	} {
		answer := honestAssertion(t, options, holder.Credentials[0], key)
		c.spoil(&answer)
		credential := answer.credential(t)
		if challenge, err := Challenge(credential); !errors.Is(err, factor.ErrWrongProof) || challenge != "" {
			t.Errorf("%s: challenge %q, %v, want ErrWrongProof", c.name, challenge, err)
		}
		if _, err := kind.VerifyLogin(holder, options.Challenge, credential); !errors.Is(err, factor.ErrWrongProof) {
			t.Errorf("%s: %v, want ErrWrongProof", c.name, err)
		}
	}
}

func TestTheLongestClientDataIsAccepted(t *testing.T) {
	kind := newKind(t, nil)
	key := rs256Signer(t)
	holder := holderOf(t, kind, 0, 0, key)
	options := beginLogin(t, kind, holder)
	answer := honestAssertion(t, options, holder.Credentials[0], key)
	answer.clientData = map[string]any{"other_keys_can_be_added_here": ""}
	var size int
	answer.tamper = func(clientData, _, _ *[]byte) { size = len(*clientData) }
	answer.credential(t)
	answer.tamper = nil
	answer.clientData["other_keys_can_be_added_here"] = strings.Repeat("x", 4096-size)
	if _, err := kind.VerifyLogin(holder, options.Challenge, answer.credential(t)); err != nil {
		t.Error(err)
	}
}

func TestCredentialsWithoutAChallengeAreWrongProofs(t *testing.T) {
	for _, credential := range []string{
		"", "null", "{}", "[]", `""`, "1", "{", `{} {}`, `{"response":null}`, `{"response":[]}`,
		`{"response":{"clientDataJSON":"!"}}`,
		`{"response":{"clientDataJSON":"bnVsbA"}}`,               // null
		`{"response":{"clientDataJSON":"e30"}}`,                  // {}
		`{"response":{"clientDataJSON":"eyJjaGFsbGVuZ2UiOjF9"}}`, // {"challenge":1}
	} {
		if challenge, err := Challenge(json.RawMessage(credential)); !errors.Is(err, factor.ErrWrongProof) || challenge != "" {
			t.Errorf("%s: challenge %q, %v, want ErrWrongProof", credential, challenge, err)
		}
	}
}

func TestACutOrChangedSignatureIsRefused(t *testing.T) {
	kind := newKind(t, nil)
	for name, key := range map[string]signer{"ES256": es256Signer(t), "EdDSA": edDSASigner(t), "RS256": rs256Signer(t)} {
		holder := holderOf(t, kind, 0, 0, key)
		options := beginLogin(t, kind, holder)
		answer := honestAssertion(t, options, holder.Credentials[0], key)
		try := func(what string, i int, change func([]byte) []byte) {
			answer.tamper = func(_, _, signature *[]byte) { *signature = change(*signature) }
			if _, err := kind.VerifyLogin(holder, options.Challenge, answer.credential(t)); !errors.Is(err, factor.ErrWrongProof) {
				t.Errorf("%s: signature %s %d: %v, want ErrWrongProof", name, what, i, err)
			}
		}
		for i := range 64 {
			try("cut to", i, func(signature []byte) []byte { return signature[:i] })
			try("changed at", i, func(signature []byte) []byte { signature[i] ^= 1; return signature })
		}
		try("with a byte after it, number", 1, func(signature []byte) []byte { return append(signature, 0) })
	}
}

func BenchmarkVerifyLogin(b *testing.B) {
	for name, key := range map[string]signer{"ES256": es256Signer(b), "EdDSA": edDSASigner(b), "RS256": rs256Signer(b)} {
		b.Run(name, func(b *testing.B) {
			kind := newKind(b, nil)
			holder := holderOf(b, kind, 0, 0, key)
			options := beginLogin(b, kind, holder)
			credential := honestAssertion(b, options, holder.Credentials[0], key).credential(b)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := kind.VerifyLogin(holder, options.Challenge, credential); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
