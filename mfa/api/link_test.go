package api_test

import (
	"errors"
	"fmt"
	"testing"
)

func TestALinkIsInspectedAndDenied(t *testing.T) {
	e := newEdge(t)
	p := e.signIn(alice)
	p.enrolLink()
	e.need(e.post("/mfa/magic-link/send", p.token, "", "User-Agent", "Browser\t\x01 1 é"))
	link := fmt.Sprintf(`{"token":%q}`, e.mails.Token(t))
	for range 2 { // it spends nothing
		data := e.need(e.post("/mfa/magic-link/inspect", "", link)).data()
		if data["purpose"] != "login" || data["ip"] != "192.0.2.1" || data["userAgent"] != "Browser 1 " {
			t.Errorf("inspected %v", data)
		}
	}
	e.want(e.post("/mfa/magic-link/deny", "", link), 200, "Magic link denied")
	for _, path := range []string{"activate", "inspect", "deny"} {
		a := e.want(e.post("/mfa/magic-link/"+path, "", link), 400, "Invalid or expired token")
		if a.text("code") != "invalid_magic_link" {
			t.Errorf("%s: %s", path, a.Body)
		}
		e.want(e.post("/mfa/magic-link/"+path, "", `{}`), 400, "invalid_request")
		e.want(e.post("/mfa/magic-link/"+path, "", ""), 400, "invalid_request")
	}
}

func TestAMatchNumberIsANumberOrItsDigits(t *testing.T) {
	e := newEdge(t)
	p := e.signIn(alice)
	p.enrolLink()
	for _, form := range []string{`%v`, `"%v"`} {
		sent := e.need(e.post("/mfa/magic-link/send", p.token, ""))
		number := fmt.Sprintf(form, sent.data()["matchNumber"])
		e.want(e.post("/mfa/magic-link/activate", "", fmt.Sprintf(`{"token":%q,"matchNumber":%s}`, e.mails.Token(t), number)), 200, "")
	}
	e.need(e.post("/mfa/magic-link/send", p.token, ""))
	for _, number := range []string{`true`, `{}`, `[1]`, `1.5`, `-1`, `"x"`, `""`, `99999999999999999999`} {
		body := fmt.Sprintf(`{"token":%q,"matchNumber":%s}`, e.mails.Token(t), number)
		e.want(e.post("/mfa/magic-link/activate", "", body), 400, "invalid_request")
	}
	for _, number := range []string{`0`, `null`, `5`} {
		body := fmt.Sprintf(`{"token":%q,"matchNumber":%s}`, e.mails.Token(t), number)
		e.want(e.post("/mfa/magic-link/activate", "", body), 400, "invalid_magic_link")
	}
}

func TestALinkIsSentToWhoHasOneAndWithinALimit(t *testing.T) {
	e := newEdge(t)
	p := e.signIn(alice)
	e.want(e.post("/mfa/magic-link/send", p.token, ""), 404, "User not found")
	e.need(e.post("/mfa/setup", p.token, `{"mfaType":"MAGIC_LINK","email":"alice@example.com"}`))
	resent := e.want(e.post("/mfa/magic-link/send", p.token, ""), 200, "Magic link sent successfully")
	if _, ok := resent.data()["sessionId"]; ok {
		t.Errorf("the mail of a setup has a session: %s", resent.Body)
	}
	e.want(e.post("/mfa/magic-link/activate", "", fmt.Sprintf(`{"token":%q}`, e.mails.Token(t))), 200, "Magic link MFA activated successfully")
	e.mails.Fail(errors.New("no"))
	e.want(e.post("/mfa/magic-link/send", p.token, ""), 500, "Failed to send magic link")
	e.mails.Fail(nil)
	for range 5 {
		if a := e.post("/mfa/magic-link/send", p.token, ""); a.Code == 429 {
			if a.text("code") != "rate_limited" || a.Header().Get("Retry-After") == "" {
				t.Errorf("%s %v", a.Body, a.Header())
			}
			return
		}
	}
	t.Error("mail is not limited")
}
