package main_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

// Apps refuse a colon in the issuer, escaped too: it parts issuer and account.
func TestTheNameOfTheServiceMayHaveAColonAndEndInADot(t *testing.T) {
	e := edgetest.New(t)
	e.Start(strings.Replace(edgetest.Caddyfile, "issuer Acme", `issuer "Acme: Website, Inc."`, 1))
	token := e.Token("urn:user:42", map[string]any{"email": "alice@example.com"})
	setup := e.Do("POST", "/mfa/setup", token, map[string]any{"mfaType": "GOOGLE_AUTH", "email": "urn:alice"}).Data(t)
	uri, err := url.Parse(setup["otpauthUrl"].(string))
	if err != nil || uri.Path != "/Acme Website, Inc.:urnalice" || uri.Query().Get("issuer") != "Acme Website, Inc." {
		t.Errorf("the URI is %s, %v", setup["otpauthUrl"], err)
	}
	if strings.Contains(strings.ToUpper(setup["otpauthUrl"].(string)), "%3A") {
		t.Errorf("the URI has a colon in %s", setup["otpauthUrl"])
	}
	verifyTOTP(e, token, edgetest.Code(t, setup["secret"].(string))).WantMessage(t, "MFA setup verified and enabled")
	edgetest.Eventually(t, 20*time.Second, "the notification", func() bool { return len(outbox(t, e)) == 1 })
	text := plainText(t, outbox(t, e)[0])
	if !strings.Contains(text, "your account at Acme: Website, Inc.") || strings.Contains(text, "Inc..") {
		t.Errorf("the mail says:\n%s", text)
	}
}
