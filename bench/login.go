package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
)

// subject is the person on whose behalf all requests are made.
const subject = "bench-person"

// loginIssuer is the iss of the login's access tokens.
const loginIssuer = "https://login.example.com"

// login stands for the backend's login: it signs access tokens.
type login struct {
	key    *ecdsa.PrivateKey
	signed int
}

func newLogin() (*login, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making login key: %w", err)
	}
	return &login{key: key}, nil
}

const loginKeyID = "bench"

// writeKeys writes the JWK set of the login's public key to path.
func (l *login) writeKeys(path string) error {
	key, err := jwk.FromRaw(l.key.Public())
	if err != nil {
		return fmt.Errorf("encoding login key: %w", err)
	}
	for name, value := range map[string]any{jwk.KeyIDKey: loginKeyID, jwk.AlgorithmKey: jwa.ES256, jwk.KeyUsageKey: "sig"} {
		if err := key.Set(name, value); err != nil {
			return fmt.Errorf("encoding login key: %w", err)
		}
	}
	set, err := json.Marshal(map[string]any{"keys": []jwk.Key{key}})
	if err != nil {
		return fmt.Errorf("encoding login key: %w", err)
	}
	return os.WriteFile(path, set, 0o600)
}

// token signs an access token as a login makes it; no two are the same.
func (l *login) token() (string, error) { return l.tokenOf(subject) }

// tokenOf is token for another person.
func (l *login) tokenOf(subject string) (string, error) {
	l.signed++
	now := time.Now()
	claims, err := json.Marshal(map[string]any{
		"iss": loginIssuer, "sub": subject, "aud": "https://api.example.com",
		"iat": now.Unix(), "exp": now.Add(2 * time.Hour).Unix(), "jti": fmt.Sprintf("token-%08d", l.signed),
		"email": subject + "@example.com", "organization": "acme", "roles": []string{"USER", "EDITOR"},
	})
	if err != nil {
		return "", fmt.Errorf("encoding claims: %w", err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	input := encode([]byte(`{"alg":"ES256","typ":"at+jwt","kid":"`+loginKeyID+`"}`)) + "." + encode(claims)
	digest := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, l.key, digest[:])
	if err != nil {
		return "", fmt.Errorf("signing access token: %w", err)
	}
	var signature [64]byte // R and S, 32 bytes each: RFC 7518, 3.4
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return input + "." + encode(signature[:]), nil
}
