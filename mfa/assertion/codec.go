package assertion

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// maxClockSkew is how far another node's clock may be ahead when it dates an
// assertion.
const maxClockSkew = time.Minute

// Sealer seals the access token in an assertion; *seal.Keys does.
type Sealer interface {
	// Seal encrypts text so that it opens under the same label only.
	Seal(label string, text []byte) ([]byte, error)
	// Open decrypts what Seal made.
	Open(label string, sealed []byte) ([]byte, error)
}

// Codec signs assertions and verifies them. It is safe for concurrent use
// when its Sealer is.
type Codec struct {
	issuer  string
	keyring *Keyring
	sealer  Sealer
}

// NewCodec makes a Codec of assertions whose iss is issuer.
func NewCodec(issuer string, keyring *Keyring, sealer Sealer) *Codec {
	return &Codec{issuer: issuer, keyring: keyring, sealer: sealer}
}

// bearerLabel is what the access token in the assertion called id is sealed
// under.
func bearerLabel(id string) string { return "caddy-mfa assertion bearer " + id }

// Sign makes an assertion of claims with the key that signs at now. It is an
// error when a required claim is missing, or when the assertion would be
// longer than Verify takes.
func (c *Codec) Sign(claims Claims, now time.Time) (string, error) {
	if claims.ID == "" {
		claims.ID = newID()
	}
	p := newPayload(c.issuer, claims)
	if !p.whole() || !p.utf8() {
		return "", errors.New("signing assertion: a claim is missing or not valid UTF-8")
	}
	if claims.Bearer != "" {
		sealed, err := c.sealer.Seal(bearerLabel(claims.ID), pack(claims.Bearer))
		if err != nil {
			return "", fmt.Errorf("sealing access token: %w", err)
		}
		p.Bearer = encodeSegment(sealed)
	}
	encoded, err := json.Marshal(&p)
	if err != nil {
		return "", fmt.Errorf("encoding claims: %w", err)
	}
	key := c.keyring.signer(now)
	input := key.header + "." + encodeSegment(encoded)
	if len(input)+1+signatureLen > maxToken {
		return "", fmt.Errorf("signing assertion: it would be longer than %d bytes", maxToken)
	}
	signature, err := key.sign(input)
	if err != nil {
		return "", err
	}
	return input + "." + signature, nil
}

// Verify opens an assertion at now. ErrInvalid is returned, wrapped with the
// reason, when it is not one that a Codec of the same issuer, keys and sealer
// made and when it has run out; ErrUnknownKey, which wraps it, when its key
// is not one that counts now.
func (c *Codec) Verify(token string, now time.Time) (Claims, error) {
	header, body, signature, ok := split(token)
	if !ok {
		return Claims{}, invalid("it has not the form of one")
	}
	key, ok := c.keyring.byHeader(header, now)
	if !ok {
		return Claims{}, ErrUnknownKey
	}
	expected, err := key.sign(token[:len(header)+1+len(body)])
	if err != nil {
		return Claims{}, err
	}
	// As text: another spelling of the same bytes is not the same.
	if subtle.ConstantTimeCompare([]byte(expected), []byte(signature)) != 1 {
		return Claims{}, invalid("its signature does not verify")
	}
	encoded, err := decodeSegment(body)
	if err != nil {
		return Claims{}, invalid("its claims are not base64url")
	}
	var p payload
	if json.Unmarshal(encoded, &p) != nil {
		return Claims{}, invalid("its claims do not parse")
	}
	return c.accept(&p, now)
}

// accept holds claims that were signed against issuer and clock, and opens
// the access token in them.
func (c *Codec) accept(p *payload, now time.Time) (Claims, error) {
	claims := p.claims()
	switch {
	case p.Issuer != c.issuer:
		return Claims{}, invalid("it is of another issuer")
	case !p.whole():
		return Claims{}, invalid("a claim is missing")
	case !now.Before(claims.Expiry):
		return Claims{}, invalid("it has expired")
	case claims.IssuedAt.After(now.Add(maxClockSkew)), claims.AuthTime.After(now.Add(maxClockSkew)):
		return Claims{}, invalid("it is dated in the future")
	}
	if p.Bearer == "" {
		return claims, nil
	}
	sealed, err := decodeSegment(p.Bearer)
	if err != nil {
		return Claims{}, invalid("its access token is not base64url")
	}
	text, err := c.sealer.Open(bearerLabel(p.ID), sealed)
	if err != nil {
		return Claims{}, invalid("its access token does not open with these keys")
	}
	if claims.Bearer, err = unpack(text); err != nil {
		return Claims{}, invalid("its access token does not unpack")
	}
	return claims, nil
}

// newID draws a jti: 128 random bits.
func newID() string {
	var id [16]byte
	rand.Read(id[:]) // never fails: it ends the program instead
	return encodeSegment(id[:])
}
