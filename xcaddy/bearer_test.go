package main_test

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
	"github.com/caddymfa/caddy-mfa/internal/issuertest"
)

const testSecret = "a-secret-of-more-than-32-bytes-0123456789"

// withBearer is edgetest.Caddyfile with another block bearer.
func withBearer(options ...string) string {
	return strings.Replace(edgetest.Caddyfile, "bearer dev", "bearer {\n"+strings.Join(options, "\n")+"\n}", 1)
}

func status(e *edgetest.Edge, token string) edgetest.Answer {
	return e.Do("GET", "/mfa/status", token, nil)
}

func TestATokenOfEachKindOfIssuerIsAccepted(t *testing.T) {
	i := issuertest.Start(t)
	stranger := issuertest.Start(t)
	t.Setenv("MFA_TEST_SECRET", testSecret)
	secretFile := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secretFile, []byte(testSecret), 0o600); err != nil {
		t.Fatal(err)
	}
	fromIssuer := i.Token(claims("alice", map[string]any{"iss": i.URL}))
	fromSecret := issuertest.HMAC(t, testSecret, claims("alice", nil))
	for name, test := range map[string]struct{ option, token string }{
		"jwks_url":              {"jwks_url " + i.URL + "/keys", fromIssuer},
		"oidc":                  {"oidc " + i.URL, fromIssuer},
		"jwks_file":             {"jwks_file ./keys.json", fromIssuer},
		"public_key":            {"public_key ./key.pem", fromIssuer},
		"hmac_secret":           {"hmac_secret " + testSecret, fromSecret},
		"hmac_secret base64":    {"hmac_secret " + base64.StdEncoding.EncodeToString([]byte(testSecret)) + " base64", fromSecret},
		"hmac_secret {env.*}":   {"hmac_secret {env.MFA_TEST_SECRET}", fromSecret},
		"hmac_secret {file.*}":  {"hmac_secret {file." + secretFile + "}", fromSecret},
		"hmac_secret {$SECRET}": {"hmac_secret {$MFA_TEST_SECRET}", fromSecret},
	} {
		t.Run(name, func(t *testing.T) {
			e := edgetest.New(t)
			e.Write("keys.json", string(i.JWKS()))
			e.Write("key.pem", string(i.PEM()))
			e.Start(withBearer(test.option))
			status(e, test.token).Data(t)
			enrol(t, e, test.token)
			wantMethods(t, e, test.token, "GOOGLE_AUTH")
			for what, token := range map[string]string{
				"another issuer's key": stranger.Token(claims("alice", map[string]any{"iss": i.URL})),
				"another secret":       issuertest.HMAC(t, testSecret+"x", claims("alice", nil)),
				// The classic: the public key, which all know, as an HMAC secret.
				"the public key":    issuertest.HMAC(t, string(i.PEM()), claims("alice", map[string]any{"iss": i.URL})),
				"no signature":      unsignedToken(t, claims("alice", map[string]any{"iss": i.URL})),
				"a cut signature":   test.token[:len(test.token)-4],
				"another signature": test.token[:strings.LastIndexByte(test.token, '.')] + fromIssuer[strings.LastIndexByte(fromIssuer, '.'):] + "AA",
			} {
				if answer := status(e, token); answer.Status != 401 || answer.JSON["code"] != "invalid_token" {
					t.Errorf("a token with %s: %d %s", what, answer.Status, answer.Body)
				}
			}
		})
	}
}

func TestAFileOfKeysIsReadAgainWhenItChanges(t *testing.T) {
	i := issuertest.Start(t)
	for option, content := range map[string]func() []byte{"jwks_file": i.JWKS, "public_key": i.PEM} {
		t.Run(option, func(t *testing.T) {
			e := edgetest.New(t)
			e.Write("keys", string(content()))
			e.Start(withBearer(option + " ./keys"))
			status(e, i.Token(claims("alice", nil))).Data(t)
			old := i.Token(claims("alice", map[string]any{"jti": "not shown before"})) // one that was is believed for a minute
			i.Rotate()
			e.Write("keys", string(content()))
			edgetest.Eventually(t, 20*time.Second, "the new key is in use", func() bool {
				return status(e, i.Token(claims("alice", nil))).Status == 200
			})
			status(e, old).WantError(t, 401, "invalid_token", "")
		})
	}
}

