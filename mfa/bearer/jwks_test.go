package bearer_test

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddymfa/caddy-mfa/mfa/bearer"
)

// certificateOf makes a certificate of key, which ended long ago: its dates
// count for nothing.
func certificateOf(key crypto.Signer) []byte {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "login"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1, 0),
	}
	return must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))
}

func x5c(key crypto.Signer) []string {
	return []string{base64.StdEncoding.EncodeToString(certificateOf(key)), "the certificate of its issuer"}
}

// Each case is a way in which logins publish their keys, with tokens that are
// good by it, and tokens that are not.
func TestKeySetsAreReadAsLoginsPublishThem(t *testing.T) {
	c := newClock()
	token := func(key any, header object) string { return sign(header, claimsAt(c, nil), key) }
	pemText := func(kind string, der []byte) string { return string(pemOf(kind, der)) }
	for _, test := range []struct {
		name     string
		document any
		good     []string
		bad      map[string]string // and why
	}{
		{"kid is a number, in tokens too", object{"keys": []object{jwkOf(p256Key(), object{"kid": 1}), jwkOf(p256Other(), object{"kid": 2})}},
			[]string{token(p256Key(), object{"alg": "ES256", "kid": 1}), token(p256Other(), object{"alg": "ES256", "kid": "2"})},
			map[string]string{token(p256Key(), object{"alg": "ES256", "kid": 2}): "signature does not verify", token(p256Key(), object{"alg": "ES256", "kid": 10}): "no known key fits"}},
		{"kid is a number, in tokens a text", object{"keys": []object{jwkOf(rsaKey(), object{"kid": 20240101})}},
			[]string{token(rsaKey(), object{"alg": "RS256", "kid": "20240101"})}, nil},
		{"no kid, tokens have one", object{"keys": []object{jwkOf(p256Key(), nil), jwkOf(p256Other(), object{"kid": nil}), jwkOf(rsaKey(), nil)}},
			[]string{token(p256Key(), object{"alg": "ES256", "kid": "x"}), token(p256Other(), object{"alg": "ES256", "kid": "y"}), token(rsaKey(), object{"alg": "RS256", "kid": "z"})},
			map[string]string{token(p384Key(), object{"alg": "ES384", "kid": "x"}): "no known key fits", token(secret, object{"alg": "HS256", "kid": "x"}): "no known key fits"}},
		{"a key with a kid is not tried for another", object{"keys": []object{jwkOf(p256Key(), nil), jwkOf(p256Other(), object{"kid": "b"})}},
			[]string{token(p256Key(), object{"alg": "ES256", "kid": "a"}), token(p256Other(), object{"alg": "ES256", "kid": "b"})},
			map[string]string{token(p256Other(), object{"alg": "ES256", "kid": "a"}): "signature does not verify"}},
		{"x5c alone", object{"keys": []object{
			{"kty": "RSA", "use": "sig", "kid": "r", "x5c": x5c(rsaKey())},
			{"kty": "EC", "kid": "e", "alg": "ES384", "x5c": x5c(p384Key())},
		}},
			[]string{token(rsaKey(), object{"alg": "RS256", "kid": "r"}), token(p384Key(), object{"alg": "ES384", "kid": "e"})},
			map[string]string{token(p256Key(), object{"alg": "ES256", "kid": "e"}): "no known key fits"}},
		{"keys that cannot be read beside a good one", object{"keys": []any{
			"no key", 1, nil, []any{}, object{"kty": 5, "kid": "x"}, object{"kty": "RSA", "kid": "x", "x5c": []string{"!"}}, object{"kty": "RSA", "x5c": "AAAA"},
			object{"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA"}, jwkOf(p256Other(), object{"use": []string{"sig"}}),
			jwkOf(p256Key(), object{"kid": "good"}),
		}}, []string{token(p256Key(), object{"alg": "ES256", "kid": "good"})}, nil},
		{"a map from kid to certificate (Firebase)", object{
			"1fd9": pemText("CERTIFICATE", certificateOf(rsaKey())), "broken": "-----BEGIN CERTIFICATE-----\nAA", "note": "no key", "count": 2,
		},
			[]string{token(rsaKey(), object{"alg": "RS256", "kid": "1fd9"}), token(rsaKey(), object{"alg": "RS256"})},
			map[string]string{token(rsaKey(), object{"alg": "RS256", "kid": "note"}): "no known key fits"}},
		{"a map from kid to public key (Google IAP)", object{"k1": pemText("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(p256Key().Public())))},
			[]string{token(p256Key(), object{"alg": "ES256", "kid": "k1"})},
			map[string]string{token(p256Other(), object{"alg": "ES256", "kid": "k1"}): "signature does not verify"}},
		{"RFC 9864's name in the set, EdDSA in tokens", object{"keys": []object{jwkOf(ed25519Key(), object{"alg": "Ed25519", "kid": "a"})}},
			[]string{token(ed25519Key(), object{"alg": "EdDSA", "kid": "a"}), token(ed25519Key(), object{"alg": "Ed25519", "kid": "a"})}, nil},
		{"EdDSA in the set, RFC 9864's name in tokens", object{"keys": []object{jwkOf(ed25519Key(), object{"alg": "EdDSA", "kid": "a"})}},
			[]string{token(ed25519Key(), object{"alg": "Ed25519", "kid": "a"})}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			document := must(json.Marshal(test.document))
			fromFile, err := bearer.JWKSFile(writeFile(t, "jwks.json", document), nil)
			if err != nil {
				t.Fatal(err)
			}
			server := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(document) })
			fetched, err := bearer.JWKSURL(server.URL, bearer.RemoteOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for _, keys := range []bearer.KeySource{fromFile, fetched} {
				verifier := newVerifier(t, bearer.Config{Keys: keys}, c)
				for _, token := range test.good {
					wantIdentity(t, verifier, token)
				}
				for token, reason := range test.bad {
					wantInvalid(t, verifier, token, reason)
				}
			}
		})
	}
}

