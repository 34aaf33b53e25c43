package bearer_test

import (
	"crypto/x509"
	"os"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddymfa/caddy-mfa/mfa/bearer"
)

func rewrite(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAKeyFileIsFollowedWithinASecond(t *testing.T) {
	pkix := func(key any) []byte { return pemOf("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(key))) }
	for _, test := range []struct {
		name     string
		open     func(string, *zap.Logger) (bearer.KeySource, error)
		old, new []byte
	}{
		{"JWKS file", bearer.JWKSFile, jwks(jwkOf(p256Key(), object{"kid": "a"})), jwks(jwkOf(p256Other(), object{"kid": "a"}))},
		{"PEM file", bearer.PublicKeyFile, pkix(p256Key().Public()), pkix(p256Other().Public())},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newClock()
			path := writeFile(t, "keys", test.old)
			core, logged := observer.New(zap.InfoLevel)
			keys, err := test.open(path, zap.New(core))
			if err != nil {
				t.Fatal(err)
			}
			verifier := newVerifier(t, bearer.Config{Keys: keys}, c)
			claims := claimsAt(c, nil)
			before := sign(object{"alg": "ES256", "kid": "a"}, claims, p256Key())
			after := sign(object{"alg": "ES256", "kid": "a"}, claims, p256Other())
			wantIdentity(t, verifier, before)

			rewrite(t, path, test.new)
			wantInvalid(t, verifier, after, "signature does not verify")
			c.Advance(time.Second)
			wantIdentity(t, verifier, after)
			wantInvalid(t, verifier, before, "signature does not verify")

			// A broken file, and then none, change nothing; each is told once.
			for _, change := range []func(){
				func() { rewrite(t, path, []byte("broken")) },
				func() { must(0, os.Remove(path)) },
			} {
				change()
				for range 3 {
					c.Advance(time.Second)
					wantIdentity(t, verifier, after)
				}
			}
			if n := logged.FilterLevelExact(zap.ErrorLevel).Len(); n != 2 {
				t.Errorf("%d errors were logged, want 2", n)
			}

			rewrite(t, path, test.old)
			c.Advance(-time.Hour) // a clock that was set back must not stop it
			c.Advance(time.Second)
			back := sign(object{"alg": "ES256"}, claimsAt(c, nil), p256Key())
			wantIdentity(t, verifier, back)
			if logged.FilterMessage("key file can be used again").Len() != 1 {
				t.Error("the recovery was not logged")
			}
		})
	}
}

func TestAPrivateKeyPutInLaterKeepsTheOldKeys(t *testing.T) {
	c := newClock()
	path := writeFile(t, "jwks.json", jwks(jwkOf(p256Key(), nil)))
	keys, err := bearer.JWKSFile(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	verifier := newVerifier(t, bearer.Config{Keys: keys}, c)
	rewrite(t, path, jwks(jwkOf(p256Other(), object{"d": b64(must(p256Other().Bytes()))})))
	wantIdentity(t, verifier, sign(object{"alg": "ES256"}, claimsAt(c, nil), p256Key()))
	wantInvalid(t, verifier, sign(object{"alg": "ES256"}, claimsAt(c, nil), p256Other()), "signature does not verify")
}
