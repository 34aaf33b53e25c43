package bearer_test

import (
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/bearer"
)

func TestTheMethodsOfASignInAreReadInTheShapesThatIssuersUse(t *testing.T) {
	none := []string(nil)
	cases := []claimCase{
		{name: "a list", payload: `["pwd","otp"]`, equal: []string{"pwd", "otp"}},
		{name: "one text", payload: `"otp"`, equal: []string{"otp"}},
		{name: "one text is not split", payload: `"pwd mfa"`, equal: []string{"pwd mfa"}},
		{name: "objects (Supabase)", payload: `[{"method":"totp","timestamp":1700000000},{"method":"password","timestamp":1699990000}]`, equal: []string{"totp", "password"}},
		{name: "objects without a time", payload: `[{"method":"totp"},"pwd"]`, equal: []string{"totp", "pwd"}},
		{name: "empty ones", payload: `["","otp"," "]`, equal: []string{"otp"}},
		{name: "a number", payload: `1`, equal: none},
		{name: "an object", payload: `{"method":"mfa"}`, equal: none},
		{name: "an object by method", payload: `{"mfa":true}`, equal: none},
		{name: "another member", payload: `[{"name":"mfa"}]`, equal: none},
		{name: "a method that is no text", payload: `[{"method":["mfa"]}]`, equal: none},
		{name: "a list in a list", payload: `[["mfa"]]`, equal: none},
		{name: "one good one beside one that is none", payload: `["mfa",1]`, equal: none},
		{name: "null in a list", payload: `["mfa",null]`, equal: none},
		{name: "a control character", payload: `["mfa","a\n"]`, equal: none},
	}
	for i := range cases {
		cases[i].payload = `"sub":"a","amr":` + cases[i].payload
		cases[i].want = amr
	}
	runClaimCases(t, cases)
}

func TestTheTimeOfASignInIsReadInTheShapesThatIssuersUse(t *testing.T) {
	signedIn := func(i bearer.Identity) any { return i.AuthTime }
	at := time.Unix(1699999000, 0).UTC()
	const refused = "the auth_time claim must be a number of seconds since 1970, or a date and time of ISO 8601 with its zone"
	cases := []claimCase{
		{name: "a number", payload: `"auth_time":1699999000`, want: signedIn, equal: at},
		{name: "a fraction", payload: `"auth_time":1699999000.5`, want: signedIn, equal: at.Add(time.Second / 2)},
		{name: "a number as text", payload: `"auth_time":"1699999000"`, want: signedIn, equal: at},
		{name: "ISO 8601 (ADFS)", payload: `"auth_time":"2023-11-14T21:56:40.000Z"`, want: signedIn, equal: at},
		{name: "with an offset", payload: `"auth_time":"2023-11-14T23:56:40+02:00"`, want: signedIn, equal: at},
		{name: "with an offset in its basic form", payload: `"auth_time":"2023-11-14T19:26:40-0230"`, want: signedIn, equal: at},
		{name: "to the minute", payload: `"auth_time":"2023-11-14T21:56Z"`, want: signedIn, equal: at.Add(-40 * time.Second)},
		{name: "the basic form", payload: `"auth_time":"20231114T215640Z"`, want: signedIn, equal: at},
		{name: "null", payload: `"auth_time":null`, want: signedIn, equal: time.Time{}},
		{name: "no zone", payload: `"auth_time":"2023-11-14T21:56:40"`, refused: refused},
		{name: "a date alone", payload: `"auth_time":"2023-11-14"`, refused: refused},
		{name: "an empty text", payload: `"auth_time":""`, refused: refused},
		{name: "another text", payload: `"auth_time":"now"`, refused: refused},
		{name: "blanks", payload: `"auth_time":" 1699999000"`, refused: refused},
		{name: "hexadecimal", payload: `"auth_time":"0x6553EE28"`, refused: refused},
		{name: "a word that is a number to some", payload: `"auth_time":"Inf"`, refused: refused},
		{name: "milliseconds", payload: `"auth_time":"1699999000000"`, refused: refused},
		{name: "before 1970", payload: `"auth_time":"1969-12-31T23:59:59Z"`, refused: refused},
		{name: "a list", payload: `"auth_time":[1699999000]`, refused: refused},
		{name: "ahead", payload: `"auth_time":"2023-11-15T21:56:40Z"`, refused: "auth_time claim lies in the future"},

		{name: "the newest of the methods", payload: `"amr":[{"method":"password","timestamp":1699998000},{"method":"totp","timestamp":1699999000}]`, want: signedIn, equal: at},
		{name: "auth_time before the methods", payload: `"auth_time":1699998000,"amr":[{"method":"totp","timestamp":1699999000}]`, want: signedIn, equal: at.Add(-1000 * time.Second)},
		{name: "a renewal is no sign-in", payload: `"amr":[{"method":"totp","timestamp":1699999000},{"method":"token_refresh","timestamp":1699999500}]`, want: signedIn, equal: at},
		{name: "a time that is none", payload: `"amr":[{"method":"totp","timestamp":"yesterday"}]`, want: signedIn, equal: time.Time{}},
		{name: "a method that is none has no time", payload: `"amr":[{"method":1,"timestamp":1699999000}]`, want: signedIn, equal: time.Time{}},
		{name: "methods ahead", payload: `"amr":[{"method":"totp","timestamp":1700009999}]`, refused: "auth_time claim lies in the future"},
	}
	for i := range cases {
		cases[i].payload = `"sub":"a",` + cases[i].payload
	}
	runClaimCases(t, cases)
}

func TestTheTimeOfAMethodIsItsOwn(t *testing.T) {
	c := newClock()
	verifier := newVerifier(t, bearer.Config{Keys: fileKeys(t, jwkOf(p256Key(), nil))}, c)
	now := c.Now().Unix()
	entry := func(method string, ago int64) object { return object{"method": method, "timestamp": now - ago} }
	for _, test := range []struct {
		name   string
		claims object
		ago    int64 // -1 for no time
		ok     bool
	}{
		{"its own, not the newest", object{"amr": []object{entry("totp", 900), entry("password", 10)}}, 900, true},
		{"the newest of those that count", object{"amr": []object{entry("totp", 900), entry("sms", 300), entry("password", 10)}}, 300, true},
		{"none where others have one", object{"amr": []any{"totp", entry("password", 10)}}, -1, true},
		{"no later than auth_time", object{"auth_time": now - 600, "amr": []object{entry("totp", 10)}}, 600, true},
		{"auth_time where no method has one", object{"auth_time": now - 600, "amr": []string{"totp"}}, 600, true},
		{"none at all", object{"amr": []string{"totp"}}, -1, true},
		{"another method", object{"auth_time": now, "amr": []string{"pwd"}}, -1, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			identity := wantIdentity(t, verifier, sign(object{"alg": "ES256"}, claimsAt(c, test.claims), p256Key()))
			var want time.Time
			if test.ago >= 0 {
				want = time.Unix(now-test.ago, 0).UTC()
			}
			if at, ok := identity.SignedInBy([]string{"totp", "sms"}); ok != test.ok || !at.Equal(want) {
				t.Errorf("got %v, %v; want %v, %v", at, ok, want, test.ok)
			}
		})
	}
}
