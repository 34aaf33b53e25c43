package passkey

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"testing"

	"github.com/go-webauthn/webauthn/protocol/webauthncbor"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

// The flags of authenticator data (WebAuthn Level 3, section 6.1).
const (
	flagUP = 0x01
	flagUV = 0x04
	flagBE = 0x08
	flagBS = 0x10
	flagAT = 0x40
)

// coseKey is a COSE key before it is encoded.
type coseKey map[int]any

// response is all that a browser and an authenticator put into an answer,
// each part open to be made wrong.
type response struct {
	typ, challenge, origin string
	clientData             map[string]any // further members
	rpID                   string
	flags                  byte
	signCount              uint32
	aaguid                 []byte
	id                     []byte // in authenticator data
	claimedID, rawID       string // base64url, outside of it
	key                    coseKey
	format                 string
	statement              map[string]any
	members                map[string]any // further members of the whole
	transports             []string
}

// honest returns the answer to enrolment that a good authenticator with
// key makes, attestation format "none".
func honest(enrolment Enrolment, key coseKey) response {
	id := make([]byte, 32)
	rand.Read(id)
	return response{
		typ:        "webauthn.create",
		challenge:  enrolment.Challenge,
		origin:     enrolment.Origin,
		rpID:       enrolment.RPID,
		flags:      flagUP | flagUV | flagAT,
		aaguid:     make([]byte, 16),
		id:         id,
		claimedID:  base64.RawURLEncoding.EncodeToString(id),
		rawID:      base64.RawURLEncoding.EncodeToString(id),
		key:        key,
		format:     "none",
		statement:  map[string]any{},
		transports: []string{"internal", "hybrid"},
	}
}

func (r response) authData(t testing.TB) []byte {
	t.Helper()
	hash := sha256.Sum256([]byte(r.rpID))
	data := append(hash[:], r.flags)
	data = binary.BigEndian.AppendUint32(data, r.signCount)
	data = append(data, r.aaguid...)
	data = binary.BigEndian.AppendUint16(data, uint16(len(r.id)))
	data = append(data, r.id...)
	return append(data, encodeCBOR(t, r.key)...)
}

func (r response) attestationObject(t testing.TB) []byte {
	t.Helper()
	return encodeCBOR(t, map[string]any{"fmt": r.format, "attStmt": r.statement, "authData": r.authData(t)})
}

func (r response) proof(t testing.TB) factor.Proof {
	t.Helper()
	return r.proofAround(t, r.attestationObject(t))
}

// proofAround puts attestation into an otherwise unchanged answer.
func (r response) proofAround(t testing.TB, attestation []byte) factor.Proof {
	t.Helper()
	client := map[string]any{"type": r.typ, "challenge": r.challenge, "origin": r.origin, "crossOrigin": false}
	for name, value := range r.clientData {
		client[name] = value
	}
	whole := map[string]any{
		"id": r.claimedID, "rawId": r.rawID, "type": "public-key",
		"authenticatorAttachment": "platform",
		"clientExtensionResults":  map[string]any{},
		"response": map[string]any{
			"clientDataJSON":    base64.RawURLEncoding.EncodeToString(encodeJSON(t, client)),
			"attestationObject": base64.RawURLEncoding.EncodeToString(attestation),
			"transports":        r.transports,
		},
	}
	for name, value := range r.members {
		whole[name] = value
	}
	return factor.Proof{Credential: encodeJSON(t, whole)}
}

func encodeJSON(t testing.TB, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func encodeCBOR(t testing.TB, v any) []byte {
	t.Helper()
	data, err := webauthncbor.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func ec2Key(t testing.TB, curve elliptic.Curve, crv, alg int) coseKey {
	t.Helper()
	private, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return ec2Public(t, &private.PublicKey, crv, alg)
}

func ec2Public(t testing.TB, public *ecdsa.PublicKey, crv, alg int) coseKey {
	t.Helper()
	point, err := public.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	half := (len(point) - 1) / 2
	return coseKey{1: 2, 3: alg, -1: crv, -2: point[1 : 1+half], -3: point[1+half:]}
}

func es256(t testing.TB) coseKey {
	t.Helper()
	return ec2Key(t, elliptic.P256(), 1, -7)
}

func edDSA(t testing.TB) coseKey {
	t.Helper()
	return edDSASigner(t).public
}

func rs256(t testing.TB) coseKey {
	t.Helper()
	return rs256Signer(t).public
}

// with returns key with one member changed.
func (key coseKey) with(label int, value any) coseKey {
	changed := coseKey{}
	for l, v := range key {
		changed[l] = v
	}
	changed[label] = value
	return changed
}