func TestARotatedKeyIsFetchedWithoutARestart(t *testing.T) {
	if testing.Short() {
		t.Skip("keys are fetched anew after half a minute at the earliest")
	}
	t.Parallel() // it waits
	i := issuertest.Start(t)
	e := edgetest.New(t)
	e.Start(withBearer("jwks_url " + i.URL + "/keys"))
	enrol(t, e, i.Token(claims("alice", nil)))
	old := i.Token(claims("alice", map[string]any{"jti": "not shown before"})) // one that was is believed for a minute
	i.Rotate()
	rotated := i.Token(claims("alice", nil))
	edgetest.Eventually(t, 45*time.Second, "the rotated key is in use", func() bool {
		return status(e, rotated).Status == 200
	})
	wantMethods(t, e, rotated, "GOOGLE_AUTH") // the same person
	status(e, old).WantError(t, 401, "invalid_token", "")
}

func TestAnIssuerThatIsDownAtTheStartIsWaitedFor(t *testing.T) {
	t.Parallel() // it waits
	i := issuertest.Start(t)
	i.SetDown(true)
	for _, option := range []string{"jwks_url " + i.URL + "/keys", "oidc " + i.URL} {
		e := edgetest.New(t)
		e.Start(withBearer(option))
		token := i.Token(claims("alice", map[string]any{"iss": i.URL}))
		answer := status(e, token)
		answer.WantError(t, http.StatusServiceUnavailable, "unavailable", "")
		if answer.Header.Get("Retry-After") == "" || strings.Contains(answer.Body, i.URL) {
			t.Errorf("the answer is %v %s", answer.Header, answer.Body)
		}
		if through := e.Do("GET", "/page", token, nil); through.Status != 200 {
			t.Errorf("the upstream is out of reach: %d", through.Status)
		}
		i.SetDown(false)
		edgetest.Eventually(t, 30*time.Second, "the keys are fetched", func() bool { return status(e, token).Status == 200 })
		i.SetDown(true)
		status(e, token).Data(t) // the keys are kept
	}
}

func TestAnIssuerThatHangsCostsSecondsAndLeavesTheRestAlone(t *testing.T) {
	t.Parallel() // it waits
	i := issuertest.Start(t)
	e := edgetest.New(t)
	e.Start(withBearer("jwks_url http://" + hangingListener(t) + "/keys"))
	token := i.Token(claims("alice", nil))
	began := time.Now()
	waiting := make(chan edgetest.Answer)
	request := e.Request("GET", "/mfa/status", token, nil)
	go func() {
		answer, err := edgetest.Try(request)
		if err != nil {
			t.Error(err)
		}
		waiting <- answer
	}()
	for range 20 {
		if through := e.Do("GET", "/page", token, nil); through.Status != 200 {
			t.Errorf("the upstream is out of reach: %d", through.Status)
		}
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("20 proxied requests took %v", took)
	}
	(<-waiting).WantError(t, http.StatusServiceUnavailable, "unavailable", "")
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the refusal took %v", took)
	}
}

func TestAnIssuerThatIsAnotherThanConfiguredIsNotTrusted(t *testing.T) {
	i := issuertest.Start(t)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, i.URL+r.URL.Path, http.StatusFound) // its document names i
	}))
	t.Cleanup(front.Close)
	e := edgetest.New(t)
	e.Start(withBearer("oidc " + front.URL))
	status(e, i.Token(claims("alice", map[string]any{"iss": front.URL}))).WantError(t, 503, "unavailable", "")
	e.AwaitLog("configure the issuer exactly")
}