func TestAPrivateKeyAmongNamedPEMsIsRefused(t *testing.T) {
	private := string(pemOf("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(p256Key()))))
	_, err := bearer.JWKSFile(writeFile(t, "keys.json", must(json.Marshal(object{"a": private}))), nil)
	if err == nil || !strings.Contains(err.Error(), `key "a": it is a private key`) {
		t.Errorf("JWKSFile: %v", err)
	}
}

func TestAPEMFileIsCalledSoWhereAKeySetIsWanted(t *testing.T) {
	_, err := bearer.JWKSFile(writeFile(t, "key.pem", pemOf("CERTIFICATE", certificateOf(p256Key()))), nil)
	if err == nil || !strings.Contains(err.Error(), "PEM file") || !strings.Contains(err.Error(), "public_key") {
		t.Errorf("JWKSFile: %v", err)
	}
}

func TestKeysThatCannotBeReadAreWarnedOfOnceForAsLongAsTheyAreThere(t *testing.T) {
	c := newClock()
	core, logged := observer.New(zap.WarnLevel)
	broken := object{"kty": "RSA", "kid": "x", "x5c": []string{"!"}}
	document := jwks(broken, jwkOf(p256Other(), object{"kid": "enc", "use": "enc"}), jwkOf(p256Key(), object{"kid": "a"}))
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(document) })
	keys, err := bearer.JWKSURL(server.URL, bearer.RemoteOptions{Logger: zap.New(core)})
	if err != nil {
		t.Fatal(err)
	}
	verifier := newVerifier(t, bearer.Config{Keys: keys}, c)
	unknown := sign(object{"alg": "ES256", "kid": "none"}, claimsAt(c, nil), p256Key())
	for range 3 {
		wantInvalid(t, verifier, unknown, "no known key fits") // each fetches
		c.Advance(time.Minute)
	}
	lines := logged.FilterMessageSnippet("cannot be used").All()
	if len(lines) != 1 {
		t.Fatalf("%d warnings, want 1: %v", len(lines), lines)
	}
	reasons := lines[0].ContextMap()["reasons"].([]any)
	if len(reasons) != 1 || !strings.HasPrefix(reasons[0].(string), "key 1: decoding x5c") {
		t.Errorf("reasons are %q", reasons)
	}
}
