package bearer_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/bearer"
)

var allAlgorithms = []string{
	"RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
	"ES256", "ES384", "ES512", "EdDSA", "Ed25519", "HS256", "HS384", "HS512",
}

func TestAKeyIsUsedOnlyWithItsOwnAlgorithms(t *testing.T) {
	c := newClock()
	for _, test := range []struct {
		name    string
		key     any
		more    object
		allowed []string
	}{
		{"RSA", rsaKey(), nil, allAlgorithms[:6]},
		{"RSA for RS256", rsaKey(), object{"alg": "RS256"}, []string{"RS256"}},
		{"RSA for PS512", rsaKey(), object{"alg": "PS512", "use": "sig"}, []string{"PS512"}},
		{"P-256", p256Key(), nil, []string{"ES256"}},
		{"P-384", p384Key(), object{"key_ops": []string{"verify"}}, []string{"ES384"}},
		{"P-521", p521Key(), object{"alg": "ES512"}, []string{"ES512"}},
		{"Ed25519", ed25519Key(), nil, []string{"EdDSA", "Ed25519"}},
		{"Ed25519 for EdDSA", ed25519Key(), object{"alg": "EdDSA"}, []string{"EdDSA", "Ed25519"}},
		{"Ed25519 by its name of RFC 9864", ed25519Key(), object{"alg": "Ed25519"}, []string{"EdDSA", "Ed25519"}},
		{"secret", secret, nil, []string{"HS256", "HS384", "HS512"}},
		{"secret for HS384", secret, object{"alg": "HS384"}, []string{"HS384"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			verifier := newVerifier(t, bearer.Config{Keys: fileKeys(t, jwkOf(test.key, test.more))}, c)
			for _, alg := range allAlgorithms {
				claims := claimsAt(c, nil)
				if slices.Contains(test.allowed, alg) {
					wantIdentity(t, verifier, sign(object{"alg": alg}, claims, test.key))
					continue
				}
				// Signed with whatever key can do it: it must not even
				// come to a look at the signature.
				wantInvalid(t, verifier, sign(object{"alg": alg}, claims, signerFor(alg, test.key)), "no known key fits")
			}
		})
	}
}

// signerFor is key, where it can sign alg at all, or another.
func signerFor(alg string, key any) any {
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if alg[1] == 'S' && (alg[0] == 'R' || alg[0] == 'P') {
			return key
		}
	case *ecdsa.PrivateKey:
		if alg[:2] == "ES" {
			return key
		}
	}
	switch {
	case strings.HasPrefix(alg, "HS"):
		return secret
	case strings.HasPrefix(alg, "ES"):
		return p256Key()
	case strings.HasPrefix(alg, "Ed"):
		return ed25519Key()
	}
	return rsaKey()
}

