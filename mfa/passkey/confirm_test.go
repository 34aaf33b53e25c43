package passkey

import (
	"bytes"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/go-webauthn/webauthn/protocol"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

func TestEveryOfferedAlgorithmIsAcceptedAndRecorded(t *testing.T) {
	kind := newKind(t, nil)
	for algorithm, key := range map[int64]coseKey{-7: es256(t), -8: edDSA(t), -35: es384Signer(t).public, -36: es512Signer(t).public, -257: rs256(t)} {
		offer, enrolment := begin(t, kind, account, factor.Request{Device: factor.Device{Name: "YubiKey"}})
		answer := honest(enrolment, key)
		answer.flags |= flagBE | flagBS
		answer.signCount = 7
		answer.aaguid = []byte("0123456789abcdef")
		proof := answer.proof(t)
		proof.Challenge = enrolment.Challenge

		got, err := kind.Confirm(account, offer.State, proof, now)
		if err != nil {
			t.Errorf("algorithm %d: %v", algorithm, err)
			continue
		}
		if got.Name != "YubiKey" {
			t.Errorf("algorithm %d: named %q", algorithm, got.Name)
		}
		kept, err := readRecord(got.State)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(kept.ID, answer.id) || !bytes.Equal(kept.PublicKey, encodeCBOR(t, key)) || kept.Algorithm != algorithm ||
			!bytes.Equal(kept.AAGUID, answer.aaguid) || kept.SignCount != 7 ||
			!kept.UserVerified || !kept.BackupEligible || !kept.BackupState ||
			!slices.Equal(kept.Transports, []protocol.AuthenticatorTransport{"internal", "hybrid"}) || kept.Attachment != "platform" {
			t.Errorf("algorithm %d: kept %+v", algorithm, kept)
		}
		unique, err := kind.UniqueID(proof)
		if err != nil || unique != base64.RawURLEncoding.EncodeToString(kept.ID) {
			t.Errorf("algorithm %d: unique ID %q, %v, but kept %s", algorithm, unique, err, kept.ID)
		}
	}
}

func TestTheRecordTellsTheFlagsApart(t *testing.T) {
	kind := newKind(t, nil)
	for flags, want := range map[byte]record{
		flagUP | flagAT:                   {},
		flagUP | flagAT | flagUV:          {UserVerified: true},
		flagUP | flagAT | flagBE:          {BackupEligible: true},
		flagUP | flagAT | flagBE | flagBS: {BackupEligible: true, BackupState: true},
	} {
		offer, enrolment := begin(t, kind, account, factor.Request{})
		answer := honest(enrolment, es256(t))
		answer.flags = flags
		got, err := kind.Confirm(account, offer.State, answer.proof(t), now)
		if err != nil {
			t.Errorf("flags %#x: %v", flags, err)
			continue
		}
		kept, err := readRecord(got.State)
		if err != nil {
			t.Fatal(err)
		}
		if kept.UserVerified != want.UserVerified || kept.BackupEligible != want.BackupEligible || kept.BackupState != want.BackupState {
			t.Errorf("flags %#x: kept %+v", flags, kept)
		}
	}
}

func TestAnAnswerThatIsWrongInOnePlaceIsRefused(t *testing.T) {
	other := base64.RawURLEncoding.EncodeToString(make([]byte, 32))
	for name, spoil := range map[string]func(*response){
		"another challenge":               func(r *response) { r.challenge = other },
		"an empty challenge":              func(r *response) { r.challenge = "" },
		"another origin":                  func(r *response) { r.origin = "https://evil.test" },
		"an origin that only looks right": func(r *response) { r.origin = "https://login.example.com.evil.test" },
		"a sibling origin not listed":     func(r *response) { r.origin = "https://example.com" },
		"the origin over http":            func(r *response) { r.origin = "http://login.example.com" },
		"another port":                    func(r *response) { r.origin = "https://login.example.com:444" },
		"no origin":                       func(r *response) { r.origin = "" },
		"another relying party":           func(r *response) { r.rpID = "login.example.com" },
		"an assertion's type":             func(r *response) { r.typ = "webauthn.get" },
		"a cross-origin frame":            func(r *response) { r.clientData = map[string]any{"crossOrigin": true} },
		"a cross-origin frame with a top origin": func(r *response) {
			r.clientData = map[string]any{"crossOrigin": true, "topOrigin": "https://login.example.com"}
		},
		"a top origin":                func(r *response) { r.clientData = map[string]any{"topOrigin": "https://login.example.com"} },
		"no user presence":            func(r *response) { r.flags &^= flagUP },
		"no attested data":            func(r *response) { r.flags &^= flagAT },
		"backed up but not eligible":  func(r *response) { r.flags |= flagBS },
		"extensions that are missing": func(r *response) { r.flags |= 0x80 },
		"a short AAGUID":              func(r *response) { r.aaguid = r.aaguid[:15] },
		"another type of credential":  func(r *response) { r.members = map[string]any{"type": "password"} },
		"an ID the key was not made under": func(r *response) {
			r.claimedID, r.rawID = other, other
		},
		"id and rawId that differ": func(r *response) { r.claimedID = other },
		"no id":                    func(r *response) { r.claimedID = "" },
		"no rawId":                 func(r *response) { r.rawID = "" },
		"an id that is a number":   func(r *response) { r.members = map[string]any{"id": 1} },
		"no credential ID at all":  func(r *response) { r.id, r.claimedID, r.rawID = nil, "", "" },
		"a credential ID of 1024 bytes": func(r *response) {
			r.id = make([]byte, 1024)
			r.claimedID = base64.RawURLEncoding.EncodeToString(r.id)
			r.rawID = r.claimedID
		},
		"an algorithm that was not offered": func(r *response) { r.key = r.key.with(3, -47) },
		"an ES256 key called ES384":         func(r *response) { r.key = r.key.with(3, -35) },
		"a key of another curve":            func(r *response) { r.key = ec2Key(t, elliptic.P384(), 2, -7) },
		"a key of another type":             func(r *response) { r.key = rs256(t).with(3, -7) },
		"an ES256 key called RS256":         func(r *response) { r.key = r.key.with(3, -257) },
		"an Ed25519 key called ES256":       func(r *response) { r.key = edDSA(t).with(3, -7) },
		"a point off the curve":             func(r *response) { r.key = r.key.with(-2, make([]byte, 32)) },
		"a short coordinate":                func(r *response) { r.key = r.key.with(-2, make([]byte, 31)) },
		"an RSA key of 1024 bits":           func(r *response) { r.key = rs256(t).with(-1, bytes.Repeat([]byte{0xff}, 128)) },
		"an RSA key of 16384 bits":          func(r *response) { r.key = rs256(t).with(-1, bytes.Repeat([]byte{0xff}, 2048)) },
		"an RSA key of 8200 bits":           func(r *response) { r.key = rs256(t).with(-1, bytes.Repeat([]byte{0xff}, 1025)) },
		"the RSA exponent 1":                func(r *response) { r.key = rs256(t).with(-2, []byte{1}) },
		"an even RSA exponent":              func(r *response) { r.key = rs256(t).with(-2, []byte{1, 0, 0}) },
		"an RSA exponent beyond 31 bits":    func(r *response) { r.key = rs256(t).with(-2, []byte{0x80, 0, 0, 1}) },
		"an empty key":                      func(r *response) { r.key = coseKey{} },
	} {
		t.Run(name, func(t *testing.T) {
			kind := newKind(t, func(c *Config) { c.Origins = c.Origins[:1] })
			offer, enrolment := begin(t, kind, account, factor.Request{})
			answer := honest(enrolment, es256(t))
			spoil(&answer)
			got, err := kind.Confirm(account, offer.State, answer.proof(t), now)
			if !errors.Is(err, factor.ErrWrongProof) {
				t.Fatalf("%v, want ErrWrongProof", err)
			}
			if got.State != nil {
				t.Error("a credential was returned with the error")
			}
			if strings.Contains(err.Error(), enrolment.Challenge) {
				t.Errorf("the error %q gives the challenge away", err)
			}
			if len(err.Error()) > 1500 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
		})
	}
}

func TestTheLongestCredentialIDIsAccepted(t *testing.T) {
	kind := newKind(t, nil)
	offer, enrolment := begin(t, kind, account, factor.Request{})
	answer := honest(enrolment, es256(t))
	answer.id = bytes.Repeat([]byte{7}, 1023)
	answer.claimedID = base64.RawURLEncoding.EncodeToString(answer.id)
	answer.rawID = answer.claimedID
	if _, err := kind.Confirm(account, offer.State, answer.proof(t), now); err != nil {
		t.Error(err)
	}
}

func TestEveryConfiguredOriginIsAccepted(t *testing.T) {
	kind := newKind(t, nil)
	for _, origin := range config().Origins {
		offer, enrolment := begin(t, kind, account, factor.Request{})
		answer := honest(enrolment, es256(t))
		answer.origin = origin
		if _, err := kind.Confirm(account, offer.State, answer.proof(t), now); err != nil {
			t.Errorf("%s: %v", origin, err)
		}
	}
}

func TestUserVerificationIsHeldAgainstTheConfiguration(t *testing.T) {
	for verification, wanted := range map[string]bool{"required": true, "preferred": false, "discouraged": false, "": false} {
		kind := newKind(t, func(c *Config) { c.UserVerification = verification })
		offer, enrolment := begin(t, kind, account, factor.Request{})
		answer := honest(enrolment, es256(t))
		answer.flags &^= flagUV
		_, err := kind.Confirm(account, offer.State, answer.proof(t), now)
		if errors.Is(err, factor.ErrWrongProof) != wanted || (err != nil) != wanted {
			t.Errorf("%q: %v", verification, err)
		}
	}
}

func TestTheChallengeThatTheClientRepeatsHasToBeThatOfTheSetup(t *testing.T) {
	kind := newKind(t, nil)
	offer, enrolment := begin(t, kind, account, factor.Request{})
	proof := honest(enrolment, es256(t)).proof(t)
	for _, challenge := range []string{"x", enrolment.Challenge + "=", strings.ToLower(enrolment.Challenge) + "A"} {
		proof.Challenge = challenge
		if _, err := kind.Confirm(account, offer.State, proof, now); !errors.Is(err, factor.ErrWrongProof) {
			t.Errorf("%q: %v, want ErrWrongProof", challenge, err)
		}
	}
}

func TestAnAnswerToOneSetupDoesNotConfirmAnother(t *testing.T) {
	kind := newKind(t, nil)
	_, first := begin(t, kind, account, factor.Request{})
	second, _ := begin(t, kind, account, factor.Request{})
	if _, err := kind.Confirm(account, second.State, honest(first, es256(t)).proof(t), now); !errors.Is(err, factor.ErrWrongProof) {
		t.Errorf("%v, want ErrWrongProof", err)
	}
}

func TestAPasskeyThatTheAccountHasIsRefused(t *testing.T) {
	kind := newKind(t, nil)
	holder := account
	holder.Credentials = []json.RawMessage{enrol(t, kind, account, edDSA(t)), enrol(t, kind, account, es256(t))}
	held, err := readRecord(holder.Credentials[1])
	if err != nil {
		t.Fatal(err)
	}

	offer, enrolment := begin(t, kind, holder, factor.Request{})
	if excluded := enrolment.PublicKey.CredentialExcludeList; len(excluded) != 2 || !bytes.Equal(excluded[1].CredentialID, held.ID) {
		t.Errorf("excluded %+v", excluded)
	}
	answer := honest(enrolment, es256(t))
	if _, err := kind.Confirm(holder, offer.State, answer.proof(t), now); err != nil {
		t.Errorf("a new passkey: %v", err)
	}
	answer.id = held.ID
	answer.claimedID = held.ID.String()
	answer.rawID = answer.claimedID
	if _, err := kind.Confirm(holder, offer.State, answer.proof(t), now); !errors.Is(err, factor.ErrWrongProof) {
		t.Errorf("one it has: %v, want ErrWrongProof", err)
	}
}

func TestStatesThatAreNotOursAreNoWrongProof(t *testing.T) {
	kind := newKind(t, nil)
	offer, enrolment := begin(t, kind, account, factor.Request{})
	proof := honest(enrolment, es256(t)).proof(t)
	for _, state := range []string{"", "null", "{}", "[]", `{"challenge":1}`} {
		if _, err := kind.Confirm(account, json.RawMessage(state), proof, now); err == nil || errors.Is(err, factor.ErrWrongProof) {
			t.Errorf("pending %s: %v", state, err)
		}
		holder := account
		holder.Credentials = []json.RawMessage{json.RawMessage(state)}
		if _, err := kind.Confirm(holder, offer.State, proof, now); err == nil || errors.Is(err, factor.ErrWrongProof) {
			t.Errorf("stored %s: %v", state, err)
		}
		if _, err := kind.Begin(holder, factor.Request{}, now); err == nil || errors.Is(err, factor.ErrBadRequest) {
			t.Errorf("stored %s at Begin: %v", state, err)
		}
	}
}

func TestMalformedCredentialsAreWrongProofs(t *testing.T) {
	kind := newKind(t, nil)
	offer, enrolment := begin(t, kind, account, factor.Request{})
	answer := honest(enrolment, es256(t))
	whole := answer.attestationObject(t)

	var proofs []factor.Proof
	for _, credential := range []string{
		"", "null", "{}", "[]", `""`, "1", "{", `{"id":null}`, `{"id":"!","rawId":"!"}`, `{"id":"AQ","rawId":"AQ"}`,
		`{"id":"AQ","rawId":"AQ","type":"public-key"}`,
		`{"id":"AQ","rawId":"AQ","type":"public-key","response":null}`,
		`{"id":"AQ","rawId":"AQ","type":"public-key","response":{"clientDataJSON":"bnVsbA","attestationObject":"oA"}}`,
		`{"id":"` + strings.Repeat("A", 64<<10) + `"}`,
	} {
		proofs = append(proofs, factor.Proof{Credential: json.RawMessage(credential)})
	}
	for length := range whole {
		proofs = append(proofs, answer.proofAround(t, whole[:length]))
	}
	proofs = append(proofs,
		answer.proofAround(t, append(slices.Clone(whole), 0)),
		answer.proofAround(t, bytes.Repeat([]byte{0x81}, 10_000)), // arrays in arrays
		answer.proofAround(t, []byte{0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}),
		answer.proofAround(t, []byte{0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}),
	)
	for i, proof := range proofs {
		if _, err := kind.Confirm(account, offer.State, proof, now); !errors.Is(err, factor.ErrWrongProof) {
			t.Errorf("%d, %.60s: %v, want ErrWrongProof", i, proof.Credential, err)
		}
	}
}

func TestAHugeCredentialIsRefusedBeforeItIsRead(t *testing.T) {
	kind := newKind(t, nil)
	offer, enrolment := begin(t, kind, account, factor.Request{})
	answer := honest(enrolment, es256(t))
	answer.members = map[string]any{"padding": strings.Repeat("x", 64<<10)}
	proof := answer.proof(t)
	if _, err := kind.Confirm(account, offer.State, proof, now); !errors.Is(err, factor.ErrWrongProof) {
		t.Errorf("Confirm: %v, want ErrWrongProof", err)
	}
	if _, err := kind.UniqueID(proof); !errors.Is(err, factor.ErrWrongProof) {
		t.Errorf("UniqueID: %v, want ErrWrongProof", err)
	}
}

func TestOneCredentialIDHasOneUniqueID(t *testing.T) {
	kind := newKind(t, nil)
	// AR and AQ are the same byte, for a decoder that drops spare bits.
	for _, spelled := range []string{"AQ", "AR", "AQ=="} {
		proof := factor.Proof{Credential: json.RawMessage(`{"id":"` + spelled + `","rawId":"AQ"}`)}
		if got, err := kind.UniqueID(proof); err != nil || got != "AQ" {
			t.Errorf("%s: %q, %v, want AQ", spelled, got, err)
		}
	}
}

func TestExtensionOutputsThatNobodyAskedForAreIgnored(t *testing.T) {
	kind := newKind(t, nil)
	offer, enrolment := begin(t, kind, account, factor.Request{})
	answer := honest(enrolment, es256(t))
	answer.members = map[string]any{"clientExtensionResults": map[string]any{"credProps": map[string]any{"rk": true}}}
	if _, err := kind.Confirm(account, offer.State, answer.proof(t), now); err != nil {
		t.Error(err)
	}
}

func TestOnlyPlausibleTransportsAreKept(t *testing.T) {
	kind := newKind(t, nil)
	offer, enrolment := begin(t, kind, account, factor.Request{})
	answer := honest(enrolment, es256(t))
	answer.transports = []string{"usb", "", "usb", "<script>", "USB", "future-2", strings.Repeat("a", 33), "cable",
		"t1", "t2", "t3", "t4", "t5", "t6", "t7"}
	got, err := kind.Confirm(account, offer.State, answer.proof(t), now)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := readRecord(got.State)
	if err != nil {
		t.Fatal(err)
	}
	if want := []protocol.AuthenticatorTransport{"usb", "future-2", "hybrid", "t1", "t2", "t3", "t4", "t5"}; !slices.Equal(kept.Transports, want) {
		t.Errorf("kept %q, want %q", kept.Transports, want)
	}
}

func BenchmarkConfirm(b *testing.B) {
	for name, key := range map[string]coseKey{"ES256": es256(b), "EdDSA": edDSA(b), "RS256": rs256(b)} {
		b.Run(name, func(b *testing.B) {
			kind := newKind(b, nil)
			offer, enrolment := begin(b, kind, account, factor.Request{})
			proof := honest(enrolment, key).proof(b)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := kind.Confirm(account, offer.State, proof, now); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestAnAttestationStatementIsNotLookedAt(t *testing.T) {
	for name, attest := range map[string]func(*response){
		"under the format none": func(r *response) { r.statement = map[string]any{"sig": []byte{1}} },
		"of an unknown format":  func(r *response) { r.format = "homemade" },
		"without a signature":   func(r *response) { r.format, r.statement = "packed", map[string]any{"alg": -7} },
		"that would take long to verify": func(r *response) {
			r.format = "packed"
			r.statement = map[string]any{"alg": -257, "sig": []byte{1}, "x5c": [][]byte{bytes.Repeat([]byte{0x30}, 40000)}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			kind := newKind(t, nil)
			offer, enrolment := begin(t, kind, account, factor.Request{})
			answer := honest(enrolment, es256(t))
			attest(&answer)
			if _, err := kind.Confirm(account, offer.State, answer.proof(t), now); err != nil {
				t.Error(err)
			}
		})
	}
}
