package passkey

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

// fixedSetup is a setup that is the same in every process, as the inputs
// that a fuzzer keeps have to be.
func fixedSetup() (factor.Offer, Enrolment) {
	challenge := strings.Repeat("A", 43)
	return factor.Offer{State: json.RawMessage(`{"challenge":"` + challenge + `","name":"Passkey"}`)},
		Enrolment{Challenge: challenge, RPID: "example.com", Origin: "https://login.example.com"}
}

// checkAnswer demands of any proof whatsoever that Confirm either keeps
// the credential that UniqueID named or returns ErrWrongProof.
func checkAnswer(t *testing.T, kind *Kind, offer factor.Offer, proof factor.Proof) {
	t.Helper()
	unique, uniqueErr := kind.UniqueID(proof)
	if uniqueErr != nil && !errors.Is(uniqueErr, factor.ErrWrongProof) {
		t.Errorf("UniqueID: %v", uniqueErr)
	}
	got, err := kind.Confirm(account, offer.State, proof, now)
	if err != nil {
		if !errors.Is(err, factor.ErrWrongProof) {
			t.Errorf("Confirm: %v", err)
		}
		return
	}
	kept, err := readRecord(got.State)
	if err != nil {
		t.Fatal(err)
	}
	if uniqueErr != nil || kept.ID.String() != unique {
		t.Errorf("kept %s, but the unique ID is %q, %v", kept.ID, unique, uniqueErr)
	}
}

func FuzzConfirmOfAnyCredential(f *testing.F) {
	kind := newKind(f, nil)
	offer, enrolment := fixedSetup()
	for _, key := range []coseKey{es256(f), edDSA(f), rs256(f)} {
		f.Add([]byte(honest(enrolment, key).proof(f).Credential))
	}
	f.Add([]byte(`{"id":"AQ","rawId":"AQ","type":"public-key","response":{"clientDataJSON":"e30","attestationObject":"oA"}}`))
	f.Fuzz(func(t *testing.T, credential []byte) {
		checkAnswer(t, kind, offer, factor.Proof{Credential: credential})
	})
}

// FuzzConfirmOfAnyAttestation goes past base64 and client data, straight
// to what CBOR and the attestation formats make of their input.
func FuzzConfirmOfAnyAttestation(f *testing.F) {
	kind := newKind(f, nil)
	offer, enrolment := fixedSetup()
	answer := honest(enrolment, es256(f))
	answer.id, answer.claimedID, answer.rawID = []byte{1}, "AQ", "AQ"
	for _, key := range []coseKey{es256(f), edDSA(f), rs256(f)} {
		answer.key = key
		f.Add(answer.attestationObject(f))
	}
	for _, format := range []string{"packed", "tpm", "android-key", "android-safetynet", "fido-u2f", "apple"} {
		answer.format = format
		answer.statement = map[string]any{
			"alg": -7, "sig": []byte{0x30, 6, 2, 1, 1, 2, 1, 1}, "x5c": []any{[]byte{0x30, 0}},
			"ver": "2.0", "certInfo": []byte{0xff}, "pubArea": []byte{0, 1}, "response": []byte("a.b.c"),
		}
		f.Add(answer.attestationObject(f))
	}
	f.Add(encodeCBOR(f, map[string]any{
		"fmt": "compound", "authData": answer.authData(f),
		"attStmt": []any{map[string]any{"fmt": "packed", "attStmt": answer.statement}, map[string]any{"fmt": "none", "attStmt": map[string]any{}}},
	}))
	f.Fuzz(func(t *testing.T, attestation []byte) {
		checkAnswer(t, kind, offer, answer.proofAround(t, attestation))
	})
}

