package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/bearer"
)

var alice = bearer.Identity{Subject: "alice", Email: "alice@example.com"}

func TestACodeBringsThePairAndTheCookie(t *testing.T) {
	e := newEdge(t)
	p := e.enrolled(alice)
	a := p.verify(p.nextCode())
	e.want(a, 200, "MFA verification successful")
	if a.json["success"] != true || a.text("fullAccessToken") == "" || a.text("refreshToken") == "" || a.json["data"] != nil {
		t.Errorf("the pair is not at the top level: %s", a.Body)
	}
	if want := e.clock.Now().Add(time.Hour).Format(time.RFC3339); a.text("expiresAt") != want {
		t.Errorf("expiresAt %s, want %s", a.text("expiresAt"), want)
	}
	want := "__Host-mfa=" + a.cookie() + "; Path=/; Max-Age=3600; HttpOnly; Secure; SameSite=Lax"
	if got := a.Header().Values("Set-Cookie"); len(got) != 1 || got[0] != want {
		t.Errorf("Set-Cookie %q, want %q", got, want)
	}
	if a.cookie() == "" || len(a.cookie()) >= len(a.text("fullAccessToken")) {
		t.Error("the cookie is not the slim form")
	}
}

func TestABackupCodeStandsInForAnyType(t *testing.T) {
	e := newEdge(t)
	p := e.enrolled(alice)
	for i, mfaType := range []string{"GOOGLE_AUTH", "MAGIC_LINK", "PASSKEY"} {
		body := fmt.Sprintf(`{"mfaType":%q,"code":%q}`, mfaType, strings.ToLower(p.codes[i]))
		e.want(e.post("/mfa/verify-login", p.token, body), 200, "MFA verification successful")
		e.want(e.post("/mfa/verify-login", p.token, body), 401, "mfa_verification_failed")
	}
	if left := e.need(e.send("GET", "/mfa/status", p.token, "")).data()["backupCodesRemaining"]; left != 7.0 {
		t.Errorf("%v codes remain", left)
	}
}

func TestALinkLogsInByItsTokenOrByTheSessionThatWasApproved(t *testing.T) {
	e := newEdge(t)
	p := e.signIn(alice)
	p.enrolLink()
	sent := e.want(e.post("/mfa/magic-link/send", p.token, ""), 200, "Magic link sent successfully")
	if sent.data()["message"] != "Magic link sent successfully" {
		t.Errorf("data.message is %v", sent.data()["message"])
	}
	token := e.mails.Token(t)
	login := fmt.Sprintf(`{"mfaType":"MAGIC_LINK","token":%q}`, token)
	e.want(e.post("/mfa/verify-login", e.logins.signIn(bearer.Identity{Subject: "mallory"}), login), 401, "MFA verification failed")
	e.want(e.post("/mfa/verify-login", p.token, login), 200, "MFA verification successful")
	e.want(e.post("/mfa/verify-login", p.token, login), 401, "mfa_verification_failed")

	sent = e.need(e.post("/mfa/magic-link/send", p.token, `{}`))
	session := fmt.Sprintf(`{"mfaType":"MAGIC_LINK","sessionId":%q}`, sent.data()["sessionId"])
	pending := e.want(e.post("/mfa/verify-login", p.token, session), 401, "magic_link_pending")
	if pending.text("error") != "MFA verification failed" || !strings.Contains(pending.Header().Get("WWW-Authenticate"), `acr_values="mail"`) {
		t.Errorf("pending: %s %v", pending.Body, pending.Header())
	}
	approval := fmt.Sprintf(`{"token":%q,"matchNumber":%v}`, e.mails.Token(t), sent.data()["matchNumber"])
	e.want(e.post("/mfa/magic-link/activate", "", approval), 200, "Magic link MFA activated successfully")
	e.want(e.post("/mfa/verify-login", p.token, session), 200, "MFA verification successful")
	e.want(e.post("/mfa/verify-login", p.token, session), 401, "mfa_verification_failed")
}

