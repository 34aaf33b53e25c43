package bearer_test

import (
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/internal/testclock"
	"github.com/caddymfa/caddy-mfa/mfa/bearer"
)

// rfc7515Payload is the payload of RFC 7515 appendices A.1 to A.3: iss
// joe, exp 1300819380.
const rfc7515Payload = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"

func TestTheExamplesOfRFC7515Verify(t *testing.T) {
	for _, test := range []struct {
		name  string
		key   object
		token string
	}{
		{
			"A.1 HS256",
			object{"kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"},
			"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." + rfc7515Payload + ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
		},
		{
			"A.2 RS256",
			object{"kty": "RSA", "e": "AQAB", "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"},
			"eyJhbGciOiJSUzI1NiJ9." + rfc7515Payload + ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
		},
		{
			"A.3 ES256",
			object{"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},
			"eyJhbGciOiJFUzI1NiJ9." + rfc7515Payload + ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			exp := time.Unix(1300819380, 0)
			c := testclock.At(exp.Add(-time.Second))
			verifier := newVerifier(t, bearer.Config{Keys: fileKeys(t, test.key), Claims: bearer.Claims{Subject: "iss"}}, c)
			identity := wantIdentity(t, verifier, test.token)
			if identity.Subject != "joe" || !identity.Expiry.Equal(exp) {
				t.Errorf("identity is %+v", identity)
			}
			wantInvalid(t, verifier, strings.Replace(test.token, ".eyJpc3Mi", ".eyJpc3Ni", 1), "signature does not verify")
			c.Advance(time.Second)
			wantInvalid(t, verifier, test.token, "expired")
		})
	}
}

// The payload of that example is a sentence, so the token is refused for
// it, which happens only after the signature has verified.
func TestTheExampleOfRFC8037Verifies(t *testing.T) {
	keys := fileKeys(t, object{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
	verifier := newVerifier(t, bearer.Config{Keys: keys}, newClock())
	const input = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
	const signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
	wantInvalid(t, verifier, input+"."+signature, "not a JSON object")
	wantInvalid(t, verifier, input+"."+strings.Replace(signature, "hgyY", "hgyZ", 1), "signature does not verify")
}