// fuzzedLogin returns an account, the options that it was given and the key
// of its one passkey, the same in every process.
func fuzzedLogin(f *testing.F) (factor.Account, LoginOptions, signer) {
	private := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	key := signer{coseKey{1: 1, 3: -8, -1: 6, -2: []byte(private.Public().(ed25519.PublicKey))}, private, 0}
	holder := account
	holder.Credentials = []json.RawMessage{encodeJSON(f, record{ID: []byte{1}, PublicKey: encodeCBOR(f, key.public), AAGUID: make([]byte, 16), SignCount: 7})}
	return holder, LoginOptions{Challenge: strings.Repeat("A", 43), RPID: "example.com"}, key
}

// checkLogin demands of any assertion whatsoever that it either is refused
// as a wrong proof or answers the challenge and advances the counter.
func checkLogin(t *testing.T, kind *Kind, holder factor.Account, challenge string, credential json.RawMessage) {
	t.Helper()
	answered, challengeErr := Challenge(credential)
	if challengeErr != nil && !errors.Is(challengeErr, factor.ErrWrongProof) {
		t.Errorf("Challenge: %v", challengeErr)
	}
	login, err := kind.VerifyLogin(holder, challenge, credential)
	if err != nil {
		if !errors.Is(err, factor.ErrWrongProof) {
			t.Errorf("VerifyLogin: %v", err)
		}
		return
	}
	kept, err := readRecord(login.State)
	if err != nil {
		t.Fatal(err)
	}
	if challengeErr != nil || answered != challenge || login.Index != 0 || kept.SignCount <= 7 {
		t.Errorf("passkey %d logged in by an answer to %q, %v, with the counter at %d", login.Index, answered, challengeErr, kept.SignCount)
	}
}

func FuzzLoginByAnyCredential(f *testing.F) {
	kind := newKind(f, nil)
	holder, options, key := fuzzedLogin(f)
	for _, count := range []uint32{0, 7, 8} {
		answer := honestAssertion(f, options, holder.Credentials[0], key)
		answer.signCount = count
		f.Add([]byte(answer.credential(f)))
	}
	f.Fuzz(func(t *testing.T, credential []byte) {
		checkLogin(t, kind, holder, options.Challenge, credential)
	})
}

// FuzzLoginByAnySignedData has a willing authenticator sign whatever comes
// after the fixed part of its data.
func FuzzLoginByAnySignedData(f *testing.F) {
	kind := newKind(f, nil)
	holder, options, key := fuzzedLogin(f)
	attested := append(make([]byte, 16), 0, 1, 1)
	f.Add(byte(flagUP), uint32(8), []byte(nil))
	f.Add(byte(flagUP|flagAT), uint32(8), append(attested, encodeCBOR(f, key.public)...))
	f.Add(byte(flagUP|flagUV|0x80), uint32(9), encodeCBOR(f, map[string]any{"hmac-secret": make([]byte, 32)}))
	f.Fuzz(func(t *testing.T, flags byte, signCount uint32, extra []byte) {
		answer := honestAssertion(t, options, holder.Credentials[0], key)
		answer.flags, answer.signCount, answer.extra = flags, signCount, extra
		checkLogin(t, kind, holder, options.Challenge, answer.credential(t))
	})
}

func FuzzStoredPasskey(f *testing.F) {
	kind := newKind(f, nil)
	holder, options, key := fuzzedLogin(f)
	answer := honestAssertion(f, options, holder.Credentials[0], key)
	answer.signCount = 8
	credential := answer.credential(f)
	f.Add([]byte(holder.Credentials[0]))
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"id":"AQ==","publicKey":"","aaguid":"AA=="}`))
	f.Add([]byte(`[1]`))
	f.Fuzz(func(t *testing.T, state []byte) {
		if details, err := Describe(state); err == nil && len(details.AAGUID) != 36 {
			t.Errorf("the AAGUID is %q", details.AAGUID)
		}
		account := holder
		account.Credentials = []json.RawMessage{state}
		_, _ = kind.VerifyLogin(account, options.Challenge, credential)
		_, _ = kind.BeginLogin(make([]byte, 32), account.Credentials)
	})
}
