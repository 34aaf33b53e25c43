package passkey

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"sync"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

// signer is a passkey's pair of keys.
type signer struct {
	public  coseKey
	private crypto.Signer
	hash    crypto.Hash // 0 when the message itself is signed
}

func (s signer) sign(t testing.TB, message []byte) []byte {
	t.Helper()
	if s.hash != 0 {
		digest := s.hash.New()
		digest.Write(message)
		message = digest.Sum(nil)
	}
	signature, err := s.private.Sign(rand.Reader, message, s.hash)
	if err != nil {
		t.Fatal(err)
	}
	return signature
}

func es256Signer(t testing.TB) signer {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer{ec2Public(t, &private.PublicKey, 1, -7), private, crypto.SHA256}
}

func es384Signer(t testing.TB) signer {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer{ec2Public(t, &private.PublicKey, 2, -35), private, crypto.SHA384}
}

func es512Signer(t testing.TB) signer {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer{ec2Public(t, &private.PublicKey, 3, -36), private, crypto.SHA512}
}

func edDSASigner(t testing.TB) signer {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer{coseKey{1: 1, 3: -8, -1: 6, -2: []byte(public)}, private, 0}
}

// rsaKey is one for all tests, because making it takes long.
var rsaKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

func rs256Signer(t testing.TB) signer {
	t.Helper()
	private, err := rsaKey()
	if err != nil {
		t.Fatal(err)
	}
	return signer{coseKey{1: 3, 3: -257, -1: private.N.Bytes(), -2: []byte{1, 0, 1}}, private, crypto.SHA256}
}

// assertion is all that a browser and an authenticator put into the answer
// at a login, each part open to be made wrong.
type assertion struct {
	typ, challenge, origin string
	clientData             map[string]any // further members
	rpID                   string
	flags                  byte
	signCount              uint32
	extra                  []byte // after the fixed part of authenticator data
	id, rawID              string // base64url
	userHandle             []byte
	signer                 signer
	tamper                 func(clientData, authData, signature *[]byte) // after signing
	members                map[string]any                                // further members of the whole
}

// honestAssertion returns the answer that a good authenticator makes with
// the passkey that state is of.
func honestAssertion(t testing.TB, options LoginOptions, state json.RawMessage, key signer) assertion {
	t.Helper()
	kept, err := readRecord(state)
	if err != nil {
		t.Fatal(err)
	}
	return assertion{
		typ:        "webauthn.get",
		challenge:  options.Challenge,
		origin:     "https://login.example.com",
		rpID:       options.RPID,
		flags:      flagUP | flagUV,
		id:         kept.ID.String(),
		rawID:      kept.ID.String(),
		userHandle: account.Handle,
		signer:     key,
	}
}

func (a assertion) credential(t testing.TB) json.RawMessage {
	t.Helper()
	client := map[string]any{"type": a.typ, "challenge": a.challenge, "origin": a.origin, "crossOrigin": false}
	for name, value := range a.clientData {
		client[name] = value
	}
	clientData := encodeJSON(t, client)

	rpHash, clientHash := sha256.Sum256([]byte(a.rpID)), sha256.Sum256(clientData)
	authData := append(rpHash[:], a.flags)
	authData = binary.BigEndian.AppendUint32(authData, a.signCount)
	authData = append(authData, a.extra...)
	signature := a.signer.sign(t, append(authData[:len(authData):len(authData)], clientHash[:]...))
	if a.tamper != nil {
		a.tamper(&clientData, &authData, &signature)
	}

	response := map[string]any{
		"clientDataJSON":    base64.RawURLEncoding.EncodeToString(clientData),
		"authenticatorData": base64.RawURLEncoding.EncodeToString(authData),
		"signature":         base64.RawURLEncoding.EncodeToString(signature),
	}
	if a.userHandle != nil {
		response["userHandle"] = base64.RawURLEncoding.EncodeToString(a.userHandle)
	}
	whole := map[string]any{
		"id": a.id, "rawId": a.rawID, "type": "public-key",
		"authenticatorAttachment": "platform",
		"clientExtensionResults":  map[string]any{},
		"response":                response,
	}
	for name, value := range a.members {
		whole[name] = value
	}
	return encodeJSON(t, whole)
}

// holderOf returns the account with a passkey of each key, made with the
// further flags and the counter given.
func holderOf(t testing.TB, kind *Kind, flags byte, signCount uint32, keys ...signer) factor.Account {
	t.Helper()
	holder := account
	for _, key := range keys {
		offer, enrolment := begin(t, kind, holder, factor.Request{})
		answer := honest(enrolment, key.public)
		answer.flags |= flags
		answer.signCount = signCount
		got, err := kind.Confirm(holder, offer.State, answer.proof(t), now)
		if err != nil {
			t.Fatal(err)
		}
		holder.Credentials = append(holder.Credentials, got.State)
	}
	return holder
}

func beginLogin(t testing.TB, kind *Kind, holder factor.Account) LoginOptions {
	t.Helper()
	challenge := make([]byte, 32)
	rand.Read(challenge)
	options, err := kind.BeginLogin(challenge, holder.Credentials)
	if err != nil {
		t.Fatal(err)
	}
	return options
}
