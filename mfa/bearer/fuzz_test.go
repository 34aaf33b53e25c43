package bearer_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/caddymfa/caddy-mfa/mfa/bearer"
)

func FuzzVerifyNeverPanicsAndNeverAcceptsWhatWasNotSigned(f *testing.F) {
	c := newClock()
	path := filepath.Join(f.TempDir(), "jwks.json")
	must(0, os.WriteFile(path, jwks(jwkOf(p256Key(), object{"kid": "a"}), jwkOf(ed25519Key(), nil), jwkOf(rsaKey(), nil)), 0o600))
	verifier := newVerifier(f, bearer.Config{Keys: must(bearer.JWKSFile(path, nil))}, c)
	good := sign(object{"alg": "ES256", "kid": "a"}, claimsAt(c, nil), p256Key())
	f.Add(good)
	f.Add("..")
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Add(sign(object{"alg": "EdDSA"}, []byte(`{"sub":1e9,"exp":[{}]}`), ed25519Key()))
	f.Fuzz(func(t *testing.T, token string) {
		identity, err := verifier.Verify(context.Background(), token)
		switch {
		case err == nil && token != good:
			t.Errorf("accepted as %v", identity)
		case err != nil && !errors.Is(err, bearer.ErrInvalidToken):
			t.Errorf("error is %v", err)
		case err != nil:
			wantShowable(t, err)
		}
	})
}

// The payload is signed here, so that the fuzzer gets past the signature.
func FuzzSignedClaimsNeverPanic(f *testing.F) {
	c := newClock()
	keys := must(bearer.HMACSecret(secret))
	verifier := newVerifier(f, bearer.Config{Keys: keys, Claims: bearer.Claims{Roles: "realm.access.roles"}}, c)
	f.Add([]byte(`{"alg":"HS256"}`), []byte(`{"sub":"a","exp":1700000060,"realm":{"access":{"roles":["x"]}}}`))
	f.Add([]byte(`{"alg":"HS256","typ":"at+jwt"}`), []byte(`{"sub":-1,"exp":1e99,"organization":[1],"amr":"x","aud":["y"]}`))
	f.Add([]byte(`{"alg":"HS256"}`), []byte(`{"sub":"a","exp":1700000060,"organization":[{"id":1},{"name":"x"}],"amr":[{"method":"totp","timestamp":"1.5"}],"auth_time":"2023-11-14T21:56:40+02:00"}`))
	f.Add([]byte(`{"alg":"HS256"}`), []byte(`{"sub":"a","exp":1700000060,"organization":{"x":{"id":"y"},"z":null},"realm":{"access":{"roles":{"x":{"1":"y"},"z":true}}}}`))
	f.Add([]byte(`{"alg":"HS256"}`), []byte(`{"sub":"a","exp":1700000060,"organization":{"id":"y"},"realm":{"access":{"roles":[{"authority":"x","active":false},"y"]}}}`))
	f.Fuzz(func(t *testing.T, header, payload []byte) {
		identity, err := verifier.Verify(context.Background(), signRaw(header, payload, "HS256", secret))
		switch {
		case err == nil && (identity.Subject == "" || identity.Expiry.IsZero()):
			t.Errorf("accepted as %+v", identity)
		case err == nil && identity.AMRTimes != nil && len(identity.AMRTimes) != len(identity.AMR):
			t.Errorf("%d methods have %d times", len(identity.AMR), len(identity.AMRTimes))
		case err == nil && (slices.Contains(identity.Organizations, "") || slices.Contains(identity.Roles, "") || slices.Contains(identity.AMR, "")):
			t.Errorf("an empty one in %+v", identity)
		case err != nil && !errors.Is(err, bearer.ErrInvalidToken):
			t.Errorf("error is %v", err)
		case err != nil:
			wantShowable(t, err)
		}
	})
}

func FuzzReadingAKeySetNeverPanics(f *testing.F) {
	for _, key := range unusable() {
		f.Add(jwks(key))
	}
	f.Add(keysAB())
	f.Add(jwks(jwkOf(rsaKey(), nil), jwkOf(ed25519Key(), nil), jwkOf(secret, nil)))
	path := filepath.Join(f.TempDir(), "jwks.json")
	c := newClock()
	token := sign(object{"alg": "ES256"}, claimsAt(c, nil), p256Key())
	f.Fuzz(func(t *testing.T, document []byte) {
		must(0, os.WriteFile(path, document, 0o600))
		keys, err := bearer.JWKSFile(path, nil)
		if err != nil {
			return
		}
		// A set that was taken must be one that can be used.
		_, err = newVerifier(t, bearer.Config{Keys: keys}, c).Verify(context.Background(), token)
		if err != nil && !errors.Is(err, bearer.ErrInvalidToken) {
			t.Error(err)
		}
	})
}

func FuzzReadingAPEMFileNeverPanics(f *testing.F) {
	private := must(x509.MarshalPKCS8PrivateKey(p256Key()))
	public := must(x509.MarshalPKIXPublicKey(p256Key().Public()))
	block := func(kind string, content []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content})
	}
	f.Add(block("PUBLIC KEY", public))
	f.Add(block("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(rsaKey().Public()))))
	f.Add(block("RSA PUBLIC KEY", public))
	f.Add(block("CERTIFICATE", public))
	f.Add(block("PRIVATE KEY", private))
	f.Add(append(block("PUBLIC KEY", public), "-----BEGIN PUBLIC KEY-----\n"...))
	f.Add([]byte(`{"keys":[]}`))
	path := filepath.Join(f.TempDir(), "key.pem")
	c := newClock()
	token := sign(object{"alg": "ES256"}, claimsAt(c, nil), p256Key())
	f.Fuzz(func(t *testing.T, document []byte) {
		must(0, os.WriteFile(path, document, 0o600))
		keys, err := bearer.PublicKeyFile(path, nil)
		if err != nil {
			return
		}
		_, err = newVerifier(t, bearer.Config{Keys: keys}, c).Verify(context.Background(), token)
		if err != nil && !errors.Is(err, bearer.ErrInvalidToken) {
			t.Error(err)
		}
	})
}

func FuzzAddressSubjectsAreOnePersonInAnyCase(f *testing.F) {
	c := newClock()
	keys := must(bearer.HMACSecret(secret))
	verifier := newVerifier(f, bearer.Config{Keys: keys, Claims: bearer.Claims{Subject: "email"}}, c)
	for _, address := range []string{"Bob@X.org", "a@b.", "a@b..", "bo\u212a@x.org", "", " ", "\u202ea", "ÄB@x.org", "\x00"} {
		f.Add(address)
	}
	f.Fuzz(func(t *testing.T, address string) {
		verify := func(address string) (bearer.Identity, error) {
			return verifier.Verify(context.Background(), sign(object{"alg": "HS256"}, object{"email": address, "exp": c.Now().Unix() + 60}, secret))
		}
		identity, err := verify(address)
		if err != nil {
			return
		}
		if len(identity.Subject) != len(identity.ClaimedSubject()) || !strings.EqualFold(identity.Subject, address) && utf8.ValidString(address) {
			t.Fatalf("%q is %q", address, identity.Subject)
		}
		again, err := verify(identity.Subject)
		if err != nil || again.Subject != identity.Subject || again.Claimed != "" {
			t.Fatalf("%q is %q, which is %q, %v", address, identity.Subject, again.Subject, err)
		}
	})
}
