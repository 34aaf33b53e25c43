package assertion_test

import (
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/assertion"
)

func TestAFlippedBitAnywhereIsRefused(t *testing.T) {
	codec, _ := newCodec(t)
	token := sign(t, codec, fullClaims(), start)
	for i := range len(token) {
		for bit := range 8 {
			changed := []byte(token)
			changed[i] ^= 1 << bit
			wantInvalid(t, codec, string(changed), start, "")
		}
	}
}

func TestATokenHasOneSpelling(t *testing.T) {
	codec, keyring := newCodec(t)
	token := sign(t, codec, fullClaims(), start)
	parts := strings.Split(token, ".")
	header, body, signature := parts[0], parts[1], parts[2]
	raw := unb64(signature)
	s := new(big.Int).Sub(elliptic.P256().Params().N, new(big.Int).SetBytes(raw[32:]))
	malleated := b64(append(raw[:32:32], s.FillBytes(make([]byte, 32))...))
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	spare := signature[:85] + string(alphabet[strings.IndexByte(alphabet, signature[85])|1])
	public := must(keyring.JWKS(start))
	for name, changed := range map[string]string{
		"empty":                  "",
		"dots":                   "..",
		"header alone":           header,
		"no signature":           header + "." + body,
		"empty signature":        header + "." + body + ".",
		"four segments":          token + "." + signature,
		"short signature":        token[:len(token)-1],
		"the other s":            header + "." + body + "." + malleated,
		"spare bits":             header + "." + body + "." + spare,
		"padding":                token + "==",
		"padded body":            header + "." + body + "=." + signature,
		"line break at the end":  token + "\n",
		"line break in the body": header + "." + body[:4] + "\r\n" + body[4:] + "." + signature,
		"line break in front":    "\n" + token,
		"other alphabet":         header + "." + body + "." + "+/" + signature[2:],
		"scheme":                 "Bearer " + token,
		"too long":               header + "." + strings.Repeat("A", 80<<10) + "." + signature,
		"alg none":               b64([]byte(`{"typ":"mfa+jwt","alg":"none"}`)) + "." + body + ".",
		"alg none, kid kept":     b64([]byte(strings.Replace(string(unb64(header)), "ES256", "none", 1))) + "." + body + "." + signature,
		"HS256 with the set":     hs256(public, header, body),
	} {
		t.Run(name, func(t *testing.T) { wantInvalid(t, codec, changed, start, "") })
	}
}

func hs256(secret []byte, header, body string) string {
	header = b64([]byte(strings.Replace(string(unb64(header)), "ES256", "HS256", 1)))
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(header + "." + body))
	return header + "." + body + "." + b64(mac.Sum(nil))
}

// TestOnlyOurHeaderIsTaken signs with the right key under headers that mean
// the same, or nearly.
func TestOnlyOurHeaderIsTaken(t *testing.T) {
	codec, keyring := newCodec(t)
	private := privateKey(keyring)
	parts := strings.Split(sign(t, codec, fullClaims(), start), ".")
	ours := string(unb64(parts[0]))
	wantValid(t, codec, es256(private, parts[0], parts[1]), start)
	kid := ours[strings.Index(ours, `"kid":`) : len(ours)-1]
	for _, header := range []string{
		`{"alg":"ES256",` + kid + `,"typ":"mfa+jwt"}`,
		`{"typ":"mfa+jwt", "alg":"ES256",` + kid + `}`,
		`{"typ":"JWT","alg":"ES256",` + kid + `}`,
		`{"typ":"mfa+jwt","alg":"ES256"}`,
		`{"typ":"mfa+jwt","alg":"ES256","kid":"other"}`,
		`{"typ":"mfa+jwt","alg":"ES256","alg":"ES256",` + kid + `}`,
		`{"typ":"mfa+jwt","alg":"ES256",` + kid + `,"crit":["exp"]}`,
	} {
		wantInvalid(t, codec, es256(private, b64([]byte(header)), parts[1]), start, "")
	}
}

func TestAnothersKeyUnderOurHeaderIsRefused(t *testing.T) {
	codec, _ := newCodec(t)
	parts := strings.Split(sign(t, codec, fullClaims(), start), ".")
	wantInvalid(t, codec, es256(privateKey(newKeyring(t)), parts[0], parts[1]), start, "signature")
}