func TestAPasskeyLogsInOnceForEachChallenge(t *testing.T) {
	e := newEdge(t)
	p := e.signIn(alice)
	e.want(e.post("/mfa/passkey/auth-options", p.token, ""), 400, "mfa_not_enrolled")
	d := p.enrolPasskey()
	login := `{"mfaType":"PASSKEY","credential":` + d.sign(p) + `}`
	e.want(e.post("/mfa/verify-login", p.token, login), 200, "MFA verification successful")
	e.want(e.post("/mfa/verify-login", p.token, login), 401, "mfa_verification_failed")
}

func TestExactlyOneProofOfTheRightKindIsTaken(t *testing.T) {
	e := newEdge(t)
	p := e.enrolled(alice)
	for _, row := range []struct{ body, code, text string }{
		{`{"mfaType":"GOOGLE_AUTH","code":"1","token":"2"}`, "invalid_request", "more than one proof"},
		{`{"mfaType":"MAGIC_LINK","token":"1","sessionId":"2"}`, "invalid_request", "more than one proof"},
		{`{"mfaType":"PASSKEY","credential":{},"code":"1"}`, "invalid_request", "more than one proof"},
		{`{"mfaType":"GOOGLE_AUTH"}`, "invalid_request", `"code"`},
		{`{"mfaType":"GOOGLE_AUTH","credential":{}}`, "invalid_request", `"code"`},
		{`{"mfaType":"MAGIC_LINK","credential":{}}`, "invalid_request", `"sessionId"`},
		{`{"mfaType":"PASSKEY","token":"1"}`, "invalid_request", `"credential"`},
		{`{"mfaType":"PASSKEY","credential":null}`, "invalid_request", `"credential"`},
		{`{"mfaType":"SMS","code":"1"}`, "invalid_mfa_type", "Invalid MFA type specified"},
		{`{"code":"1"}`, "invalid_mfa_type", "Invalid MFA type specified"},
	} {
		for range 6 { // more than lock code entry
			if a := e.want(e.post("/mfa/verify-login", p.token, row.body), 400, row.code); !strings.Contains(a.text("error"), row.text) {
				t.Errorf("%s: %s", row.body, a.Body)
			}
		}
	}
	e.want(p.verify(p.nextCode()), 200, "")
}

func TestALockoutAnswersARightCodeAsAWrongOne(t *testing.T) {
	e := newEdge(t)
	p := e.enrolled(alice)
	right, wrong := p.nextCode(), p.wrongCode()
	for range 5 {
		a := e.want(p.verify(wrong), 401, "MFA verification failed")
		if got := a.Header().Get("WWW-Authenticate"); !strings.HasPrefix(got, `Bearer realm="mfa", error="insufficient_user_authentication"`) {
			t.Errorf("challenge %q", got)
		}
	}
	answers := []answer{p.verify(right), p.verify(wrong), p.verify(p.codes[0])}
	for i, a := range answers {
		e.want(a, 429, "locked")
		if a.Body.String() != answers[0].Body.String() || fmt.Sprint(a.Header()) != fmt.Sprint(answers[0].Header()) {
			t.Errorf("answer %d differs: %v %s", i, a.Header(), a.Body)
		}
		if got := a.Header().Get("Retry-After"); got != "900" {
			t.Errorf("Retry-After %q", got)
		}
	}
	e.clock.Advance(15 * time.Minute)
	e.want(p.verify(p.nextCode()), 200, "")
}

func TestALockedPersonStillGetsInByPasskey(t *testing.T) {
	e := newEdge(t)
	p := e.enrolled(alice)
	d := p.enrolPasskey()
	wrong := p.wrongCode()
	for range 5 {
		p.verify(wrong)
	}
	e.want(p.verify(wrong), 429, "locked")
	e.want(e.post("/mfa/verify-login", p.token, `{"mfaType":"PASSKEY","credential":`+d.sign(p)+`}`), 200, "")
}

func TestVerifyLoginNeedsABody(t *testing.T) {
	e := newEdge(t)
	p := e.enrolled(alice)
	e.want(e.post("/mfa/verify-login", p.token, ""), http.StatusBadRequest, "invalid_request")
}