// unusable are JWKs that no token may be verified with.
func unusable() map[string]object {
	small := new(big.Int).SetBit(big.NewInt(1), 1023, 1)
	large := new(big.Int).SetBit(big.NewInt(1), 8192, 1)
	offCurve := jwkOf(p256Key(), object{"y": jwkOf(p256Other(), nil)["y"]})
	return map[string]object{
		"for encryption":              jwkOf(p256Key(), object{"use": "enc"}),
		"for an encryption algorithm": jwkOf(rsaKey(), object{"alg": "RSA-OAEP"}),
		"for wrapping":                jwkOf(rsaKey(), object{"key_ops": []string{"wrapKey"}}),
		"alg of another type":         jwkOf(p256Key(), object{"alg": "RS256"}),
		"alg of another curve":        jwkOf(p256Key(), object{"alg": "ES384"}),
		"alg none":                    jwkOf(p256Key(), object{"alg": "none"}),
		"RSA key with alg HS256":      jwkOf(rsaKey(), object{"alg": "HS256"}),
		"RSA below 2048 bits":         jwkOf(rsaKey(), object{"n": b64(small.Bytes())}),
		"RSA above 8192 bits":         jwkOf(rsaKey(), object{"n": b64(large.Bytes())}),
		"RSA exponent 1":              jwkOf(rsaKey(), object{"e": "AQ"}),
		"RSA exponent even":           jwkOf(rsaKey(), object{"e": "AQAA"}),
		"RSA exponent beyond int64":   jwkOf(rsaKey(), object{"e": b64([]byte{1, 0, 0, 0, 0, 0, 1, 0, 1})}),
		"EC point off the curve":      offCurve,
		"EC point at zero":            jwkOf(p256Key(), object{"x": "", "y": ""}),
		"EC point too long":           jwkOf(p256Key(), object{"x": b64(make([]byte, 100)) + "AAAB"}),
		"EC curve unknown":            jwkOf(p256Key(), object{"crv": "secp256k1"}),
		"Ed25519 too short":           jwkOf(ed25519Key(), object{"x": "AAAA"}),
		"X25519":                      jwkOf(ed25519Key(), object{"crv": "X25519"}),
		"Ed448":                       jwkOf(ed25519Key(), object{"crv": "Ed448"}),
		"short secret":                {"kty": "oct", "k": b64(secret[:31])},
		"unknown type":                {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA"},
		"kid of the wrong kind":       jwkOf(p256Key(), object{"kid": true}),
		"no members":                  {},
	}
}

func TestAKeyThatCannotBeUsedDoesNotSpoilTheOthers(t *testing.T) {
	c := newClock()
	bad := make([]object, 0, len(unusable()))
	for name, key := range unusable() {
		bad = append(bad, key)
		_, err := bearer.JWKSFile(writeFile(t, "jwks.json", jwks(key)), nil)
		if err == nil || !strings.Contains(err.Error(), "no usable key") {
			t.Errorf("%s: JWKSFile: %v, want no usable key", name, err)
		}
	}
	keys := append(bad, jwkOf(p384Key(), object{"kid": "good", "x5c": []string{"no certificate"}, "x5t": 1, "unknown": object{}}))
	verifier := newVerifier(t, bearer.Config{Keys: fileKeys(t, keys...)}, c)
	wantIdentity(t, verifier, sign(object{"alg": "ES384", "kid": "good"}, claimsAt(c, nil), p384Key()))
	wantInvalid(t, verifier, sign(object{"alg": "ES256"}, claimsAt(c, nil), p256Key()), "no known key fits")
}

func TestAPrivateKeyInAJWKSFileIsRefused(t *testing.T) {
	private := jwkOf(p256Key(), object{"d": b64(must(p256Key().Bytes()))})
	_, err := bearer.JWKSFile(writeFile(t, "jwks.json", jwks(jwkOf(p384Key(), nil), private)), nil)
	if err == nil || !strings.Contains(err.Error(), "key 2: it is a private key") {
		t.Errorf("JWKSFile: %v", err)
	}
	if err != nil && strings.Contains(err.Error(), private["d"].(string)) {
		t.Error("the error holds the key")
	}
}

func TestAJWKSFileMustBeOne(t *testing.T) {
	for name, content := range map[string]string{
		"empty file": "", "no JSON": "keys", "no keys": "{}", "no keys in it": `{"keys":[]}`, "keys of the wrong kind": `{"keys":{}}`,
		"key of the wrong kind": `{"keys":["a"]}`, "one key alone": string(must(p256Single())),
		"too large": `{"keys":[]}` + strings.Repeat(" ", 1<<20),
	} {
		if _, err := bearer.JWKSFile(writeFile(t, "jwks.json", []byte(content)), nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := bearer.JWKSFile(t.TempDir(), nil); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a folder: %v", err)
	}
	if _, err := bearer.JWKSFile(t.TempDir()+"/absent.json", nil); err == nil || !strings.Contains(err.Error(), "absent.json") {
		t.Errorf("no file: %v", err)
	}
}

func p256Single() ([]byte, error) {
	list := jwks(jwkOf(p256Key(), nil))
	return []byte(strings.TrimSuffix(strings.TrimPrefix(string(list), `{"keys":[`), `]}`)), nil
}

func TestASecretMustHave32Bytes(t *testing.T) {
	if _, err := bearer.HMACSecret(secret[:31]); err == nil || !strings.Contains(err.Error(), "at least 32") {
		t.Errorf("31 bytes: %v", err)
	}
	c := newClock()
	given := slices.Clone(secret[:32])
	keys, err := bearer.HMACSecret(given)
	if err != nil {
		t.Fatal(err)
	}
	clear(given)
	verifier := newVerifier(t, bearer.Config{Keys: keys}, c)
	for _, alg := range []string{"HS256", "HS384", "HS512"} {
		wantIdentity(t, verifier, sign(object{"alg": alg, "kid": "whatever"}, claimsAt(c, nil), secret[:32]))
		wantInvalid(t, verifier, sign(object{"alg": alg}, claimsAt(c, nil), secret[:31]), "signature does not verify")
		wantInvalid(t, verifier, sign(object{"alg": alg}, claimsAt(c, nil), given), "signature does not verify")
	}
	wantInvalid(t, verifier, sign(object{"alg": "ES256"}, claimsAt(c, nil), p256Key()), "no known key fits")
}

func TestASecretMayBeGivenInBase64(t *testing.T) {
	c := newClock()
	bytes := slices.Concat([]byte{0xfb, 0xff, 0xfe}, secret[:31]) // has + and / in base64, and two = at its end
	for name, encoded := range map[string]string{
		"standard":           base64.StdEncoding.EncodeToString(bytes),
		"without padding":    base64.RawStdEncoding.EncodeToString(bytes),
		"URL":                base64.URLEncoding.EncodeToString(bytes),
		"URL, not padded":    base64.RawURLEncoding.EncodeToString(bytes),
		"with a line break":  base64.StdEncoding.EncodeToString(bytes) + "\n",
		"with one in it too": base64.StdEncoding.EncodeToString(bytes)[:20] + "\n" + base64.StdEncoding.EncodeToString(bytes)[20:],
	} {
		keys, err := bearer.HMACSecretBase64(encoded)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		verifier := newVerifier(t, bearer.Config{Keys: keys}, c)
		wantIdentity(t, verifier, sign(object{"alg": "HS256"}, claimsAt(c, nil), bytes))
		wantInvalid(t, verifier, sign(object{"alg": "HS256"}, claimsAt(c, nil), []byte(encoded)), "signature does not verify")
	}
	for name, test := range map[string]struct{ encoded, want string }{
		"no base64":                       {"not base64, but a long enough text it is!", "it is not base64: take out the word base64"},
		"cut short":                       {base64.StdEncoding.EncodeToString(bytes)[:45], "it is not base64"},
		"too short when it is decoded":    {base64.StdEncoding.EncodeToString(bytes[:31]), "decoded from base64: HMAC secret has 31 bytes"},
		"empty":                           {"", "decoded from base64: HMAC secret has 0 bytes"},
		"padding, and something after it": {base64.StdEncoding.EncodeToString(bytes) + "AAAA", "it is not base64"},
	} {
		_, err := bearer.HMACSecretBase64(test.encoded)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
		if err != nil && test.encoded != "" && strings.Contains(err.Error(), test.encoded) {
			t.Errorf("%s: the error holds the secret", name)
		}
	}
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func TestAPublicKeyFileIsAKeyOrACertificate(t *testing.T) {
	c := newClock()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "login"}}
	certificate := must(x509.CreateCertificate(rand.Reader, template, template, p384Key().Public(), p384Key()))
	pkix := func(key any) []byte { return pemOf("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(key))) }
	for _, test := range []struct {
		name    string
		content []byte
		alg     string
		key     any
	}{
		{"PKIX RSA", pkix(&rsaKey().PublicKey), "PS256", rsaKey()},
		{"PKIX EC", pkix(&p256Key().PublicKey), "ES256", p256Key()},
		{"PKIX Ed25519", pkix(ed25519Key().Public()), "EdDSA", ed25519Key()},
		{"PKCS#1", pemOf("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&rsaKey().PublicKey)), "RS256", rsaKey()},
		{"certificate", pemOf("CERTIFICATE", certificate), "ES384", p384Key()},
		{"two keys and a remark", slices.Concat([]byte("old\n"), pkix(&p256Key().PublicKey), []byte("new\n"), pkix(&p256Other().PublicKey)), "ES256", p256Other()},
	} {
		t.Run(test.name, func(t *testing.T) {
			keys, err := bearer.PublicKeyFile(writeFile(t, "key.pem", test.content), nil)
			if err != nil {
				t.Fatal(err)
			}
			verifier := newVerifier(t, bearer.Config{Keys: keys}, c)
			wantIdentity(t, verifier, sign(object{"alg": test.alg}, claimsAt(c, nil), test.key))
			// The file gives its keys no names, so any name is theirs.
			wantIdentity(t, verifier, sign(object{"alg": test.alg, "kid": "x"}, claimsAt(c, nil), test.key))
			wantInvalid(t, verifier, sign(object{"alg": "HS256"}, claimsAt(c, nil), secret), "no known key fits")
		})
	}
}

func TestAPublicKeyFileWithAnythingElseIsRefused(t *testing.T) {
	p224 := must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader))
	pkcs8 := must(x509.MarshalPKCS8PrivateKey(p256Key()))
	small := &rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 1023, 1), E: 65537}
	good := pemOf("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(ed25519Key().Public().(ed25519.PublicKey))))
	for _, test := range []struct {
		name    string
		content []byte
		want    string
	}{
		{"empty", nil, "no readable PEM block"},
		{"a JWK set", jwks(jwkOf(p256Key(), nil)), "no readable PEM block"},
		{"PKCS#8 private key", pemOf("PRIVATE KEY", pkcs8), "private key"},
		{"SEC1 private key", pemOf("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(p256Key()))), "private key"},
		{"public, then private", slices.Concat(good, pemOf("PRIVATE KEY", pkcs8)), "private key"},
		{"another block", pemOf("CERTIFICATE REQUEST", pkcs8), `type "CERTIFICATE REQUEST"`},
		{"not what it says", pemOf("PUBLIC KEY", pkcs8), "parsing public key"},
		{"no PKCS#1", pemOf("RSA PUBLIC KEY", pkcs8), "parsing RSA public key"},
		{"no certificate", pemOf("CERTIFICATE", pkcs8), "parsing certificate"},
		{"cut short", slices.Concat(good, good[:40]), "cut short"},
		{"RSA below 2048 bits", pemOf("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(small)), "1024 bits"},
		{"P-224", pemOf("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(p224.Public()))), "EC key"},
	} {
		_, err := bearer.PublicKeyFile(writeFile(t, "key.pem", test.content), nil)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}
