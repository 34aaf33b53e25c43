package bearer_test

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/bearer"
)

func TestAnIdentityHoldsWhatTheTokenClaims(t *testing.T) {
	c := newClock()
	verifier := newVerifier(t, bearer.Config{Keys: fileKeys(t, jwkOf(p256Key(), nil))}, c)
	got := wantIdentity(t, verifier, sign(object{"alg": "ES256", "typ": "JWT"}, claimsAt(c, object{
		"email": "alice@example.com", "organization": "acme", "roles": []string{"OWNER", "STAFF"},
		"auth_time": c.Now().Unix() - 5, "amr": []string{"pwd", "otp"}, "aud": []string{"api", "web"},
	}), p256Key()))
	want := bearer.Identity{
		Issuer: "https://login.example.com", Subject: "alice", Email: "alice@example.com", Organizations: []string{"acme"},
		Roles: []string{"OWNER", "STAFF"}, AuthTime: c.Now().UTC().Add(-5 * time.Second), IssuedAt: c.Now().UTC(),
		Expiry: c.Now().UTC().Add(time.Minute), AMR: []string{"pwd", "otp"}, Audience: []string{"api", "web"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestAnIdentityLeavesEmptyWhatTheTokenDoesNotClaim(t *testing.T) {
	c := newClock()
	verifier := newVerifier(t, bearer.Config{Keys: fileKeys(t, jwkOf(p256Key(), nil))}, c)
	exp := c.Now().Add(time.Minute)
	got := wantIdentity(t, verifier, signRaw([]byte(`{"alg":"ES256"}`),
		fmt.Appendf(nil, `{"sub":"alice","exp":%d,"email":null,"roles":null,"amr":null,"auth_time":null}`, exp.Unix()), "ES256", p256Key()))
	if want := (bearer.Identity{Subject: "alice", Expiry: exp.UTC()}); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// claimCase is one payload, written out, without its exp.
type claimCase struct {
	name    string
	claims  bearer.Claims
	payload string
	want    func(bearer.Identity) any
	equal   any
	refused string
}

func subject(i bearer.Identity) any      { return i.Subject }
func email(i bearer.Identity) any        { return i.Email }
func organization(i bearer.Identity) any { return i.Organizations }
func roles(i bearer.Identity) any        { return i.Roles }
func amr(i bearer.Identity) any          { return i.AMR }
func audience(i bearer.Identity) any     { return i.Audience }

func TestClaimsAreReadByNameAndByPath(t *testing.T) {
	runClaimCases(t, []claimCase{
		{name: "a name of one's own", claims: bearer.Claims{Subject: "userId"}, payload: `"userId":"u1"`, want: subject, equal: "u1"},
		{name: "a dotted path", claims: bearer.Claims{Roles: "realm_access.roles"}, payload: `"sub":"a","realm_access":{"roles":["x"]}`, want: roles, equal: []string{"x"}},
		{name: "a URL with dots", claims: bearer.Claims{Email: "https://example.com/email"}, payload: `"sub":"a","https://example.com/email":"a@b"`, want: email, equal: "a@b"},
		{name: "a path below a URL", claims: bearer.Claims{Organization: "https://example.com/app.org.id"}, payload: `"sub":"a","https://example.com/app":{"org":{"id":7}}`, want: organization, equal: []string{"7"}},
		{name: "the exact name before the path", claims: bearer.Claims{Organization: "org.id"}, payload: `"sub":"a","org":{"id":"path"},"org.id":"name"`, want: organization, equal: []string{"name"}},
		{name: "a path into something that is no object", claims: bearer.Claims{Organization: "org.id"}, payload: `"sub":"a","org":"acme"`, want: organization, equal: []string(nil)},
		{name: "names keep their case", payload: `"Sub":"a"`, refused: "the subject claim (sub) is missing"},
		{name: "sub does not stand in for another subject", claims: bearer.Claims{Subject: "userId"}, payload: `"sub":"a"`, refused: "the subject claim (userId) is missing"},
		{name: "an odd name is not shown", claims: bearer.Claims{Subject: `"ü`}, payload: `"sub":"a"`, refused: "the subject claim is missing"},
	})
}

func TestASubjectIsAStringOrAnInteger(t *testing.T) {
	long := strings.Repeat("a", 1024)
	runClaimCases(t, []claimCase{
		{name: "an integer", payload: `"sub":42`, want: subject, equal: "42"},
		{name: "zero", payload: `"sub":0`, want: subject, equal: "0"},
		{name: "an integer beyond float64", payload: `"sub":9007199254740993`, want: subject, equal: "9007199254740993"},
		{name: "an integer beyond int64", payload: `"sub":-98765432109876543210`, want: subject, equal: "-98765432109876543210"},
		{name: "text beyond ASCII", payload: `"sub":"Zoë"`, want: subject, equal: "Zoë"},
		{name: "the longest", payload: `"sub":"` + long + `"`, want: subject, equal: long},
		{name: "too long", payload: `"sub":"` + long + `a"`, refused: "too long"},
		{name: "empty", payload: `"sub":""`, refused: "missing or empty"},
		{name: "blank", payload: `"sub":" \u00a0"`, refused: "missing or empty"},
		{name: "null", payload: `"sub":null`, refused: "missing or empty"},
		{name: "absent", payload: `"x":1`, refused: "missing or empty"},
		{name: "a fraction", payload: `"sub":1.5`, refused: "must be a string or an integer"},
		{name: "an exponent", payload: `"sub":1e3`, refused: "must be a string or an integer"},
		{name: "negative zero", payload: `"sub":-0`, refused: "must be a string or an integer"},
		{name: "a boolean", payload: `"sub":true`, refused: "must be a string or an integer"},
		{name: "an array", payload: `"sub":["a"]`, refused: "must be a string or an integer"},
		{name: "a line break", payload: `"sub":"a\nb"`, refused: "control characters"},
		{name: "a NUL", payload: `"sub":"a\u0000"`, refused: "control characters"},
		{name: "a C1 control", payload: `"sub":"a\u0085"`, refused: "control characters"},
		{name: "a lone surrogate", payload: `"sub":"a\ud800"`, refused: "not valid Unicode"},
		{name: "invalid UTF-8", payload: "\"sub\":\"a\xff\"", refused: "not valid UTF-8"},
	})
}

func TestTheOtherClaimsTakeTheShapesThatIssuersUse(t *testing.T) {
	runClaimCases(t, []claimCase{
		{name: "email of the wrong kind", payload: `"sub":"a","email":["a@b"]`, want: email, equal: ""},
		{name: "aud as a string", payload: `"sub":"a","aud":"api"`, want: audience, equal: []string{"api"}},
		{name: "iss of the wrong kind", payload: `"sub":"a","iss":1`, refused: "the iss claim must be a string"},
	})
}

func TestClaimsThatReadersCouldSeeDifferentlyAreRefused(t *testing.T) {
	runClaimCases(t, []claimCase{
		{name: "a claim twice", payload: `"sub":"a","sub":"b"`, refused: "twice"},
		{name: "a claim twice, spelled differently", payload: `"sub":"a","s\u0075b":"b"`, refused: "twice"},
		{name: "a member twice further in", payload: `"sub":"a","x":[{"y":1,"y":2}]`, refused: "twice"},
		{name: "too deep", payload: `"sub":"a","x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40), refused: "nested too deep"},
	})
}

func runClaimCases(t *testing.T, cases []claimCase) {
	t.Helper()
	c := newClock()
	keys := fileKeys(t, jwkOf(p256Key(), nil))
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			verifier := newVerifier(t, bearer.Config{Keys: keys, Claims: test.claims}, c)
			payload := fmt.Sprintf(`{"exp":%d,%s}`, c.Now().Unix()+60, test.payload)
			token := signRaw([]byte(`{"alg":"ES256"}`), []byte(payload), "ES256", p256Key())
			if test.refused != "" {
				wantInvalid(t, verifier, token, test.refused)
				return
			}
			if got := test.want(wantIdentity(t, verifier, token)); !reflect.DeepEqual(got, test.equal) {
				t.Errorf("got %q, want %q", got, test.equal)
			}
		})
	}
}

func TestAPayloadThatIsNoJSONObjectIsRefused(t *testing.T) {
	c := newClock()
	verifier := newVerifier(t, bearer.Config{Keys: fileKeys(t, jwkOf(p256Key(), nil))}, c)
	for _, payload := range []string{"", "null", "[]", `"alice"`, `{"sub":"a"} x`, `{"sub":"a"}{}`, `{"sub" "a"}`, `{"sub":"a",}`} {
		wantInvalid(t, verifier, sign(object{"alg": "ES256"}, []byte(payload), p256Key()), "not a JSON object")
	}
}

func TestTimesAreHeldAgainstTheClockWithTheSkewGranted(t *testing.T) {
	c := newClock()
	keys := fileKeys(t, jwkOf(p256Key(), nil))
	now := c.Now().Unix()
	for _, test := range []struct {
		name    string
		skew    time.Duration
		claims  object
		refused string
	}{
		{"no exp", 0, object{"exp": nil}, "no exp"},
		{"exp in a second", 0, object{"exp": now + 1}, ""},
		{"exp now", 0, object{"exp": now}, "expired"},
		{"exp at the epoch", 0, object{"exp": 0}, "expired"},
		{"exp within the skew", 30 * time.Second, object{"exp": now - 29}, ""},
		{"exp at the end of the skew", 30 * time.Second, object{"exp": now - 30}, "expired"},
		{"exp with a fraction to go", 0, object{"exp": float64(now) + 0.5}, ""},
		{"exp as a string", 0, object{"exp": "9999999999"}, "the exp claim must be a number"},
		{"exp beyond all calendars", 0, object{"exp": 1e300}, "the exp claim must be a number"},
		{"exp negative", 0, object{"exp": -1}, "the exp claim must be a number"},
		{"nbf now", 0, object{"nbf": now}, ""},
		{"nbf ahead", 0, object{"nbf": now + 1}, "not valid yet"},
		{"nbf within the skew", 30 * time.Second, object{"nbf": now + 30}, ""},
		{"nbf beyond the skew", 30 * time.Second, object{"nbf": now + 31}, "not valid yet"},
		{"nbf of the wrong kind", 0, object{"nbf": true}, "the nbf claim must be a number"},
		{"iat ahead", 0, object{"iat": now + 1}, "iat claim lies in the future"},
		{"iat within the skew", 30 * time.Second, object{"iat": now + 30}, ""},
		{"no iat", 0, object{"iat": nil}, ""},
		{"auth_time ahead", 0, object{"auth_time": now + 1}, "auth_time claim lies in the future"},
		{"auth_time within the skew", time.Second, object{"auth_time": now + 1}, ""},
		{"auth_time of the wrong kind", 0, object{"auth_time": "now"}, "the auth_time claim must be a number"},
	} {
		t.Run(test.name, func(t *testing.T) {
			verifier := newVerifier(t, bearer.Config{Keys: keys, Skew: test.skew}, c)
			token := sign(object{"alg": "ES256"}, claimsAt(c, test.claims), p256Key())
			if test.refused == "" {
				wantIdentity(t, verifier, token)
				return
			}
			wantInvalid(t, verifier, token, test.refused)
		})
	}
}

func TestATokenExpiresAsTheClockMovesOn(t *testing.T) {
	c := newClock()
	verifier := newVerifier(t, bearer.Config{Keys: fileKeys(t, jwkOf(p256Key(), nil))}, c)
	token := sign(object{"alg": "ES256"}, claimsAt(c, nil), p256Key())
	wantIdentity(t, verifier, token)
	c.Advance(time.Minute)
	wantInvalid(t, verifier, token, "expired")
}

func TestIssuerAndAudienceAreCheckedWhenConfigured(t *testing.T) {
	c := newClock()
	keys := fileKeys(t, jwkOf(p256Key(), nil))
	for _, test := range []struct {
		name     string
		issuer   string
		audience []string
		claims   object
		refused  string
	}{
		{"the issuer", "https://login.example.com", nil, nil, ""},
		{"another issuer", "https://login.example.com/", nil, nil, "another issuer"},
		{"no issuer", "https://login.example.com", nil, object{"iss": nil}, "another issuer"},
		{"one audience of several", "", []string{"x", "api"}, object{"aud": []string{"web", "api"}}, ""},
		{"the audience as a string", "", []string{"api"}, object{"aud": "api"}, ""},
		{"another audience", "", []string{"api"}, object{"aud": []string{"api2", "API"}}, "another audience"},
		{"no audience", "", []string{"api"}, nil, "another audience"},
		{"an empty audience", "", []string{"api"}, object{"aud": []string{}}, "another audience"},
		{"audience of the wrong kind", "", []string{"api"}, object{"aud": object{"api": 1}}, "the aud claim must be"},
	} {
		t.Run(test.name, func(t *testing.T) {
			verifier := newVerifier(t, bearer.Config{Keys: keys, Issuer: test.issuer, Audience: test.audience}, c)
			token := sign(object{"alg": "ES256"}, claimsAt(c, test.claims), p256Key())
			if test.refused == "" {
				wantIdentity(t, verifier, token)
				return
			}
			wantInvalid(t, verifier, token, test.refused)
		})
	}
}

func TestAConfigurationThatCannotBeMeantIsRefused(t *testing.T) {
	keys := fileKeys(t, jwkOf(p256Key(), nil))
	oidc, err := bearer.OIDC("https://login.example.com", bearer.RemoteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, config := range map[string]bearer.Config{
		"no keys: a key source":          {},
		"clock_skew: -1s":                {Keys: keys, Skew: -time.Second},
		"clock_skew: 2562047h47m16.854s": {Keys: keys, Skew: time.Duration(math.MaxInt64) / time.Millisecond * time.Millisecond},
		"audience is empty":              {Keys: keys, Audience: []string{"api", ""}},
		"contradicts the issuer":         {Keys: oidc, Issuer: "https://login.example.com/"},
	} {
		if _, err := bearer.New(config); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("New: %v, want %q", err, name)
		}
	}
}
