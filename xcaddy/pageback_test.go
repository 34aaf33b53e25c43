package main_test

import (
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

// back presses the browser's Back button in a view that came after another.
func (v *visitor) back() {
	v.T.Helper()
	v.until(`history.state === "mfa:view"`)
	v.Eval(`void history.back()`)
}

func TestBackGoesToTheViewBefore(t *testing.T) {
	onBothScreens(t, pageSite(adminGate), func(t *testing.T, e *edgetest.Edge, s screen) {
		alice := enrolled(t, e, "alice", nil)
		v := visit(t, e, s, alice.token)
		v.open("/home")
		v.open("/mfa/")
		v.await("manage")
		// Twice, because the entry of the history is gone back to.
		for range 2 {
			v.click("#add-MAGIC_LINK")
			v.await("setup-link")
			v.back()
			v.await("manage")
		}
		// What was asked in between is no view to come back to.
		v.click("#add-MAGIC_LINK")
		v.await("setup-link")
		v.fill("#email", "alice@example.org")
		v.press("Send link")
		v.await("app")
		v.click("#way-BACKUP_CODE")
		v.await("backup")
		v.back()
		v.await("app")
		v.fill("#code", alice.code(0))
		v.await("inbox")
		v.back()
		v.await("setup-link")
		v.back()
		v.await("manage")

		v.press("Rename: Authenticator app")
		v.until(`document.querySelector("dialog[open]")`)
		v.back()
		v.until(`!document.querySelector("dialog")`)

		// A page that is loaded anew begins where it always does.
		v.click("#add-MAGIC_LINK")
		v.await("setup-link")
		if at := v.Eval(`location.href + " " + JSON.stringify(history.state)`); at != e.URL+`/mfa/ "mfa:view"` {
			t.Errorf("the history has %s", at)
		}
		v.Run(chromedp.Reload())
		v.await("manage")
		v.back()
		v.at("/home")
		v.clean()
	})
}

func TestBackLeavesThePageWhereThereIsNoViewBefore(t *testing.T) {
	e := edgetest.New(t)
	e.Start(pageSite(adminGate))
	alice := enrolled(t, e, "alice", nil)
	v := visit(t, e, desktop, alice.token)
	v.open("/home")
	v.open("/mfa/")
	v.await("manage")
	v.press("Sign out everywhere")
	v.until(`document.querySelector("dialog[open]")`)
	v.click("#dialog-go")
	v.shows("Signed out.") // the entry is still there, and leads nowhere
	v.back()
	v.at("/home")

	// Nor does anything of the page stay behind when the gate lets through.
	v.open("/admin/x")
	v.await("app")
	v.click("#way-BACKUP_CODE")
	v.await("backup")
	v.back()
	v.await("app")
	v.click("#way-BACKUP_CODE")
	v.await("backup")
	v.fill("#code", alice.backup[0]+"\r")
	v.at("/admin/x")
	v.Eval(`void history.back()`)
	v.at("/home")
	v.clean()
}

func TestBackFromASetupGoesToTheChoice(t *testing.T) {
	e := edgetest.New(t)
	e.Start(gated(adminGate))
	token := e.Token("bob", nil)
	v := visit(t, e, phone, "")
	v.open("/home")
	v.open("/mfa/?return_to=%2Fhome#access_token=" + token)
	v.await("choose")
	for _, kind := range []string{"PASSKEY", "GOOGLE_AUTH", "MAGIC_LINK"} {
		v.click("#add-" + kind)
		v.until(`document.getElementById("card").dataset.view.startsWith("setup-")`)
		v.back()
		v.await("choose")
	}
	// Another link in the same tab begins anew.
	v.click("#add-MAGIC_LINK")
	v.await("setup-link")
	v.Eval(`location.hash = "access_token=` + token + `"`)
	v.await("choose")
	v.click("#add-GOOGLE_AUTH")
	v.await("setup-app")
	v.back()
	v.await("choose")
	if at := v.Eval(`location.href + " " + history.state`); at != e.URL+"/mfa/?return_to=%2Fhome null" {
		t.Errorf("the history has %s", at)
	}
	v.clean()
}

func TestInAFrameTheHistoryIsTheApps(t *testing.T) {
	e := edgetest.New(t)
	origin := app(t, e)
	e.Start(pageSite(adminGate, "page {", "frame_ancestors "+origin, "}"))
	v := visit(t, e, desktop, e.Token("bob", nil))
	v.Run(chromedp.Navigate(origin))
	v.inFrame(`document.getElementById("card").dataset.view === "choose"`)
	before := v.Eval("history.length")
	v.EvalIn(e.URL, `document.getElementById("add-MAGIC_LINK").click()`)
	v.inFrame(`document.getElementById("card").dataset.view === "setup-link"`)
	if after := v.Eval("history.length"); after != before {
		t.Errorf("the app's history has %s entries, and had %s", after, before)
	}
}
