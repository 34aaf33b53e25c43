package assertion_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/assertion"
	"github.com/caddymfa/caddy-mfa/mfa/seal"
)

const issuer = "https://example.com"

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func newSealer(t testing.TB) *seal.Keys {
	t.Helper()
	keys, _, err := seal.LoadOrCreate(filepath.Join(t.TempDir(), "mfa.key"))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func newKeyring(t testing.TB) *assertion.Keyring {
	t.Helper()
	keyring, err := assertion.NewKeyring(start)
	if err != nil {
		t.Fatal(err)
	}
	return keyring
}

func newCodec(t testing.TB) (*assertion.Codec, *assertion.Keyring) {
	t.Helper()
	keyring := newKeyring(t)
	return assertion.NewCodec(issuer, keyring, newSealer(t)), keyring
}

func fullClaims() assertion.Claims {
	return assertion.Claims{
		Subject: "alice", IDP: "https://login.example.com", Audience: []string{"https://api.example.com"},
		AMR: []string{"otp", "mfa"}, ACR: "mfa", Methods: []string{"GOOGLE_AUTH"},
		AuthTime: start.Add(-time.Minute), IssuedAt: start, Expiry: start.Add(time.Hour),
		ID: "an-id", Session: "a-session", Bearer: "header.claims.signature",
	}
}

func sign(t testing.TB, codec *assertion.Codec, claims assertion.Claims, now time.Time) string {
	t.Helper()
	token, err := codec.Sign(claims, now)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func wantValid(t *testing.T, codec *assertion.Codec, token string, now time.Time) assertion.Claims {
	t.Helper()
	claims, err := codec.Verify(token, now)
	if err != nil {
		t.Fatalf("refused a good assertion: %v", err)
	}
	return claims
}

func wantInvalid(t *testing.T, codec *assertion.Codec, token string, now time.Time, reason string) {
	t.Helper()
	claims, err := codec.Verify(token, now)
	if !errors.Is(err, assertion.ErrInvalid) {
		t.Fatalf("got error %v, want ErrInvalid (%s)", err, reason)
	}
	if !strings.Contains(err.Error(), reason) {
		t.Errorf("got %q, want the reason %q", err, reason)
	}
	if claims.Subject != "" || claims.Bearer != "" {
		t.Errorf("claims came with the refusal: %+v", claims)
	}
}

func b64(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

func unb64(segment string) []byte { return must(base64.RawURLEncoding.DecodeString(segment)) }

// privateKey takes the newest private key out of a keyring.
func privateKey(keyring *assertion.Keyring) *ecdsa.PrivateKey {
	var keys []struct {
		Private []byte `json:"private"`
	}
	if err := json.Unmarshal(must(keyring.Encode()), &keys); err != nil {
		panic(err)
	}
	return must(ecdsa.ParseRawPrivateKey(elliptic.P256(), keys[len(keys)-1].Private))
}

// es256 signs as RFC 6979 and RFC 7518 section 3.4 have it, by Go's own
// crypto.
func es256(private *ecdsa.PrivateKey, header, body string) string {
	h := crypto.SHA256.New()
	h.Write([]byte(header + "." + body))
	r, s := asn1Integers(must(private.Sign(nil, h.Sum(nil), crypto.SHA256)))
	return header + "." + body + "." + b64(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

// asn1Integers reads the two INTEGERs of an ECDSA-Sig-Value.
func asn1Integers(der []byte) (r, s *big.Int) {
	der = der[2:]
	r = new(big.Int).SetBytes(der[2 : 2+der[1]])
	der = der[2+der[1]:]
	return r, new(big.Int).SetBytes(der[2 : 2+der[1]])
}
