package main_test

import (
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
	"github.com/caddymfa/caddy-mfa/internal/testtool"
)

// adminGate guards everything under /admin.
const adminGate = "mfa_require /admin/*"

// gated is edgetest.Caddyfile with further lines in the site, such as a
// gate, and in the option mfa.
func gated(site string, options ...string) string {
	return strings.Replace(caddyfile(options...), "\tmfa\n", "\tmfa\n\t"+site+"\n", 1)
}

// pair is what is answered to a proof that is accepted.
type pair struct{ access, refresh, cookie string }

// pairOf reads the pair in an answer.
func pairOf(t *testing.T, a edgetest.Answer) pair {
	t.Helper()
	var p pair
	p.access, _ = a.JSON["fullAccessToken"].(string)
	p.refresh, _ = a.JSON["refreshToken"].(string)
	if a.Status != 200 || p.access == "" || p.refresh == "" {
		t.Fatalf("not a pair: %d %s", a.Status, a.Body)
	}
	cookies := (&http.Response{Header: a.Header}).Cookies()
	if len(cookies) != 1 {
		t.Fatalf("%d cookies are set", len(cookies))
	}
	c := cookies[0]
	if c.Name != "__Host-mfa" || !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" ||
		c.MaxAge < 3590 || c.MaxAge > 3600 || len(c.String()) > 4096 {
		t.Errorf("the cookie is %s", c)
	}
	p.cookie = c.Value
	return p
}

// person is somebody who has an authenticator app.
type person struct {
	t       *testing.T
	e       *edgetest.Edge
	subject string
	token   string // the login's
	secret  string // the app's
	backup  []string
	pair    pair // of the enrolment
}

// enrolled makes a person whose app has shown the code before the present
// one, so that the present one and the next are still good.
func enrolled(t *testing.T, e *edgetest.Edge, subject string, claims map[string]any) *person {
	t.Helper()
	p := &person{t: t, e: e, subject: subject, token: e.Token(subject, claims)}
	setup := setupTOTP(t, e, p.token)
	p.secret = setup["secret"].(string)
	for _, code := range setup["backupCodes"].([]any) {
		p.backup = append(p.backup, code.(string))
	}
	answer := verifyTOTP(e, p.token, p.code(-1))
	answer.WantMessage(t, "MFA setup verified and enabled")
	p.pair = pairOf(t, answer)
	return p
}

// code is what the app shows, steps from now.
func (p *person) code(steps int) string {
	p.t.Helper()
	code, err := totp.GenerateCode(p.secret, time.Now().Add(time.Duration(steps)*30*time.Second))
	if err != nil {
		p.t.Fatal(err)
	}
	return code
}

// otherProgramsCode is what oathtool shows now.
func (p *person) otherProgramsCode() string {
	p.t.Helper()
	out, err := exec.CommandContext(p.t.Context(), testtool.Need(p.t, "oathtool"), "--totp", "--base32", p.secret).Output()
	if err != nil {
		p.t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// showCode verifies a login by a code.
func (p *person) showCode(code string) edgetest.Answer {
	p.t.Helper()
	return p.show(map[string]any{"mfaType": "GOOGLE_AUTH", "code": code})
}

// show verifies a login.
func (p *person) show(proof map[string]any) edgetest.Answer {
	p.t.Helper()
	return p.e.Do("POST", "/mfa/verify-login", p.token, proof)
}

// withCookie asks with the login's token and an assertion in the cookie.
func withCookie(e *edgetest.Edge, method, path, token, cookie string) edgetest.Answer {
	r := e.Request(method, path, token, nil)
	r.Header.Set("Cookie", "theme=dark; __Host-mfa="+cookie+"; lang=en")
	return e.Send(r)
}

// wantOpens checks that a pair opens the gate, both as the bearer and as the
// cookie, and that the upstream then gets the login's token and who it is.
func (p pair) wantOpens(t *testing.T, e *edgetest.Edge, user, token, methods, acr string) {
	t.Helper()
	before := len(e.Upstream.Requests())
	for way, answer := range map[string]edgetest.Answer{
		"bearer": e.Do("GET", "/admin/reports?x=1", p.access, nil),
		"cookie": withCookie(e, "GET", "/admin/reports?x=1", token, p.cookie),
		// The whole one is taken there, too.
		"whole cookie": withCookie(e, "GET", "/admin/reports?x=1", token, p.access),
	} {
		if answer.Status != 200 {
			t.Errorf("%s: %d %s", way, answer.Status, answer.Body)
		}
	}
	got := e.Upstream.Requests()[before:]
	if len(got) != 3 {
		t.Fatalf("the upstream got %d requests, want 3", len(got))
	}
	for _, r := range got {
		if r.RequestURI != "/admin/reports?x=1" {
			t.Errorf("the target is %s", r.RequestURI)
		}
		if auth := r.Header.Values("Authorization"); len(auth) != 1 || auth[0] != "Bearer "+token {
			t.Errorf("the upstream gets %q, want the login's token", auth)
		}
		if cookie := r.Header.Get("Cookie"); cookie != "" && cookie != "theme=dark; lang=en" {
			t.Errorf("the upstream gets the cookies %q", cookie)
		}
		for name, want := range map[string]string{"X-MFA-User": user, "X-MFA-Methods": methods, "X-MFA-ACR": acr} {
			if values := r.Header.Values(name); len(values) != 1 || values[0] != want {
				t.Errorf("%s is %q, want %q", name, values, want)
			}
		}
		shown, err := time.Parse(time.RFC3339, r.Header.Get("X-MFA-Auth-Time"))
		if age := time.Since(shown); err != nil || age < -time.Second || age > time.Minute {
			t.Errorf("X-MFA-Auth-Time is %q", r.Header.Get("X-MFA-Auth-Time"))
		}
	}
}

// wantClosed checks that the gate refuses with the challenge of RFC 9470 and
// that the upstream hears nothing.
func wantClosed(t *testing.T, e *edgetest.Edge, ask func() edgetest.Answer) {
	t.Helper()
	before := len(e.Upstream.Requests())
	answer := ask()
	answer.WantError(t, 401, "insufficient_user_authentication", "")
	if challenge := answer.Header.Get("WWW-Authenticate"); !strings.Contains(challenge, `error="insufficient_user_authentication"`) ||
		!strings.Contains(challenge, "acr_values=") {
		t.Errorf("the challenge is %q", challenge)
	}
	if after := len(e.Upstream.Requests()); after != before {
		t.Error("the upstream got the request")
	}
}

// retryAfter is the answer's Retry-After.
func retryAfter(t *testing.T, a edgetest.Answer) time.Duration {
	t.Helper()
	seconds, err := strconv.Atoi(a.Header.Get("Retry-After"))
	if err != nil {
		t.Errorf("Retry-After is %q", a.Header.Get("Retry-After"))
	}
	return time.Duration(seconds) * time.Second
}
