package main_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
	"github.com/caddymfa/caddy-mfa/internal/issuertest"
)

func TestWhatIsNoAddressIsRefusedOrLeftOutAndTheServerGoesOn(t *testing.T) {
	e := edgetest.New(t)
	e.Start(edgetest.Caddyfile)
	for _, domain := range []string{"b.", "b..", "localhost.", "b。", "b．", "b｡"} {
		setupLink(e, e.Token("alice", nil), "a@"+domain).WantError(t, 400, "invalid_request",
			"email cannot be used: the part after the @ begins or ends with a dot, or has two in a row")
	}

	// In the token, as the subject and as the name of a device.
	token := e.Token("eve@b.", map[string]any{"email": "a@b..", "name": "a@b。"})
	data := e.Do("POST", "/mfa/setup", token, map[string]any{
		"mfaType": "GOOGLE_AUTH", "deviceInfo": map[string]any{"name": "a@localhost."},
	}).Data(t)
	if answer := verifyTOTP(e, token, edgetest.Code(t, data["secret"].(string))); answer.Status != 200 {
		t.Fatalf("%d %s", answer.Status, answer.Body)
	}
	e.AwaitLog("notice not sent")
	wantMethods(t, e, token, "GOOGLE_AUTH")

	// As the new name of a credential, in a mail that can be sent.
	token = e.Token("bob", map[string]any{"email": "bob@example.org"})
	data = setupTOTP(t, e, token)
	full := verifyTOTP(e, token, edgetest.Code(t, data["secret"].(string))).JSON["fullAccessToken"].(string)
	credentials, _ := e.Do("GET", "/mfa/credentials", full, nil).JSON["data"].([]any)
	id := credentials[0].(map[string]any)["id"].(string)
	if answer := e.Do("PATCH", "/mfa/credentials/"+id, full, map[string]any{"name": "a@localhost."}); answer.Status != 200 {
		t.Fatalf("%d %s", answer.Status, answer.Body)
	}
	if answer := e.Do("DELETE", "/mfa/credentials/"+id, full, nil); answer.Status != 200 {
		t.Fatalf("%d %s", answer.Status, answer.Body)
	}
	edgetest.Eventually(t, 20*time.Second, "two notifications", func() bool { return len(outbox(t, e)) == 2 })
	if text := plainText(t, outbox(t, e)[1]); strings.Contains(text, "a@localhost") || !strings.Contains(text, "removed") {
		t.Errorf("the notification reads\n%s", text)
	}
	wantMethods(t, e, token)
	if strings.Contains(e.AllLogs(), "panic") {
		t.Error("something panicked")
	}
}

func TestAPersonClaimedByAddressIsTheSameInAnyCase(t *testing.T) {
	e := edgetest.New(t)
	e.Start(strings.Replace(withBearer("hmac_secret "+testSecret, "claim subject email"), "\tmfa\n\treverse_proxy", "\tmfa\n\tmfa_require /private/*\n\treverse_proxy", 1))
	token := func(address string) string {
		return issuertest.HMAC(t, testSecret, claims("ignored", map[string]any{"email": address}))
	}
	data := setupTOTP(t, e, token("Bob@X.org"))
	full := verifyTOTP(e, token("bob@x.org"), edgetest.Code(t, data["secret"].(string))).JSON["fullAccessToken"].(string)
	wantMethods(t, e, token("BOB@X.ORG"), "GOOGLE_AUTH")
	wantStepUp(t, e.Do("POST", "/mfa/setup", token("boB@x.org"), map[string]any{"mfaType": "GOOGLE_AUTH"}))

	// The cookie of one spelling beside a token of another; the backend is told
	// what its own token says.
	r := e.Request("GET", "/private/x", token("Bob@X.org"), nil)
	r.AddCookie(&http.Cookie{Name: "__Host-mfa", Value: full})
	if answer := e.Send(r); answer.Status != 200 {
		t.Errorf("at the gate: %d %s", answer.Status, answer.Body)
	}
	requests := e.Upstream.Requests()
	if len(requests) != 1 || requests[0].Header.Get("X-MFA-User") != "Bob%40X.org" && requests[0].Header.Get("X-MFA-User") != "Bob@X.org" {
		t.Errorf("the backend is told %v", requests)
	}

	if out, text, err := e.Command("mfa", "users", "show", "bOb@x.org", "--address", e.Admin()); err != nil || !strings.Contains(out, "bob@x.org") {
		t.Errorf("the operator is shown %s%s, %v", out, text, err)
	}
	if _, text, err := e.Command("mfa", "users", "reset", "BOB@x.org", "--yes", "--address", e.Admin()); err != nil {
		t.Errorf("%s, %v", text, err)
	}
	wantMethods(t, e, token("bob@x.org"))
}
