package bearer_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/bearer"
)

func TestATokenWithoutSignatureIsRefused(t *testing.T) {
	c := newClock()
	secretKeys, err := bearer.HMACSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	for _, keys := range []bearer.KeySource{fileKeys(t, jwkOf(p256Key(), nil)), secretKeys} {
		verifier := newVerifier(t, bearer.Config{Keys: keys}, c)
		body := b64(must(json.Marshal(claimsAt(c, nil))))
		for _, alg := range []string{"none", "None", "nOnE", ""} {
			header := b64(must(json.Marshal(object{"alg": alg})))
			wantInvalid(t, verifier, header+"."+body+".", "alg is missing or not accepted")
		}
		wantInvalid(t, verifier, b64([]byte(`{}`))+"."+body+".", "alg is missing or not accepted")
		wantInvalid(t, verifier, b64([]byte(`{"alg":1}`))+"."+body+".", "alg is missing or not accepted")
	}
	verifier := newVerifier(t, bearer.Config{Keys: secretKeys}, c)
	token := sign(object{"alg": "HS256"}, claimsAt(c, nil), secret)
	wantInvalid(t, verifier, token[:strings.LastIndexByte(token, '.')+1], "signature does not verify")
}

func TestAPublicKeyIsNeverUsedAsASecret(t *testing.T) {
	c := newClock()
	der := must(x509.MarshalPKIXPublicKey(&rsaKey().PublicKey))
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	path := writeFile(t, "key.pem", text)
	pemKeys, err := bearer.PublicKeyFile(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	jwksKeys := fileKeys(t, jwkOf(rsaKey(), object{"kid": "a"}))
	for _, keys := range []bearer.KeySource{pemKeys, jwksKeys} {
		verifier := newVerifier(t, bearer.Config{Keys: keys}, c)
		wantIdentity(t, verifier, sign(object{"alg": "RS256", "kid": "a"}, claimsAt(c, nil), rsaKey()))
		for _, forged := range [][]byte{text, []byte(strings.TrimSpace(string(text))), der, rsaKey().N.Bytes()} {
			for _, alg := range []string{"HS256", "HS384", "HS512"} {
				wantInvalid(t, verifier, sign(object{"alg": alg}, claimsAt(c, nil), forged), "no known key fits")
				wantInvalid(t, verifier, sign(object{"alg": alg, "kid": "a"}, claimsAt(c, nil), forged), "no known key fits")
			}
		}
	}
}

func TestKeysInATokenAreNotLookedAt(t *testing.T) {
	c := newClock()
	verifier := newVerifier(t, bearer.Config{Keys: fileKeys(t, jwkOf(p256Key(), object{"kid": "a"}))}, c)
	mine := jwkOf(p256Other(), object{"kid": "a"})
	for _, header := range []object{
		{"alg": "ES256", "jwk": mine},
		{"alg": "ES256", "kid": "a", "jwk": mine},
		{"alg": "ES256", "kid": "a", "jku": "https://evil.example/jwks.json"},
		{"alg": "ES256", "kid": "a", "x5u": "https://evil.example/cert.pem"},
		{"alg": "ES256", "kid": "a", "x5c": []string{"AAAA"}},
	} {
		wantInvalid(t, verifier, sign(header, claimsAt(c, nil), p256Other()), "signature does not verify")
		// A good token that happens to carry such a member stays good.
		wantIdentity(t, verifier, sign(header, claimsAt(c, nil), p256Key()))
	}
}

func TestATokenWithAKidUsesThatKeyAlone(t *testing.T) {
	c := newClock()
	verifier := newVerifier(t, bearer.Config{Keys: fileKeys(t,
		jwkOf(p256Key(), object{"kid": "a"}), jwkOf(p256Other(), object{"kid": "b"}), jwkOf(ed25519Key(), nil))}, c)
	wantIdentity(t, verifier, sign(object{"alg": "ES256", "kid": "b"}, claimsAt(c, nil), p256Other()))
	wantInvalid(t, verifier, sign(object{"alg": "ES256", "kid": "a"}, claimsAt(c, nil), p256Other()), "signature does not verify")
	wantInvalid(t, verifier, sign(object{"alg": "ES256", "kid": "c"}, claimsAt(c, nil), p256Other()), "no known key fits")
	// A key without a kid may be any token's, of its own algorithms alone.
	wantIdentity(t, verifier, sign(object{"alg": "EdDSA", "kid": "a"}, claimsAt(c, nil), ed25519Key()))
	wantInvalid(t, verifier, sign(object{"alg": "ES384", "kid": "a"}, claimsAt(c, nil), p384Key()), "no known key fits")
	// Without a kid, each key that fits gets its try.
	wantIdentity(t, verifier, sign(object{"alg": "ES256"}, claimsAt(c, nil), p256Other()))
	wantIdentity(t, verifier, sign(object{"alg": "EdDSA"}, claimsAt(c, nil), ed25519Key()))
}

func TestNoMoreThanSixteenKeysAreTriedForATokenWithoutKid(t *testing.T) {
	c := newClock()
	var keys []object
	for range 15 {
		keys = append(keys, jwkOf(p256Key(), nil))
	}
	keys = append(keys, jwkOf(p256Other(), nil), jwkOf(p384Key(), nil))
	token := sign(object{"alg": "ES256"}, claimsAt(c, nil), p256Other())
	wantIdentity(t, newVerifier(t, bearer.Config{Keys: fileKeys(t, keys...)}, c), token)

	keys = append([]object{jwkOf(p256Key(), nil)}, keys...)
	verifier := newVerifier(t, bearer.Config{Keys: fileKeys(t, keys...)}, c)
	wantInvalid(t, verifier, token, "signature does not verify")
	// Keys of another kind do not count.
	wantIdentity(t, verifier, sign(object{"alg": "ES384"}, claimsAt(c, nil), p384Key()))
}

func TestHeadersThatAskForMoreThanASignatureAreRefused(t *testing.T) {
	c := newClock()
	verifier := newVerifier(t, bearer.Config{Keys: fileKeys(t, jwkOf(p256Key(), object{"kid": "a"}))}, c)
	for _, test := range []struct{ header, refused string }{
		{`{"alg":"ES256","crit":["exp"],"exp":1}`, "crit"},
		{`{"alg":"ES256","crit":["b64"],"b64":false}`, "crit"},
		{`{"alg":"ES256","crit":[]}`, "crit"},
		{`{"alg":"ES256","crit":null}`, "crit"},
		{`{"alg":"ES256","alg":"none"}`, "twice"},
		{`{"alg":"ES256","kid":"a","k\u0069d":"b"}`, "twice"},
		{`{"alg":"ES256","kid":true}`, "kid must be a string"},
		{`{"alg":"ES256","kid":["a"]}`, "kid must be a string"},
		{`{"alg":"ES256","kid":null}`, "kid must be a string"},
		{`{"alg":"ES256","typ":"logout+jwt"}`, "typ"},
		{`{"alg":"ES256","typ":"application/dpop+jwt"}`, "typ"},
		{`{"alg":"ES256","typ":"mfa+jwt"}`, "typ"},
		{`{"alg":"ES256","typ":7}`, "typ"},
		{`{"alg":"ES256","enc":"A256GCM","kid":"zz"}`, "no known key fits"},
		{`["ES256"]`, "not a JSON object"},
		{``, "not a JSON object"},
		{`{"ALG":"ES256"}`, "alg is missing"},
	} {
		wantInvalid(t, verifier, signRaw([]byte(test.header), must(json.Marshal(claimsAt(c, nil))), "ES256", p256Key()), test.refused)
	}
	for _, typ := range []string{"JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt", "application/okta-internal-at+jwt"} {
		wantIdentity(t, verifier, sign(object{"alg": "ES256", "typ": typ}, claimsAt(c, nil), p256Key()))
	}
}

func TestATokenHasOneSpelling(t *testing.T) {
	c := newClock()
	verifier := newVerifier(t, bearer.Config{Keys: fileKeys(t, jwkOf(p256Key(), nil))}, c)
	token := sign(object{"alg": "ES256"}, claimsAt(c, nil), p256Key())
	wantIdentity(t, verifier, token)
	parts := strings.Split(token, ".")
	payload := must(base64.RawURLEncoding.DecodeString(parts[1]))
	for _, test := range []struct{ name, token, refused string }{
		{"empty", "", "three segments"},
		{"one segment", "abc", "three segments"},
		{"two segments", parts[0] + "." + parts[1], "three segments"},
		{"four segments", token + ".", "three segments"},
		{"many segments", strings.Repeat(".", 8000), "three segments"},
		{"five segments", token + ".a.b", "JWE"},
		{"JSON serialisation", `{"payload":"` + parts[1] + `","signatures":[{"protected":"` + parts[0] + `","signature":"` + parts[2] + `"}]}`, "three segments"},
		{"scheme in front", "Bearer " + token, "base64url"},
		{"line break at the end", token + "\n", "base64url"},
		{"line break inside", parts[0][:4] + "\r\n" + parts[0][4:] + "." + parts[1] + "." + parts[2], "base64url"},
		{"padding", token + "==", "base64url"},
		{"standard alphabet", parts[0] + "." + parts[1] + "." + "+/" + parts[2][2:], "base64url"},
		{"payload in standard base64", parts[0] + "." + base64.StdEncoding.EncodeToString(append(payload, "  "...)) + "=." + parts[2], "base64url"},
		{"spare bits set", token[:len(token)-1] + string(spareBits(token[len(token)-1])), "base64url"},
		{"non-ASCII", token[:20] + "é" + token[20:], "base64url"},
	} {
		t.Run(test.name, func(t *testing.T) { wantInvalid(t, verifier, test.token, test.refused) })
	}
}

// spareBits changes the last character of a signature of 64 bytes in the
// bits that decode to nothing.
func spareBits(c byte) byte {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return alphabet[strings.IndexByte(alphabet, c)|1]
}

func TestATokenOver32KiBIsRefused(t *testing.T) {
	c := newClock()
	verifier := newVerifier(t, bearer.Config{Keys: fileKeys(t, jwkOf(p256Key(), nil))}, c)
	sized := func(size int) string {
		return sign(object{"alg": "ES256"}, claimsAt(c, object{"x": strings.Repeat("x", size)}), p256Key())
	}
	fit, over := "", ""
	for size := 24300; over == ""; size++ {
		if token := sized(size); len(token) <= 32<<10 {
			fit = token
		} else {
			over = token
		}
	}
	wantIdentity(t, verifier, fit)
	wantInvalid(t, verifier, over, "longer than 32 KiB")
}

func TestATokenThatWasChangedIsRefused(t *testing.T) {
	c := newClock()
	verifier := newVerifier(t, bearer.Config{Keys: fileKeys(t, jwkOf(p256Key(), nil))}, c)
	token := sign(object{"alg": "ES256"}, claimsAt(c, nil), p256Key())
	parts := strings.Split(token, ".")
	swapped := b64(must(json.Marshal(claimsAt(c, object{"sub": "mallory"}))))
	wantInvalid(t, verifier, parts[0]+"."+swapped+"."+parts[2], "signature does not verify")
	wantInvalid(t, verifier, b64([]byte(`{"typ":"JWT","alg":"ES256"}`))+"."+parts[1]+"."+parts[2], "signature does not verify")
	wantInvalid(t, verifier, parts[0]+"."+parts[1]+"."+b64(make([]byte, 64)), "signature does not verify")
	wantInvalid(t, verifier, parts[0]+"."+parts[1]+"."+b64(make([]byte, 63)), "signature does not verify")
	wantInvalid(t, verifier, parts[0]+"."+parts[1]+".", "signature does not verify")
}

func TestAReasonNeverRepeatsTheToken(t *testing.T) {
	c := newClock()
	verifier := newVerifier(t, bearer.Config{Keys: fileKeys(t, jwkOf(p256Key(), nil)), Issuer: "i", Audience: []string{"a"}}, c)
	marker := "MARKER"
	for _, token := range []string{
		marker, marker + "." + marker + "." + marker,
		sign(object{"alg": "ES256", "kid": marker}, claimsAt(c, nil), p256Key()),
		sign(object{"alg": "ES256", "typ": marker + "+jwt"}, claimsAt(c, nil), p256Key()),
		sign(object{"alg": "ES256"}, claimsAt(c, object{"iss": marker}), p256Key()),
		sign(object{"alg": "ES256"}, claimsAt(c, object{"iss": "i", "aud": marker}), p256Key()),
		sign(object{"alg": "ES256"}, claimsAt(c, object{"sub": marker + "\n"}), p256Key()),
	} {
		_, err := verifier.Verify(t.Context(), token)
		if err == nil || strings.Contains(err.Error(), marker) {
			t.Errorf("error %q for a marked token", err)
			continue
		}
		wantShowable(t, err)
	}
}