func TestTheClaimsOfATokenAreChecked(t *testing.T) {
	e := edgetest.New(t)
	e.Start(withBearer("hmac_secret "+testSecret, "issuer https://login.example.org/", "audience api other-api"))
	good := map[string]any{"iss": "https://login.example.org/", "aud": []string{"web", "api"}}
	change := func(name string, value any) map[string]any {
		all := claims("alice", good)
		for n, v := range claims("alice", map[string]any{name: value}) {
			if n == name {
				all[n] = v
			}
		}
		if value == nil {
			delete(all, name)
		}
		return all
	}
	now := time.Now()
	for name, test := range map[string]struct {
		claims map[string]any
		status int
	}{
		"as it should be":           {claims("alice", good), 200},
		"aud as a text":             {change("aud", "other-api"), 200},
		"expired within the skew":   {change("exp", now.Add(-10*time.Second).Unix()), 200},
		"iss of another":            {change("iss", "https://login.example.org"), 401},
		"no iss":                    {change("iss", nil), 401},
		"aud of another":            {change("aud", "web"), 401},
		"no aud":                    {change("aud", nil), 401},
		"expired":                   {change("exp", now.Add(-time.Minute).Unix()), 401},
		"no exp":                    {change("exp", nil), 401},
		"exp as a text":             {change("exp", "never"), 401},
		"not yet valid":             {change("nbf", now.Add(time.Hour).Unix()), 401},
		"issued in the future":      {change("iat", now.Add(time.Hour).Unix()), 401},
		"no sub":                    {change("sub", nil), 401},
		"an empty sub":              {change("sub", ""), 401},
		"a sub that is a structure": {change("sub", map[string]any{"id": "alice"}), 401},
	} {
		answer := status(e, issuertest.HMAC(t, testSecret, test.claims))
		if answer.Status != test.status {
			t.Errorf("%s: %d %s, want %d", name, answer.Status, answer.Body, test.status)
		}
		challenge := answer.Header.Get("WWW-Authenticate")
		if test.status == 401 && (!strings.HasPrefix(challenge, `Bearer realm="mfa", error="invalid_token", error_description="`) ||
			strings.Contains(challenge, "acr_values")) {
			t.Errorf("%s: the challenge is %q", name, challenge)
		}
	}
}

func TestTheChallengesAreThoseOfRFC6750(t *testing.T) {
	e := edgetest.New(t)
	e.Start(edgetest.Caddyfile)
	token := e.Token("alice", nil)
	for name, test := range map[string]struct {
		headers   []string
		status    int
		challenge string // "" for none, "…" at the end for any rest
	}{
		"no credentials":           {nil, 401, `Bearer realm="mfa"`},
		"another scheme":           {[]string{"Authorization: Basic YTpi"}, 401, `Bearer realm="mfa"`},
		"no token":                 {[]string{"Authorization: Bearer "}, 401, `Bearer realm="mfa"…`},
		"no JWT":                   {[]string{"Authorization: Bearer abc"}, 401, `Bearer realm="mfa", error="invalid_token", error_description="…`},
		"the scheme in lower case": {[]string{"authorization: bearer " + token}, 200, ""},
		"two headers":              {[]string{"Authorization: Bearer " + token, "Authorization: Bearer " + token}, 400, ""},
		"a token in the query":     {nil, 401, `Bearer realm="mfa"`},
	} {
		target := "/mfa/status"
		if strings.Contains(name, "query") {
			target += "?access_token=" + token
		}
		answer := e.Raw("GET "+target, test.headers...)
		got := answer.Header.Get("WWW-Authenticate")
		want, open := strings.CutSuffix(test.challenge, "…")
		if answer.Status != test.status || open && !strings.HasPrefix(got, want) || !open && got != want {
			t.Errorf("%s: %d %q %s, want %d %q", name, answer.Status, got, answer.Body, test.status, test.challenge)
		}
		for header, want := range map[string]string{"Content-Type": "application/json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"} {
			if got := answer.Header.Get(header); got != want {
				t.Errorf("%s: %s is %q", name, header, got)
			}
		}
	}
}

func TestAClaimOfAnotherNameIsThePerson(t *testing.T) {
	e := edgetest.New(t)
	e.Start(withBearer("hmac_secret "+testSecret, "claim subject userId", "claim email profile.mail"))
	number := issuertest.HMAC(t, testSecret, claims("", map[string]any{"sub": nil, "userId": 4711, "profile": map[string]any{"mail": "alice@example.org"}}))
	text := issuertest.HMAC(t, testSecret, claims("", map[string]any{"sub": "whoever", "userId": "alice"}))
	setup := setupTOTP(t, e, text)
	if !strings.HasPrefix(setup["otpauthUrl"].(string), "otpauth://totp/Acme:alice?") {
		t.Errorf("the setup is for %v", setup["otpauthUrl"])
	}
	verifyTOTP(e, text, edgetest.Code(t, setup["secret"].(string))).WantMessage(t, "MFA setup verified and enabled")
	again := issuertest.HMAC(t, testSecret, claims("", map[string]any{"sub": "another", "userId": "alice"}))
	wantMethods(t, e, again, "GOOGLE_AUTH")
	if url := setupTOTP(t, e, number)["otpauthUrl"].(string); !strings.HasPrefix(url, "otpauth://totp/Acme:alice@example.org?") {
		t.Errorf("the setup is for %v", url)
	}
	status(e, issuertest.HMAC(t, testSecret, claims("alice", nil))).WantError(t, 401, "invalid_token", "")
}

