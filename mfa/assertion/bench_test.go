package assertion_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/assertion"
)

// bearerOf returns an access token of an ordinary length.
func bearerOf(size int) string { return strings.Repeat("x", size) }

func BenchmarkSign(b *testing.B) {
	codec, _ := newCodec(b)
	claims := fullClaims()
	claims.Bearer = bearerOf(1 << 10)
	b.ReportAllocs()
	for b.Loop() {
		sign(b, codec, claims, start)
	}
}

func BenchmarkVerify(b *testing.B) {
	codec, _ := newCodec(b)
	for name, size := range map[string]int{"slim": 0, "1KiB": 1 << 10, "8KiB": 8 << 10} {
		claims := fullClaims()
		claims.Bearer = bearerOf(size)
		token := sign(b, codec, claims, start)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := codec.Verify(token, start); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkSignatureCheck compares the two ways of checking a signature of
// our own.
func BenchmarkSignatureCheck(b *testing.B) {
	private := privateKey(newKeyring(b))
	digest := sha256.Sum256([]byte("x"))
	signature := must(private.Sign(nil, digest[:], crypto.SHA256))
	b.Run("again", func(b *testing.B) {
		for b.Loop() {
			if _, err := private.Sign(nil, digest[:], crypto.SHA256); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("verify", func(b *testing.B) {
		for b.Loop() {
			if !ecdsa.VerifyASN1(&private.PublicKey, digest[:], signature) {
				b.Fatal("refused")
			}
		}
	})
}

func BenchmarkIsAssertion(b *testing.B) {
	token := b64([]byte(`{"alg":"ES256","typ":"JWT"}`)) + "." + bearerOf(1<<10)
	b.ReportAllocs()
	for b.Loop() {
		if assertion.IsAssertion(token) {
			b.Fatal("taken for one")
		}
	}
}
