package assertion_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jwt"

	"github.com/caddymfa/caddy-mfa/mfa/assertion"
)

func TestAnAssertionSaysWhatWasSigned(t *testing.T) {
	codec, _ := newCodec(t)
	claims := fullClaims()
	if got := wantValid(t, codec, sign(t, codec, claims, start), start); !reflect.DeepEqual(got, claims) {
		t.Errorf("got  %+v\nwant %+v", got, claims)
	}
	claims.IDP, claims.Bearer, claims.Audience = "", "", []string{"a", "b"}
	if got := wantValid(t, codec, sign(t, codec, claims, start), start); !reflect.DeepEqual(got, claims) {
		t.Errorf("got  %+v\nwant %+v", got, claims)
	}
}

func TestSignDrawsAnIDForEachAssertion(t *testing.T) {
	codec, _ := newCodec(t)
	claims := fullClaims()
	claims.ID = ""
	first := wantValid(t, codec, sign(t, codec, claims, start), start).ID
	second := wantValid(t, codec, sign(t, codec, claims, start), start).ID
	if len(unb64(first)) != 16 || first == second {
		t.Errorf("got the IDs %q and %q, want two of 128 bits", first, second)
	}
}

// TestTheClaimsStandInTheTokenByTheirNames pins the form that others read.
func TestTheClaimsStandInTheTokenByTheirNames(t *testing.T) {
	codec, _ := newCodec(t)
	segments := strings.Split(sign(t, codec, fullClaims(), start), ".")
	var got map[string]any
	if err := json.Unmarshal(unb64(segments[1]), &got); err != nil {
		t.Fatal(err)
	}
	if sealed, _ := got["bearer"].(string); sealed == "" || strings.Contains(string(unb64(sealed)), "claims") {
		t.Errorf("bearer is %q, want it sealed", sealed)
	}
	delete(got, "bearer")
	want := map[string]any{
		"iss": issuer, "sub": "alice", "idp": "https://login.example.com", "aud": "https://api.example.com",
		"amr": []any{"otp", "mfa"}, "acr": "mfa", "mfa_methods": []any{"GOOGLE_AUTH"},
		"auth_time": float64(start.Unix() - 60), "iat": float64(start.Unix()), "exp": float64(start.Unix() + 3600),
		"jti": "an-id", "sid": "a-session",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestTheSlimFormHoldsNoBearerAndFitsACookie(t *testing.T) {
	codec, _ := newCodec(t)
	claims := fullClaims()
	claims.Bearer, claims.IDP, claims.Audience = "", "", []string{"a", "b"}
	token := sign(t, codec, claims, start)
	body := string(unb64(strings.Split(token, ".")[1]))
	for _, absent := range []string{`"bearer"`, `"idp"`} {
		if strings.Contains(body, absent) {
			t.Errorf("%s stands in %s", absent, body)
		}
	}
	if !strings.Contains(body, `"aud":["a","b"]`) {
		t.Errorf("no array of audiences in %s", body)
	}
	if len(token) > 1024 {
		t.Errorf("the slim form is %d bytes long", len(token))
	}
}

func TestAStockLibraryVerifiesAnAssertionByThePublishedKeys(t *testing.T) {
	codec, keyring := newCodec(t)
	token := sign(t, codec, fullClaims(), start)
	set := must(jwk.Parse(must(keyring.JWKS(start))))
	clock := jwt.WithClock(jwt.ClockFunc(func() time.Time { return start }))
	parsed, err := jwt.Parse([]byte(token), jwt.WithKeySet(set), jwt.WithValidate(true), clock,
		jwt.WithIssuer(issuer), jwt.WithAudience("https://api.example.com"))
	if err != nil {
		t.Fatal(err)
	}
	if parsed.Subject() != "alice" || !parsed.Expiration().Equal(start.Add(time.Hour)) {
		t.Errorf("got subject %q, expiry %v", parsed.Subject(), parsed.Expiration())
	}
	others := must(jwk.Parse(must(newKeyring(t).JWKS(start))))
	if _, err := jwt.Parse([]byte(token), jwt.WithKeySet(others), clock); err == nil {
		t.Error("another's keys verify it too")
	}
}

func TestIsAssertionTellsOursFromOthers(t *testing.T) {
	codec, _ := newCodec(t)
	if token := sign(t, codec, fullClaims(), start); !assertion.IsAssertion(token) {
		t.Errorf("%s is not taken for an assertion", token)
	}
	for _, header := range []string{
		``, `{}`, `{"typ":"JWT","alg":"ES256"}`, `{"alg":"ES256","typ":"mfa+jwt"}`, `{"typ":"mfa+jwt2","alg":"ES256"}`,
	} {
		if assertion.IsAssertion(b64([]byte(header)) + ".e30.x") {
			t.Errorf("a token with the header %s is taken for an assertion", header)
		}
	}
}

func TestAnAssertionEndsWithItsExpiryToTheSecond(t *testing.T) {
	codec, _ := newCodec(t)
	token := sign(t, codec, fullClaims(), start)
	wantValid(t, codec, token, start.Add(time.Hour-time.Nanosecond))
	wantInvalid(t, codec, token, start.Add(time.Hour), "expired")
}

func TestAnotherNodesClockMayBeAMinuteAhead(t *testing.T) {
	codec, _ := newCodec(t)
	token := sign(t, codec, fullClaims(), start)
	wantValid(t, codec, token, start.Add(-time.Minute))
	claims := fullClaims()
	claims.AuthTime = start.Add(-time.Hour)
	token = sign(t, codec, claims, start)
	wantInvalid(t, codec, token, start.Add(-time.Minute-time.Second), "future")
}

func TestAFactorShownInTheFutureIsRefused(t *testing.T) {
	codec, _ := newCodec(t)
	claims := fullClaims()
	claims.AuthTime = start
	token := sign(t, codec, claims, start)
	wantValid(t, codec, token, start.Add(-time.Minute)) // as for its date
	wantInvalid(t, codec, token, start.Add(-time.Minute-time.Second), "future")
}

func TestAnAssertionOfAnotherIssuerIsRefused(t *testing.T) {
	keyring, sealer := newKeyring(t), newSealer(t)
	other := assertion.NewCodec("https://other.example.com", keyring, sealer)
	wantInvalid(t, assertion.NewCodec(issuer, keyring, sealer), sign(t, other, fullClaims(), start), start, "another issuer")
}

func TestWhatIsNotWholeIsNotSigned(t *testing.T) {
	codec, _ := newCodec(t)
	for name, spoil := range map[string]func(*assertion.Claims){
		"no subject":            func(c *assertion.Claims) { c.Subject = "" },
		"no session":            func(c *assertion.Claims) { c.Session = "" },
		"no auth_time":          func(c *assertion.Claims) { c.AuthTime = time.Time{} },
		"no iat":                func(c *assertion.Claims) { c.IssuedAt = time.Time{} },
		"no exp":                func(c *assertion.Claims) { c.Expiry = time.Time{} },
		"a subject not UTF-8":   func(c *assertion.Claims) { c.Subject = "\xff" },
		"an issuer not UTF-8":   func(c *assertion.Claims) { c.IDP = "\xff" },
		"a bearer far too long": func(c *assertion.Claims) { c.Bearer = strings.Repeat("~", 60<<10) },
	} {
		claims := fullClaims()
		spoil(&claims)
		if _, err := codec.Sign(claims, start); err == nil {
			t.Errorf("%s: signed", name)
		}
	}
}

func TestABearerOf32KiBFits(t *testing.T) {
	codec, _ := newCodec(t)
	claims := fullClaims()
	claims.Bearer = strings.Repeat("~", 32<<10) // which cannot be made shorter
	claims.Subject = strings.Repeat("s", 1<<10)
	if got := wantValid(t, codec, sign(t, codec, claims, start), start); got.Bearer != claims.Bearer {
		t.Error("another bearer came out")
	}
}
