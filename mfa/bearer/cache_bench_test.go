package bearer_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/bearer"
)

// benchClaims make a token of about 1 KB.
func benchClaims(c *clock, subject string) object {
	return claimsAt(c, object{
		"sub": subject, "email": subject + "@example.com", "organization": "acme", "roles": []string{"OWNER", "STAFF"},
		"aud": "api", "sid": strings.Repeat("0123456789", 45),
	})
}

func benchVerifier(b *testing.B, c *clock) *bearer.Verifier {
	b.Helper()
	path := filepath.Join(b.TempDir(), "jwks.json")
	must(0, os.WriteFile(path, jwks(jwkOf(p256Key(), object{"kid": "a"})), 0o600))
	return newVerifier(b, bearer.Config{Keys: must(bearer.JWKSFile(path, nil))}, c)
}

func mustVerify(b *testing.B, verify func(context.Context, string) (bearer.Identity, error), token string) {
	if _, err := verify(context.Background(), token); err != nil {
		b.Error(err)
	}
}

// BenchmarkKnown verifies one token over and over.
func BenchmarkKnown(b *testing.B) {
	c := newClock()
	verifier := benchVerifier(b, c)
	token := es256(benchClaims(c, "alice"))
	for _, bench := range []struct {
		name   string
		verify func(context.Context, string) (bearer.Identity, error)
	}{{"cached", bearer.NewCached(verifier).Verify}, {"uncached", verifier.Verify}} {
		b.Run(bench.name+"/lone", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				mustVerify(b, bench.verify, token)
			}
		})
		b.Run(bench.name+"/parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					mustVerify(b, bench.verify, token)
				}
			})
		})
	}
}

// BenchmarkDistinct verifies tokens none of which was seen before.
func BenchmarkDistinct(b *testing.B) {
	c := newClock()
	verifier := benchVerifier(b, c)
	tokens := make([]string, 4096)
	for i := range tokens {
		tokens[i] = es256(benchClaims(c, fmt.Sprint("user", i)))
	}
	b.Run("cached", func(b *testing.B) {
		b.ReportAllocs()
		var cached *bearer.Cached
		for i := 0; b.Loop(); i++ {
			if i%len(tokens) == 0 {
				cached = bearer.NewCached(verifier)
			}
			mustVerify(b, cached.Verify, tokens[i%len(tokens)])
		}
	})
	b.Run("uncached", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			mustVerify(b, verifier.Verify, tokens[i%len(tokens)])
		}
	})
}

// BenchmarkFlood verifies distinct tokens, far more than fit, and tells how
// much of the heap the cache then takes. They are signed with a secret, which
// is quick.
func BenchmarkFlood(b *testing.B) {
	for _, kind := range []struct {
		name   string
		claims object
	}{
		{"plain", nil},
		{"many roles", object{"roles": strings.Repeat("a1,", 1500)}},
		{"blank roles", object{"roles": strings.Repeat(" ", 4000) + "OWNER"}},
		{"many organizations", object{"organization": strings.Split(strings.Repeat("o ", 999)+"o", " ")}},
		{"kept", object{"plan": strings.Split(strings.Repeat("gold ", 500)+"x", " ")}},
	} {
		b.Run(kind.name, func(b *testing.B) {
			c := newClock()
			verifier := newVerifier(b, bearer.Config{Keys: must(bearer.HMACSecret(secret)), Keep: []string{"plan"}}, c)
			for b.Loop() {
				before := heapInUse()
				cached := bearer.NewCached(verifier)
				for i := range 30_000 {
					claims := claimsAt(c, kind.claims)
					claims["sub"] = fmt.Sprint("user", i)
					mustVerify(b, cached.Verify, sign(object{"alg": "HS256"}, claims, secret))
				}
				b.ReportMetric(float64(heapInUse()-before)/(1<<20), "MiB-heap")
				runtime.KeepAlive(cached)
			}
		})
	}
}

// heapInUse returns how many bytes are in use.
func heapInUse() int64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
