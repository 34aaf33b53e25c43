package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/caddymfa/caddy-mfa/internal/browsertest"
	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

// stepUp answers the page's question for a factor with the app's code.
func (v *visitor) stepUp(p *person, steps int) {
	v.T.Helper()
	v.await("app")
	v.shows("This change needs a fresh confirmation")
	v.fill("#code", p.code(steps))
}

func TestAPersonManagesTheirFactors(t *testing.T) {
	onBothScreens(t, pageSite(adminGate), func(t *testing.T, e *edgetest.Edge, s screen) {
		alice := enrolled(t, e, "alice", nil)
		v := visit(t, e, s, alice.token)
		v.AddAuthenticator()
		v.open("/mfa/")
		v.await("manage")
		v.shows("10 codes are left")
		v.shows("last used")

		// Adding a passkey asks for a factor, and goes on by itself.
		v.click("#add-PASSKEY")
		v.stepUp(alice, 0)
		v.await("setup-passkey")
		v.fill("#name", "Alice’s laptop")
		v.press("Create passkey")
		v.await("manage")
		v.shows("Added. You’re protected.")
		v.look("manage")

		v.press("Rename: Alice’s laptop")
		v.until(`document.querySelector("dialog[open]")`)
		v.look("rename")
		v.fill("#answer", "Work laptop\r")
		v.shows("Now called “Work laptop”.")

		v.press("Ask for this first: Work laptop")
		v.shows("You’ll be asked for “Work laptop” first.")
		if got := e.Do("GET", "/mfa/status", alice.token, nil).Data(t)["primaryMethod"]; got != "PASSKEY" {
			t.Errorf("the primary method is %v", got)
		}

		v.press("Get new codes")
		v.shows("All codes that you have now stop working.")
		v.click("#dialog-cancel")
		v.until(`!document.querySelector("dialog")`)
		v.press("Get new codes")
		v.click("#dialog-go")
		codes := v.keepCodes()
		v.shows("You have new backup codes.")
		if len(codes) != 10 || codes[0] == alice.backup[0] {
			t.Errorf("the codes are %q", codes)
		}
		alice.show(map[string]any{"mfaType": "GOOGLE_AUTH", "code": alice.backup[0]}).WantError(t, 401, "mfa_verification_failed", "")

		v.press("Sign out of two-step")
		v.shows("Signed out.")
		v.shows("Changes ask you to confirm")

		// The app's code changes nothing of who has a passkey.
		v.press("Remove: Authenticator app")
		v.click("#dialog-go")
		v.await("passkey")
		v.shows("This change needs one of your passkeys.")
		v.shows("Lost your passkeys? Your help desk or administrator can reset them.")
		if v.Eval(`document.querySelectorAll("#way-GOOGLE_AUTH, #way-BACKUP_CODE").length`) != "0" {
			t.Error("the page offers what is not accepted")
		}
		v.look("step-up-passkey")
		v.press("Back")
		v.await("manage")

		v.press("Remove: Work laptop")
		v.shows("It can no longer confirm that it’s you")
		v.look("remove")
		v.click("#dialog-go")
		v.await("passkey") // which comes first now
		v.click("#passkey")
		v.shows("“Work laptop” was removed.")

		v.press("Remove: Authenticator app")
		v.shows("This is your last one.")
		v.click("#dialog-cancel")
		v.until(`!document.querySelector("dialog")`)

		v.press("Remove: Authenticator app")
		v.click("#dialog-go")
		v.await("app")
		v.press("Use a backup code")
		v.await("backup")
		v.fill("#code", codes[1]+"\r")
		v.await("choose") // nothing is left
		wantMethods(t, e, alice.token)
		v.clean()
	})
}

func TestANewPhoneTakesTheAppOver(t *testing.T) {
	e := edgetest.New(t)
	e.Start(pageSite(adminGate))
	alice := enrolled(t, e, "alice", nil)
	v := visit(t, e, phone, alice.token)
	v.open("/mfa/")
	v.await("manage")
	v.press("Set up anew: Authenticator app")
	v.stepUp(alice, 0)
	v.await("setup-app")
	secret := strings.ReplaceAll(v.Eval(`document.getElementById("secret").textContent`), " ", "")
	v.fill("#code", edgetest.Code(t, secret))
	v.keepCodes()
	v.await("manage")
	if count := v.Eval(`document.querySelectorAll(".factor").length`); count != "1" || secret == alice.secret {
		t.Errorf("there are %s factors", count)
	}
	alice.showCode(alice.code(1)).WantError(t, 401, "mfa_verification_failed", "")
	v.clean()
}

