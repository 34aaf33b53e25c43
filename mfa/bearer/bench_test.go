package bearer_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/bearer"
)

func BenchmarkVerify(b *testing.B) {
	c := newClock()
	for _, bench := range []struct {
		alg string
		key any
	}{{"ES256", p256Key()}, {"RS256", rsaKey()}, {"EdDSA", ed25519Key()}, {"HS256", secret}} {
		b.Run(bench.alg, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "jwks.json")
			must(0, os.WriteFile(path, jwks(jwkOf(bench.key, object{"kid": "a"})), 0o600))
			verifier := newVerifier(b, bearer.Config{Keys: must(bearer.JWKSFile(path, nil))}, c)
			token := sign(object{"alg": bench.alg, "kid": "a", "typ": "JWT"}, claimsAt(c, object{
				"email": "alice@example.com", "organization": "acme", "roles": []string{"OWNER"}, "aud": "api",
			}), bench.key)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := verifier.Verify(context.Background(), token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
