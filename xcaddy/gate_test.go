package main_test

import (
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

// wantClosedBefore checks that without a second factor the gate is closed.
func (p *person) wantClosedBefore() {
	p.t.Helper()
	wantClosed(p.t, p.e, func() edgetest.Answer { return p.e.Do("GET", "/admin/reports", p.token, nil) })
}

func TestACodeOfAnAuthenticatorAppOpensTheGate(t *testing.T) {
	e := edgetest.New(t)
	e.Start(gated(adminGate))
	wantClosed(t, e, func() edgetest.Answer { return e.Do("GET", "/admin/x", e.Token("nobody", nil), nil) })
	e.Do("GET", "/admin/x", "", nil).WantError(t, 401, "authentication_required", "")
	alice := enrolled(t, e, "alice", nil)
	alice.pair.wantOpens(t, e, "alice", alice.token, "GOOGLE_AUTH", "mfa") // a confirmed setup is a proof
	alice.wantClosedBefore()

	code := alice.otherProgramsCode()
	answer := alice.showCode(code)
	answer.WantMessage(t, "MFA verification successful")
	pairOf(t, answer).wantOpens(t, e, "alice", alice.token, "GOOGLE_AUTH", "mfa")
	alice.showCode(code).WantError(t, 401, "mfa_verification_failed", "MFA verification failed")
	alice.showCode(wrongCode(t, alice.secret)).WantError(t, 401, "mfa_verification_failed", "MFA verification failed")
	alice.showCode(alice.code(1)).WantMessage(t, "MFA verification successful")

	// Nobody else's cookie helps.
	bob := enrolled(t, e, "bob", nil)
	wantClosed(t, e, func() edgetest.Answer { return withCookie(e, "GET", "/admin/x", bob.token, alice.pair.cookie) })
}

func TestABackupCodeOpensTheGateOnce(t *testing.T) {
	e := edgetest.New(t)
	e.Start(gated(adminGate))
	alice := enrolled(t, e, "alice", nil)
	alice.wantClosedBefore()
	pairOf(t, alice.showCode(alice.backup[3])).wantOpens(t, e, "alice", alice.token, "BACKUP_CODE", "mfa")
	alice.showCode(alice.backup[3]).WantError(t, 401, "mfa_verification_failed", "MFA verification failed")
	if left := e.Do("GET", "/mfa/status", alice.token, nil).Data(t)["backupCodesRemaining"]; left != float64(9) {
		t.Errorf("%v backup codes are left, want 9", left)
	}
}

func TestAPasskeyInABrowserOpensTheGate(t *testing.T) {
	e, b := startPasskeyPage(t, gated(adminGate))
	token := e.Token("alice", nil)
	enrolment := b.ask(`(async () => verify(%s, await create(await begin(%[1]s, {}))))()`, token)
	enrolment.WantMessage(t, "MFA setup verified and enabled")
	wantClosed(t, e, func() edgetest.Answer { return e.Do("GET", "/admin/x", token, nil) })

	login := b.ask(`(async () => show(%s, window.shown = await login(%[1]s)))()`, token)
	login.WantMessage(t, "MFA verification successful")
	access, _ := login.JSON["fullAccessToken"].(string)
	if answer := e.Do("GET", "/admin/x", access, nil); answer.Status != 200 {
		t.Fatalf("%d %s", answer.Status, answer.Body)
	}
	got := e.Upstream.Requests()
	if h := got[len(got)-1].Header; h.Get("X-MFA-ACR") != "phr" || h.Get("X-MFA-Methods") != "PASSKEY" || h.Get("Authorization") != "Bearer "+token {
		t.Errorf("the upstream gets %v", h)
	}
	b.ask(`show(%s, window.shown)`, token).WantError(t, 401, "mfa_verification_failed", "MFA verification failed")

	// The browser keeps the cookie, hidden from scripts, and sends it.
	if shown := b.Eval("document.cookie"); shown != "" {
		t.Errorf("scripts see %q", shown)
	}
	if got := b.Eval(`(async () => (await fetch("/admin/x", {headers: {Authorization: "Bearer ` + token + `"}})).status)()`); got != "200" {
		t.Errorf("with the browser's cookie: %s", got)
	}
}

func TestTheTokenOfAMailedLinkOpensTheGateAtTheLowestLevel(t *testing.T) {
	e, server := startWithMailServer(t, gated(adminGate+"\n\tmfa_require /vault/* {\n\t\tacr mfa\n\t}"))
	token := e.Token("alice", nil)
	setupLink(e, token, "alice@example.org").Data(t)
	activate(e, lastToken(t, server.Mails())).WantMessage(t, "Magic link MFA activated successfully")
	wantClosed(t, e, func() edgetest.Answer { return e.Do("GET", "/admin/x", token, nil) })

	e.Do("POST", "/mfa/magic-link/send", token, nil).WantMessage(t, "Magic link sent successfully")
	proof := map[string]any{"mfaType": "MAGIC_LINK", "token": lastToken(t, server.Mails())}
	bob := enrolled(t, e, "bob", nil)
	bob.show(proof).WantError(t, 401, "mfa_verification_failed", "MFA verification failed")
	answer := e.Do("POST", "/mfa/verify-login", token, proof)
	answer.WantMessage(t, "MFA verification successful")
	p := pairOf(t, answer)
	p.wantOpens(t, e, "alice", token, "MAGIC_LINK", "mail")
	wantClosed(t, e, func() edgetest.Answer { return e.Do("GET", "/vault/x", p.access, nil) })
	e.Do("POST", "/mfa/verify-login", token, proof).WantError(t, 401, "mfa_verification_failed", "MFA verification failed")
}

func TestALinkThatIsApprovedElsewhereOpensTheGateForWhoAsked(t *testing.T) {
	e, server := startWithMailServer(t, gated(adminGate))
	token := e.Token("alice", nil)
	setupLink(e, token, "alice@example.org").Data(t)
	activate(e, lastToken(t, server.Mails())).WantMessage(t, "Magic link MFA activated successfully")

	sent := e.Do("POST", "/mfa/magic-link/send", token, nil).Data(t)
	session, number := sent["sessionId"].(string), int(sent["matchNumber"].(float64))
	proof := map[string]any{"mfaType": "MAGIC_LINK", "sessionId": session}
	wait := func() edgetest.Answer { return e.Do("POST", "/mfa/verify-login", token, proof) }
	wait().WantError(t, 401, "magic_link_pending", "MFA verification failed")
	link := lastToken(t, server.Mails())
	looked := e.Do("POST", "/mfa/magic-link/inspect", "", map[string]any{"token": link}).Data(t)
	if looked["purpose"] != "login" || looked["ip"] != "127.0.0.1" {
		t.Errorf("the opener is shown %v", looked)
	}
	open := func(number int) edgetest.Answer {
		return e.Do("POST", "/mfa/magic-link/activate", "", map[string]any{"token": link, "matchNumber": number})
	}
	wait().WantError(t, 401, "magic_link_pending", "MFA verification failed")
	approved := open(number)
	if approved.Status != 200 || approved.JSON["fullAccessToken"] != nil || approved.Header.Get("Set-Cookie") != "" {
		t.Errorf("the opener gets %d %s", approved.Status, approved.Body)
	}
	bob := enrolled(t, e, "bob", nil)
	bob.show(proof).WantError(t, 401, "mfa_verification_failed", "MFA verification failed")
	pairOf(t, wait()).wantOpens(t, e, "alice", token, "MAGIC_LINK", "mail")
	wait().WantError(t, 401, "mfa_verification_failed", "MFA verification failed")

}

func TestALinkThatIsDeniedOrMismatchedOpensNothing(t *testing.T) {
	e := edgetest.New(t)
	e.Start(gated(adminGate))
	token := e.Token("alice", nil)
	setupLink(e, token, "alice@example.org").Data(t)
	activate(e, onlyToken(t, e)).WantMessage(t, "Magic link MFA activated successfully")
	for name, refuse := range map[string]func(link string, number int){
		"three other numbers": func(link string, number int) {
			for range 3 {
				e.Do("POST", "/mfa/magic-link/activate", "", map[string]any{"token": link, "matchNumber": 10 + (number-9)%90}).
					WantError(t, 400, "invalid_magic_link", "Invalid or expired token")
			}
		},
		"no number": func(link string, _ int) {
			for range 3 {
				activate(e, link).WantError(t, 400, "invalid_magic_link", "Invalid or expired token")
			}
			e.Do("POST", "/mfa/magic-link/deny", "", map[string]any{"token": link}).WantMessage(t, "Magic link denied")
		},
	} {
		sent := e.Do("POST", "/mfa/magic-link/send", token, nil).Data(t)
		link, number := lastToken(t, outbox(t, e)), int(sent["matchNumber"].(float64))
		refuse(link, number)
		e.Do("POST", "/mfa/magic-link/activate", "", map[string]any{"token": link, "matchNumber": number}).
			WantError(t, 400, "invalid_magic_link", "Invalid or expired token")
		for proof, value := range map[string]any{"sessionId": sent["sessionId"], "token": link} {
			if answer := e.Do("POST", "/mfa/verify-login", token, map[string]any{"mfaType": "MAGIC_LINK", proof: value}); answer.Status != 401 {
				t.Errorf("%s: %s still answers %d %s", name, proof, answer.Status, answer.Body)
			}
		}
	}
}