func TestAnAddressIsNotTakenForConfirmedWhenThatCannotBeTold(t *testing.T) {
	e := edgetest.New(t)
	e.Start(pageSite(adminGate))
	alice := enrolled(t, e, "alice", nil)
	e.Do("POST", "/mfa/setup", alice.pair.access, map[string]any{"mfaType": "MAGIC_LINK", "email": "alice@example.org"}).Data(t)
	activate(e, onlyToken(t, e)).WantMessage(t, "Magic link MFA activated successfully")
	v := visit(t, e, desktop, alice.token)
	v.open("/mfa/")
	v.await("manage")
	v.Eval(`(() => {
		const send = window.fetch;
		window.asked = -1;
		window.fetch = async (path, options) => {
			const response = await send(path, options);
			if (path === "setup" && response.ok) {
				window.asked = 0;
			}
			const first = path === "credentials" && window.asked >= 0 && window.asked++ === 0;
			return first ? new Response("", { status: 503 }) : response;
		};
	})()`)
	v.Eval(`[...document.querySelectorAll("[data-type=MAGIC_LINK] button")].find((b) => b.innerText === "Set up anew").click()`)
	v.await("setup-link")
	v.fill("#email", "alice@example.com")
	v.press("Send link")
	v.stepUp(alice, 0)
	v.until("window.asked >= 3")
	if view := v.Eval(`document.getElementById("card").dataset.view`); view != "inbox" {
		t.Errorf("the page is at %s:\n%s", view, v.text())
	}
}

func TestASignOutEverywhereSaysWhatItDoes(t *testing.T) {
	e := edgetest.New(t)
	e.Start(pageSite(adminGate))
	alice := enrolled(t, e, "alice", nil)
	alice.pair.wantOpens(t, e, "alice", alice.token, "GOOGLE_AUTH", "mfa")
	v := visit(t, e, desktop, alice.token)
	v.open("/mfa/")
	v.await("manage")
	v.press("Sign out everywhere")
	v.shows("Every browser and app of yours has to confirm again")
	v.look("sign-out")
	v.click("#dialog-go")
	v.shows("Signed out.")
	alice.wantEnded(alice.pair)
	v.clean()
}

func TestTheLastFactorStaysWhereTheOrganizationDemandsOne(t *testing.T) {
	e := edgetest.New(t)
	e.Start(pageSite(adminGate))
	admin := enrolled(t, e, "root", map[string]any{"organization": "acme", "roles": []string{"OWNER"}})
	e.Do("POST", "/mfa/organization/enforce", admin.pair.access, map[string]any{"enforced": true}).
		WantMessage(t, "MFA enforcement enabled for organization")
	v := visit(t, e, phone, admin.token)
	v.open("/mfa/")
	v.await("manage")
	v.shows("Your organization requires one.")
	v.press("Remove: Authenticator app")
	v.click("#dialog-go")
	v.stepUp(admin, 0)
	v.await("manage")
	v.shows("the last one cannot be removed")
	v.look("enforced")
	wantMethodsKept := e.Do("GET", "/mfa/status", admin.token, nil).Data(t)
	if wantMethodsKept["isEnabled"] != true {
		t.Errorf("status is %v", wantMethodsKept)
	}
	v.clean()
}

func TestBackupCodesCanBeCopiedDownloadedAndPrinted(t *testing.T) {
	e := edgetest.New(t)
	e.Start(pageSite(adminGate))
	v := visit(t, e, desktop, e.Token("alice", nil))
	dir := t.TempDir()
	v.SaveInto(dir)
	v.open("/mfa/")
	v.await("choose")
	v.click("#add-GOOGLE_AUTH")
	v.await("setup-app")
	v.fill("#code", edgetest.Code(t, strings.ReplaceAll(v.Eval(`document.getElementById("secret").textContent`), " ", "")))
	v.await("codes")
	if v.Eval(`document.getElementById("codes-done").disabled`) != "true" {
		t.Error("one can go on without having kept the codes")
	}
	shown := v.Eval(`[...document.querySelectorAll("#codes code")].map((c) => c.textContent).join("\n")`)
	v.Eval(`Object.defineProperty(navigator, "clipboard", { value: { writeText: async (text) => { window.copied = text; } } })`)
	v.press("Copy")
	v.shows("Copied")
	if copied := v.Eval("copied"); !strings.Contains(copied, shown) || !strings.Contains(copied, "Acme") {
		t.Errorf("copied is %q", copied)
	}
	v.press("Download")
	var saved string
	edgetest.Eventually(t, 30*time.Second, "the file is saved", func() bool {
		content, err := os.ReadFile(filepath.Join(dir, "backup-codes.txt"))
		saved = string(content)
		return err == nil && len(content) > 0
	})
	if !strings.Contains(saved, shown) {
		t.Errorf("saved is %q", saved)
	}
	browsertest.Call(v.Tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print"})
	if printed := v.text(); !strings.Contains(printed, strings.Fields(shown)[9]) || strings.Contains(printed, "Continue") {
		t.Errorf("what is printed is\n%s", printed)
	}
	v.Eval(`window.print = () => { window.printed = true; }`)
	browsertest.Call(v.Tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{})
	v.press("Print")
	if v.Eval("printed") != "true" {
		t.Error("nothing is printed")
	}
	v.Run(chromedp.Click(chromedp.CSS("#kept")), chromedp.Click(chromedp.CSS("#codes-done")))
	v.await("manage")
	v.clean()
}
