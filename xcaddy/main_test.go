package main_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/browsertest"
	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

func TestMain(m *testing.M) {
	code := edgetest.Main(m)
	browsertest.Stop()
	os.Exit(code)
}

// caddyfile is edgetest.Caddyfile with further lines in the option mfa.
func caddyfile(options ...string) string {
	return strings.Replace(edgetest.Caddyfile, "		issuer Acme\n", "		issuer Acme\n"+strings.Join(options, "\n")+"\n", 1)
}

// setupTOTP begins an authenticator app's setup and returns the data of
// the answer.
func setupTOTP(t *testing.T, e *edgetest.Edge, token string) map[string]any {
	t.Helper()
	return e.Do("POST", "/mfa/setup", token, map[string]any{"mfaType": "GOOGLE_AUTH"}).Data(t)
}

// verifyTOTP sends code to confirm a setup.
func verifyTOTP(e *edgetest.Edge, token, code string) edgetest.Answer {
	return e.Do("POST", "/mfa/verify-setup", token, map[string]any{"mfaType": "GOOGLE_AUTH", "code": code})
}

// enrol sets up an authenticator app and confirms it.
func enrol(t *testing.T, e *edgetest.Edge, token string) {
	t.Helper()
	secret := setupTOTP(t, e, token)["secret"].(string)
	verifyTOTP(e, token, edgetest.Code(t, secret)).WantMessage(t, "MFA setup verified and enabled")
}

// wantMethods checks what status and methods tell of the factors.
func wantMethods(t *testing.T, e *edgetest.Edge, token string, want ...string) {
	t.Helper()
	status := e.Do("GET", "/mfa/status", token, nil).Data(t)
	var got []string
	for _, method := range status["enabledMethods"].([]any) {
		got = append(got, method.(string))
	}
	var primary any
	if len(want) > 0 {
		primary = want[0]
	}
	if !slices.Equal(got, want) || status["isEnabled"] != (len(want) > 0) || status["primaryMethod"] != primary ||
		status["sessionVerified"] != false {
		t.Errorf("status is %v, want the methods %v", status, want)
	}
	answer := e.Do("GET", "/mfa/methods", token, nil)
	listed, ok := answer.JSON["data"].([]any)
	if answer.Status != 200 || !ok || len(listed) != 3 {
		t.Fatalf("methods answers %d %s", answer.Status, answer.Body)
	}
	for _, one := range listed {
		method := one.(map[string]any)
		enabled := slices.Contains(want, fmt.Sprint(method["type"]))
		if method["isConfigured"] != enabled || method["isEnabled"] != enabled || method["name"] == "" || method["description"] == "" {
			t.Errorf("methods has %v, want the methods %v", method, want)
		}
	}
}

// wantStepUp checks that a is the challenge of RFC 9470.
func wantStepUp(t *testing.T, a edgetest.Answer) {
	t.Helper()
	a.WantError(t, 401, "insufficient_user_authentication", "")
	const want = `Bearer realm="mfa", error="insufficient_user_authentication", ` +
		`error_description="A recent second factor is required", acr_values="mfa", max_age="900"`
	if got := a.Header.Values("WWW-Authenticate"); len(got) != 1 || got[0] != want {
		t.Errorf("WWW-Authenticate is %q, want %q", got, want)
	}
}
