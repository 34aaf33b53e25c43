package main_test

import (
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"

	"github.com/caddymfa/caddy-mfa/internal/browsertest"
	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

func TestAPersonShowsACodeAndGoesStraightBack(t *testing.T) {
	onBothScreens(t, pageSite(adminGate), func(t *testing.T, e *edgetest.Edge, s screen) {
		alice := enrolled(t, e, "alice", nil)
		v := visit(t, e, s, alice.token)
		v.open("/admin/reports?year=2026")
		v.await("app")
		if at, err := url.Parse(v.Eval("location.href")); err != nil || at.Path != "/mfa/" || at.Query().Get("return_to") != "/admin/reports?year=2026" {
			t.Fatalf("the gate leads to %s", at)
		}
		v.look("verify-app")
		field := v.Eval(`(({ autocomplete, inputMode, name }) => [autocomplete, inputMode, name])(document.activeElement)`)
		if field != "one-time-code,numeric,code" {
			t.Errorf("the focused field is %s", field)
		}
		v.fill("#code", wrongCode(t, alice.secret))
		v.shows("That code is wrong or was used")
		if v.Eval(`document.activeElement.id + document.activeElement.getAttribute("aria-invalid")`) != "codetrue" {
			t.Error("the focus is not on the field, which is not said to be invalid")
		}
		v.look("verify-wrong")
		// A pasted code may have a space in it, and digits of another script; it
		// is sent by itself.
		code := edgetest.Code(t, alice.secret)
		browsertest.Call(v.Tab, input.InsertText, input.InsertTextParams{Text: code[:3] + " " + inDigits(code[3:], '०')})
		v.at("/admin/reports?year=2026")
		v.clean()
	})
}

func TestTheKeyboardAloneIsEnough(t *testing.T) {
	e := edgetest.New(t)
	e.Start(pageSite(adminGate))
	alice := enrolled(t, e, "alice", nil)
	v := visit(t, e, desktop, alice.token)
	v.open("/admin/")
	v.await("app")
	var stops []string
	for range 2 {
		v.Run(chromedp.KeyEvent("\t"))
		stops = append(stops, v.Eval(`document.activeElement.innerText`))
		if got := v.Eval("getComputedStyle(document.activeElement).outlineStyle"); got != "solid" {
			t.Errorf("the focus on %q is not visible", stops)
		}
	}
	if want := "Verify, Use a backup code"; strings.Join(stops, ", ") != want {
		t.Fatalf("the Tab key stops at %q", stops)
	}
	v.Run(chromedp.KeyEvent("\r"))
	v.await("backup")
	v.look("verify-backup")
	v.Run(chromedp.SendKeys(chromedp.CSS("#code"), strings.ToLower(alice.backup[0])+"\r"))
	v.at("/admin/")
	v.clean()
}

func TestAPasskeyIsAskedForFirstAndCanBeCancelled(t *testing.T) {
	onBothScreens(t, pageSite(adminGate), func(t *testing.T, e *edgetest.Edge, s screen) {
		token := e.Token("alice", nil)
		v := visit(t, e, s, token)
		v.AddAuthenticator()
		v.open("/admin/one")
		v.await("choose")
		v.click("#add-PASSKEY")
		v.await("setup-passkey")
		v.look("setup-passkey")
		v.fill("#name", "My laptop")
		v.press("Create passkey")
		codes := v.keepCodes()
		v.at("/admin/one")
		e.Do("POST", "/mfa/sign-out", token, map[string]any{"everywhere": true}).WantMessage(t, "Signed out")

		v.open("/admin/two")
		v.await("passkey")
		v.look("verify-passkey")
		v.Eval(`navigator.credentials.get = async () => { throw new DOMException("no", "NotAllowedError"); }`)
		v.click("#passkey")
		v.shows("No passkey was used. Try again, or choose another way.")
		v.open("/admin/two")
		v.await("passkey")
		v.click("#passkey")
		v.at("/admin/two")
		e.Do("POST", "/mfa/sign-out", token, map[string]any{"everywhere": true}).WantMessage(t, "Signed out")

		// The other way is one press away.
		v.open("/admin/three")
		v.await("passkey")
		v.click("#way-BACKUP_CODE")
		v.await("backup")
		v.fill("#code", codes[0])
		v.press("Verify")
		v.at("/admin/three")
		v.clean()
	})
}

func TestAPersonApprovesALoginOnAnotherDevice(t *testing.T) {
	onBothScreens(t, pageSite(adminGate), func(t *testing.T, e *edgetest.Edge, s screen) {
		token := e.Token("alice", nil)
		v := visit(t, e, s, token)
		v.open("/admin/reports")
		v.await("choose")
		v.click("#add-MAGIC_LINK")
		v.await("setup-link")
		v.look("setup-link")
		v.fill("#email", "no address")
		v.press("Send link")
		v.shows("Enter an e-mail address such as")
		v.fill("#email", "alice@example.org")
		v.press("Send link")
		v.await("inbox")
		v.shows("Open the link that we sent to alice@example.org")
		v.look("inbox")

		other := visit(t, e, s, "") // another device, where nobody is signed in
		mails := outbox(t, e)
		whole, _ := link(t, mails[len(mails)-1])
		other.Run(chromedp.Navigate(whole))
		other.shows("Confirm your e-mail")
		other.look("link-setup")
		other.click("#confirm")
		other.shows("E-mail confirmed")
		other.look("link-confirmed")
		v.await("link") // the asking screen has noticed
		v.look("verify-link")
		v.click("#link")
		v.until(`document.getElementById("match")`)
		v.look("verify-match")
		number, err := strconv.Atoi(v.Eval(`document.getElementById("match").textContent`))
		if err != nil {
			t.Fatal(err)
		}
		mails = outbox(t, e)
		whole, _ = link(t, mails[len(mails)-1])
		other.Run(chromedp.Navigate("about:blank"), chromedp.Navigate(whole))
		other.shows("Are you signing in?")
		other.shows("127.0.0.1")
		other.look("link-approve")
		other.fill("#number", strconv.Itoa(10+(number-9)%90)) // another one
		other.click("#confirm")
		other.shows("Check the number")
		other.fill("#number", strconv.Itoa(number))
		other.click("#confirm")
		other.shows("Sign-in approved")
		// The codes that came with the setup are void: another device has
		// confirmed it. New ones can be made at once.
		v.await("no-codes")
		v.shows("You have no backup codes.")
		v.look("no-codes")
		v.click("#make-codes")
		codes := v.keepCodes()
		v.at("/admin/reports")
		full := pairOf(t, e.Do("POST", "/mfa/verify-login", token, map[string]any{"mfaType": "GOOGLE_AUTH", "code": codes[0]})).access
		if status := e.Do("GET", "/mfa/status", full, nil).Data(t); status["backupCodesRemaining"] != 9.0 || status["backupCodesAcr"] != "mail" {
			t.Errorf("status is %v", status)
		}
		v.clean()
		other.clean()
	})
}

func TestARefusedLoginTellsTheScreenThatAsked(t *testing.T) {
	e := edgetest.New(t)
	e.Start(pageSite(adminGate))
	token := e.Token("alice", nil)
	setupLink(e, token, "alice@example.org").Data(t)
	activate(e, onlyToken(t, e)).WantMessage(t, "Magic link MFA activated successfully")
	v := visit(t, e, desktop, token)
	v.open("/admin/")
	v.await("link")
	v.click("#link")
	v.until(`document.getElementById("match")`)
	mails := outbox(t, e)
	whole, _ := link(t, mails[len(mails)-1])
	other := visit(t, e, phone, "")
	other.Run(chromedp.Navigate(whole))
	other.shows("Are you signing in?")
	other.click("#deny")
	other.shows("Sign-in refused")
	other.look("link-denied")
	v.shows("The link has expired or was refused")
	v.look("verify-refused")
	other.Run(chromedp.Navigate("about:blank"), chromedp.Navigate(whole))
	other.shows("This link doesn’t work")
	other.look("link-dead")
	v.clean()
	other.clean()
}

func TestTheGatesDemandsAreMet(t *testing.T) {
	e := edgetest.New(t)
	e.Start(pageSite("mfa_require /vault/* {\nacr phr\n}\nmfa_require /code/* {\nmethods GOOGLE_AUTH\n}"))
	alice := enrolled(t, e, "alice", nil)
	v := visit(t, e, desktop, alice.token)
	v.AddAuthenticator()
	v.open("/vault/x")
	v.await("stuck")
	v.shows("Something stronger is needed")
	v.look("stuck")
	v.click("#add-PASSKEY")
	v.await("app") // a change needs a factor first
	v.fill("#code", edgetest.Code(t, alice.secret))
	v.await("setup-passkey")
	v.press("Create passkey")
	v.at("/vault/x")
	// A passkey is no code, and the page does not offer one.
	v.open("/code/x")
	v.await("app")
	if v.Eval(`document.querySelectorAll("#way-PASSKEY, #way-BACKUP_CODE").length`) != "0" {
		t.Error("the page offers what the gate does not accept")
	}
	v.clean()
}
