package main_test

import (
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

func TestThePageOffersCodesToWhoHasNoneAndSaysWhichAreWeak(t *testing.T) {
	e := edgetest.New(t)
	e.Start(pageSite(adminGate))
	token := e.Token("alice", nil)
	setupLink(e, token, "alice@example.org").Data(t)
	activate(e, onlyToken(t, e)).WantMessage(t, "Magic link MFA activated successfully")
	v := visit(t, e, phone, token)
	v.open("/mfa/")
	v.await("manage")
	v.shows("You have no backup codes.")
	v.look("no-codes-manage")

	// There is nothing to void, so making them asks for a factor alone.
	v.press("Get codes")
	v.await("link")
	v.shows("This change needs a fresh confirmation.")
	v.click("#link")
	v.until(`document.getElementById("match")`)
	e.Do("POST", "/mfa/magic-link/activate", "", map[string]any{
		"token": lastToken(t, outbox(t, e)), "matchNumber": v.Eval(`document.getElementById("match").textContent`),
	}).WantMessage(t, "Magic link MFA activated successfully")
	if codes := v.keepCodes(); len(codes) != 10 {
		t.Errorf("the codes are %q", codes)
	}
	v.await("manage")
	v.shows("10 codes are left")
	if v.Eval(`document.getElementById("codes-weak")`) != "null" {
		t.Error("codes are called weak beside mail alone")
	}

	// Beside a passkey they are.
	v.AddAuthenticator()
	v.click("#add-PASSKEY")
	v.await("setup-passkey")
	v.press("Create passkey")
	v.await("manage")
	v.shows("These codes were made with an e-mail link, and count as one.")
	v.look("weak-codes")
	v.press("Get new codes")
	v.click("#dialog-go")
	v.keepCodes()
	v.await("manage")
	if status := e.Do("GET", "/mfa/status", token, nil).Data(t); status["backupCodesAcr"] != "mfa" {
		t.Errorf("status is %v", status)
	}
	if v.Eval(`document.getElementById("codes-weak")`) != "null" {
		t.Error("new codes are called weak")
	}
	v.clean()
}

func TestWhoWantsNoCodesGoesOnWithoutThem(t *testing.T) {
	e := edgetest.New(t)
	e.Start(pageSite(adminGate))
	token := e.Token("alice", nil)
	v := visit(t, e, desktop, token)
	v.open("/admin/reports")
	v.await("choose")
	v.click("#add-MAGIC_LINK")
	v.await("setup-link")
	v.fill("#email", "alice@example.org")
	v.press("Send link")
	v.await("inbox")
	activate(e, onlyToken(t, e)).WantMessage(t, "Magic link MFA activated successfully")
	v.await("link")
	v.click("#link")
	v.until(`document.getElementById("match")`)
	e.Do("POST", "/mfa/magic-link/activate", "", map[string]any{
		"token": lastToken(t, outbox(t, e)), "matchNumber": v.Eval(`document.getElementById("match").textContent`),
	}).WantMessage(t, "Magic link MFA activated successfully")
	v.await("no-codes")
	v.Run(chromedp.WaitVisible(chromedp.CSS("#make-codes")))
	v.press("Not now")
	v.at("/admin/reports")
	v.clean()
}