// Each claim is asked by an administrator's route: it tells a caller without
// exactly one organization from one without the role, and both from one who
// has to show a factor first.
func TestRolesAndOrganizationsAreReadAsIssuersWriteThem(t *testing.T) {
	e := edgetest.New(t)
	e.Start(withBearer("hmac_secret "+testSecret, "claim organization org"))
	list, object := func(values ...any) []any { return values }, func(name string, value any) map[string]any { return map[string]any{name: value} }
	const asked, forbidden, none, refused = "insufficient_user_authentication", "insufficient_scope", "no_organization", "invalid_token"
	for _, test := range []struct {
		org, roles any
		code       string
	}{
		{"acme", "OWNER", asked},
		{"acme", "OWNER of nothing", forbidden},
		{"acme", list("OWNER", 1), forbidden},
		{"acme", list(object("authority", "OWNER")), asked},
		{"acme", list(map[string]any{"name": "OWNER", "value": false}), forbidden},
		{"acme", object("OWNER", object("2011", "acme.example.com")), asked},
		{"acme", object("OWNER", false), forbidden},
		{list(object("id", 7)), "OWNER", asked},
		{object("acme", map[string]any{}), "OWNER", asked},
		{list("acme", "acme"), "OWNER", asked},
		{list(object("name", "acme"), object("name", "other")), "OWNER", none},
		{list(list("acme")), "OWNER", refused},
	} {
		token := issuertest.HMAC(t, testSecret, claims("alice", map[string]any{"org": test.org, "roles": test.roles}))
		answer := e.Do("POST", "/mfa/organization/enforce", token, map[string]any{"enforced": true})
		if !strings.Contains(answer.Body, `"code":"`+test.code+`"`) {
			t.Errorf("organization %v, roles %v: %d %s, want %s", test.org, test.roles, answer.Status, answer.Body, test.code)
		}
	}
}

func TestPeopleOfTwoIssuersWithOneNameAreTwo(t *testing.T) {
	e := edgetest.New(t)
	e.Start(withBearer("hmac_secret " + testSecret))
	one := issuertest.HMAC(t, testSecret, claims("alice", map[string]any{"iss": "https://one.example"}))
	other := issuertest.HMAC(t, testSecret, claims("alice", map[string]any{"iss": "https://two.example"}))
	enrol(t, e, one)
	wantMethods(t, e, one, "GOOGLE_AUTH")
	wantMethods(t, e, other)
}

func TestAConfigurationOfTheBearerThatCannotBeSafeIsRefused(t *testing.T) {
	for name, test := range map[string]struct{ config, want string }{
		"no source":          {withBearer("issuer https://login.example"), "exactly one of"},
		"two sources":        {withBearer("dev", "hmac_secret "+testSecret), "exactly one of"},
		"a short secret":     {withBearer("hmac_secret short"), "32"},
		"an unset secret":    {withBearer("hmac_secret {env.MFA_TEST_UNSET}"), "hmac_secret"},
		"an unreadable file": {withBearer("hmac_secret {file./nonexistent/secret}"), "hmac_secret"},
		"an unknown claim":   {withBearer("dev", "claim phone tel"), "claim phone"},
		"dev beyond":         {strings.Replace(edgetest.Caddyfile, "\tbind 127.0.0.1\n", "", 1), "bind 127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			log := edgetest.New(t).StartRefused(test.config)
			if !strings.Contains(log, test.want) || strings.Contains(log, testSecret) {
				t.Errorf("the log does not say %q, or tells the secret:\n%s", test.want, log)
			}
		})
	}
}
