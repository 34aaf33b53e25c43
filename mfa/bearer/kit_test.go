package bearer_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"hash"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/internal/testclock"
	"github.com/caddymfa/caddy-mfa/mfa/bearer"
)

// The keys of the tests. Tokens are signed with the standard library
// alone, so that signer and verifier have nothing in common.
var (
	rsaKey     = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	p256Key    = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
	p256Other  = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
	p384Key    = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)) })
	p521Key    = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader)) })
	ed25519Key = sync.OnceValue(func() ed25519.PrivateKey { return must2(ed25519.GenerateKey(rand.Reader)) })
	secret     = []byte("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func must2[T, U any](_ U, value T, err error) T { return must(value, err) }

type object = map[string]any

type clock = testclock.Clock

func newClock() *clock { return testclock.At(time.Unix(1_700_000_000, 0)) }

func b64(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

// sign makes a compact JWS; header must have alg, payload is either a
// value to encode or the bytes themselves.
func sign(header object, payload any, key any) string {
	body, ok := payload.([]byte)
	if !ok {
		body = must(json.Marshal(payload))
	}
	return signRaw(must(json.Marshal(header)), body, header["alg"].(string), key)
}

func signRaw(header, body []byte, alg string, key any) string {
	input := b64(header) + "." + b64(body)
	return input + "." + b64(signature(alg, []byte(input), key))
}

func signature(alg string, input []byte, key any) []byte {
	hashes := map[string]struct {
		id   crypto.Hash
		make func() hash.Hash
	}{
		"256": {crypto.SHA256, sha256.New},
		"384": {crypto.SHA384, sha512.New384},
		"512": {crypto.SHA512, sha512.New},
	}
	if alg == "EdDSA" || alg == "Ed25519" {
		return ed25519.Sign(key.(ed25519.PrivateKey), input)
	}
	h := hashes[alg[2:]]
	digest := h.make()
	digest.Write(input)
	sum := digest.Sum(nil)
	switch alg[:2] {
	case "HS":
		mac := hmac.New(h.make, key.([]byte))
		mac.Write(input)
		return mac.Sum(nil)
	case "RS":
		return must(rsa.SignPKCS1v15(rand.Reader, key.(*rsa.PrivateKey), h.id, sum))
	case "PS":
		return must(rsa.SignPSS(rand.Reader, key.(*rsa.PrivateKey), h.id, sum, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}))
	case "ES":
		private := key.(*ecdsa.PrivateKey)
		r, s, err := ecdsa.Sign(rand.Reader, private, sum)
		if err != nil {
			panic(err)
		}
		size := (private.Params().BitSize + 7) / 8
		return append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
	}
	panic("no signer for " + alg)
}

// jwkOf makes the public JWK of a private key, with more members on top;
// one that is nil is taken out.
func jwkOf(key any, more object) object {
	var made object
	switch key := key.(type) {
	case *rsa.PrivateKey:
		made = object{"kty": "RSA", "n": b64(key.N.Bytes()), "e": b64(big.NewInt(int64(key.E)).Bytes())}
	case *ecdsa.PrivateKey:
		point := must(key.PublicKey.Bytes())[1:]
		made = object{"kty": "EC", "crv": key.Params().Name, "x": b64(point[:len(point)/2]), "y": b64(point[len(point)/2:])}
	case ed25519.PrivateKey:
		made = object{"kty": "OKP", "crv": "Ed25519", "x": b64(key.Public().(ed25519.PublicKey))}
	case []byte:
		made = object{"kty": "oct", "k": b64(key)}
	}
	maps.Copy(made, more)
	return made
}

func jwks(keys ...object) []byte { return must(json.Marshal(object{"keys": keys})) }

func writeFile(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// fileKeys is a key source of a JWKS file.
func fileKeys(t *testing.T, keys ...object) bearer.KeySource {
	t.Helper()
	source, err := bearer.JWKSFile(writeFile(t, "jwks.json", jwks(keys...)), nil)
	if err != nil {
		t.Fatal(err)
	}
	return source
}

func newVerifier(t testing.TB, config bearer.Config, c *clock) *bearer.Verifier {
	t.Helper()
	if config.Now == nil {
		config.Now = c.Now
	}
	verifier, err := bearer.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return verifier
}

// claimsAt are the claims of a token that is good at the clock's time,
// with more on top; one that is nil is taken out.
func claimsAt(c *clock, more object) object {
	claims := object{
		"iss": "https://login.example.com", "sub": "alice",
		"iat": c.Now().Unix(), "exp": c.Now().Add(time.Minute).Unix(),
	}
	maps.Copy(claims, more)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	return claims
}

func wantIdentity(t *testing.T, verifier *bearer.Verifier, token string) bearer.Identity {
	t.Helper()
	identity, err := verifier.Verify(context.Background(), token)
	if err != nil {
		t.Fatalf("Verify: %v", err)
	}
	return identity
}

// wantInvalid checks that the token is refused for reason, and that the
// reason may be shown.
func wantInvalid(t *testing.T, verifier *bearer.Verifier, token, reason string) {
	t.Helper()
	identity, err := verifier.Verify(context.Background(), token)
	if !errors.Is(err, bearer.ErrInvalidToken) {
		t.Fatalf("Verify: %v, %v; want ErrInvalidToken", identity, err)
	}
	if errors.Is(err, bearer.ErrKeysUnavailable) {
		t.Fatalf("error is of both kinds: %v", err)
	}
	if identity.Subject != "" {
		t.Fatalf("an identity came with the error: %v", identity)
	}
	if !strings.Contains(err.Error(), reason) {
		t.Fatalf("error %q does not say %q", err, reason)
	}
	wantShowable(t, err)
}

// wantShowable checks for the characters of RFC 6750's error_description.
func wantShowable(t *testing.T, err error) {
	t.Helper()
	for _, r := range err.Error() {
		if r < 0x20 || r > 0x7e || r == '"' || r == '\\' {
			t.Fatalf("error %q holds %q", err, r)
		}
	}
}

func wantUnavailable(t *testing.T, verifier *bearer.Verifier, token string) {
	t.Helper()
	identity, err := verifier.Verify(context.Background(), token)
	if !errors.Is(err, bearer.ErrKeysUnavailable) || errors.Is(err, bearer.ErrInvalidToken) {
		t.Fatalf("Verify: %v, %v; want ErrKeysUnavailable alone", identity, err)
	}
}