// TestClaimsThatDoNotFitAreRefusedThoughTheSignatureHolds signs bodies with
// the right key.
func TestClaimsThatDoNotFitAreRefusedThoughTheSignatureHolds(t *testing.T) {
	codec, keyring := newCodec(t)
	private := privateKey(keyring)
	claims := fullClaims()
	claims.Bearer = ""
	parts := strings.Split(sign(t, codec, claims, start), ".")
	good := string(unb64(parts[1]))
	iat, exp := fmt.Sprint(start.Unix()), fmt.Sprint(claims.Expiry.Unix())
	signed := func(body string) string { return es256(private, parts[0], b64([]byte(body))) }
	wantValid(t, codec, signed(good), start)
	wantValid(t, codec, signed(strings.Replace(good, "{", `{"later":[1,{"x":null}],`, 1)), start)
	for _, test := range []struct{ old, new, reason string }{
		{`"sub":"alice"`, `"sub":1`, "parse"},
		{`"sub":"alice"`, `"sub":null`, "missing"},
		{`"sub":"alice",`, ``, "missing"},
		{`"sid":"a-session"`, `"sid":""`, "missing"},
		{`"jti":"an-id",`, ``, "missing"},
		{`"exp":` + exp + `,`, ``, "missing"},
		{`"exp":` + exp, `"exp":"` + exp + `"`, "parse"},
		{`"exp":` + exp, `"exp":` + exp + `.5`, "parse"},
		{`"iat":` + iat + `,`, ``, "missing"},
		{`"iss":"` + issuer + `"`, `"iss":"` + issuer + `/"`, "issuer"},
		{`"iss":"` + issuer + `",`, ``, "issuer"},
		{`"aud":"https://api.example.com"`, `"aud":[1]`, "parse"},
		{`"aud":"https://api.example.com"`, `"aud":{}`, "parse"},
		{`"amr":["otp","mfa"]`, `"amr":"otp"`, "parse"},
		{`{`, `{"bearer":"*",`, "base64url"},
		{`{`, `{"bearer":"AAAA",`, "does not open"},
		{`{`, `[`, "parse"},
	} {
		body := strings.Replace(good, test.old, test.new, 1)
		if body == good {
			t.Fatalf("%s does not stand in %s", test.old, good)
		}
		wantInvalid(t, codec, signed(body), start, test.reason)
	}
	wantInvalid(t, codec, es256(private, parts[0], parts[1]+"="), start, "base64url")
	wantInvalid(t, codec, es256(private, parts[0], ""), start, "parse")
	wantInvalid(t, codec, es256(private, parts[0], "e31"), start, "base64url") // e30 with a spare bit set
	wantInvalid(t, codec, signed(good+strings.Repeat(" ", 64<<10)), start, "form")
}

func TestARepeatedClaimIsRefused(t *testing.T) {
	codec, _ := newCodec(t)
	parts := strings.Split(sign(t, codec, fullClaims(), start), ".")
	body := strings.Replace(string(unb64(parts[1])), "{", `{"sub":"mallory",`, 1)
	wantInvalid(t, codec, parts[0]+"."+b64([]byte(body))+"."+parts[2], start, "signature")
}

// TestASealedBearerOpensInItsOwnAssertionOnly moves one into another, with
// the right key.
func TestASealedBearerOpensInItsOwnAssertionOnly(t *testing.T) {
	codec, keyring := newCodec(t)
	claims := fullClaims()
	parts := strings.Split(sign(t, codec, claims, start), ".")
	body := strings.Replace(string(unb64(parts[1])), `"jti":"an-id"`, `"jti":"another"`, 1)
	wantInvalid(t, codec, es256(privateKey(keyring), parts[0], b64([]byte(body))), start, "does not open")
	other := assertion.NewCodec(issuer, keyring, newSealer(t))
	wantInvalid(t, other, sign(t, codec, claims, start), start, "does not open")
}

func TestARefusalRepeatsNothingOfTheToken(t *testing.T) {
	codec, keyring := newCodec(t)
	header := strings.Split(sign(t, codec, fullClaims(), start), ".")[0]
	body := b64(must(json.Marshal(map[string]any{"sub": "MARKER", "exp": "MARKER"})))
	for _, token := range []string{"MARKER", "MARKER.MARKER.MARKER", es256(privateKey(keyring), header, body)} {
		if _, err := codec.Verify(token, start); err == nil || strings.Contains(err.Error(), "MARKER") {
			t.Errorf("got %v", err)
		}
	}
}

func FuzzVerify(f *testing.F) {
	codec, keyring := newCodec(f)
	private := privateKey(keyring)
	parts := strings.Split(sign(f, codec, fullClaims(), start), ".")
	f.Add(strings.Join(parts, "."), "")
	f.Add("..", string(unb64(parts[1])))
	f.Fuzz(func(t *testing.T, token, body string) {
		if _, err := codec.Verify(token, start); err == nil && token != strings.Join(parts, ".") {
			t.Errorf("accepted %q, which was not signed", token)
		}
		// Claims are reached only behind a good signature.
		signed := es256(private, parts[0], b64([]byte(body)))
		if claims, err := codec.Verify(signed, start); err == nil && (claims.Subject == "" || !start.Before(claims.Expiry)) {
			t.Errorf("accepted the claims %q", body)
		}
	})
}

func TestAnAssertionThatIsTooLongIsRefusedUnread(t *testing.T) {
	codec, keyring := newCodec(t)
	good := sign(t, codec, fullClaims(), start)
	parts := strings.Split(good, ".")
	var claims map[string]any
	if err := json.Unmarshal(unb64(parts[1]), &claims); err != nil {
		t.Fatal(err)
	}
	long := func(padding int) string {
		claims["padding"] = strings.Repeat("x", padding)
		return es256(privateKey(keyring), parts[0], b64(must(json.Marshal(claims))))
	}
	wantValid(t, codec, long(8<<10), start)
	wantInvalid(t, codec, long(80<<10), start, "it has not the form of one")
}
