package main_test

import (
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"

	"github.com/caddymfa/caddy-mfa/internal/browsertest"
	"github.com/caddymfa/caddy-mfa/internal/edgetest"
	"github.com/caddymfa/caddy-mfa/internal/testtool"
)

func TestWhoIsNotSignedInIsToldWhatToDo(t *testing.T) {
	e := edgetest.New(t)
	e.Start(pageSite(adminGate))
	v := visit(t, e, phone, "")
	v.open("/mfa/")
	v.await("signed-out")
	v.shows("Go to Acme, sign in, and open this page from there.")
	v.look("signed-out")
	v.signIn("nonsense")
	v.open("/mfa/")
	v.shows("Your sign-in has expired")
	if err := e.Reload(pageSite(adminGate, "page {", "login_url "+e.URL+"/login?return_to=", "}")); err != nil {
		t.Fatal(err)
	}
	v.open("/mfa/")
	v.await("signed-out")
	v.look("signed-out-login")
	v.click("#login")
	v.at("/login?return_to=" + url.QueryEscape(e.URL+"/mfa/"))
	v.clean()
}

func TestALockoutCountsDownAndLeavesOtherWaysOpen(t *testing.T) {
	onBothScreens(t, pageSite(adminGate, "lockout {", "attempts 1", "duration 5s", "}"), func(t *testing.T, e *edgetest.Edge, s screen) {
		alice := enrolled(t, e, "alice", nil)
		e.Do("POST", "/mfa/setup", alice.pair.access, map[string]any{"mfaType": "MAGIC_LINK", "email": "alice@example.org"}).Data(t)
		activate(e, onlyToken(t, e)).WantMessage(t, "Magic link MFA activated successfully")
		v := visit(t, e, s, alice.token)
		v.open("/admin/")
		v.await("app")
		v.fill("#code", wrongCode(t, alice.secret))
		v.shows("That code is wrong or was used")
		v.fill("#code", wrongCode(t, alice.secret))
		v.until(`/Too many wrong codes\. Try again in [1-5] seconds?\. Until then, use another way below/.test(document.body.innerText)`)
		if v.Eval(`["code", "way-BACKUP_CODE", "way-MAGIC_LINK"].map((id) => document.getElementById(id).disabled)`) != "true,true,false" {
			t.Error("the wrong things are locked")
		}
		v.look("locked")
		before := v.Eval(`document.querySelector("[role=timer]")?.textContent ?? ""`)
		v.until(`document.querySelector("[role=timer]")?.textContent !== "` + before + `"`)
		v.until(`!document.getElementById("code").disabled`)
		v.until(`document.activeElement.id === "code" && !document.getElementById("way-BACKUP_CODE").disabled`)
		v.fill("#code", edgetest.Code(t, alice.secret))
		v.at("/admin/")
		v.clean()
	})
}

func TestALongLockoutIsSaidInWordsAndByWhomItEnds(t *testing.T) {
	e := edgetest.New(t)
	e.Start(pageSite(adminGate, "lockout {", "attempts 1", "duration 90m", "}"))
	alice := enrolled(t, e, "alice", nil)
	alice.showCode(wrongCode(t, alice.secret)).WantError(t, 401, "mfa_verification_failed", "")
	for lang, said := range map[string]struct{ hours, minutes, seconds, alone string }{
		"en": {"Try again in 1 hour, 5 minutes.", "31 minutes", "30 seconds", "Your administrator can unlock codes sooner."},
		"de": {"Erneut möglich in 1 Stunde, 5 Minuten.", "31 Minuten", "30 Sekunden", "Ihre Administration kann Codes früher freigeben."},
		"fr": {"Réessayez dans 1 heure et 5 minutes.", "31 minutes", "30 secondes", "Votre administrateur peut débloquer les codes plus tôt."},
		"es": {"Reintenta en 1 hora y 5 minutos.", "31 minutos", "30 segundos", "Tu administrador puede desbloquearlos antes."},
		"ja": {"1 時間 5 分 後に再試行できます。", "31 分", "30 秒", "管理者はすぐに解除できます。"},
	} {
		v := visit(t, e, phone, alice.token)
		browsertest.Call(v.Tab, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: "Mozilla/5.0 iPhone", AcceptLanguage: lang})
		// The page's clock is the test's, who reads how long the wait is.
		v.before(`
			window.now = Date.now();
			Date.now = () => window.now;
			const real = fetch;
			window.fetch = async (...all) => {
				const response = await real(...all);
				window.end = window.now + 1000 * response.headers.get("Retry-After");
				return response;
			};`)
		v.open("/admin/")
		v.await("app")
		v.fill("#code", "000000")
		v.until(`document.querySelector("[role=timer]")`)
		v.shows(said.alone)
		v.look("locked-" + lang)
		for _, at := range []struct {
			left string // seconds
			text string
		}{{"3900", said.hours}, {"1801", said.minutes}, {"30", said.seconds}} {
			v.Eval(`window.now = window.end - 1000 * ` + at.left)
			v.shows(at.text)
		}
		v.clean()
	}
	if _, stderr, err := e.Command("mfa", "users", "unlock", "alice", "--address", e.Admin()); err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	v := visit(t, e, phone, alice.token)
	v.open("/admin/")
	v.await("app")
	v.fill("#code", alice.code(1))
	v.at("/admin/")
}

func TestBeingOfflineIsSaidAndPasses(t *testing.T) {
	e := edgetest.New(t)
	e.Start(pageSite(adminGate))
	alice := enrolled(t, e, "alice", nil)
	v := visit(t, e, phone, alice.token)
	v.open("/admin/")
	v.await("app")
	v.SetOffline(true)
	v.fill("#code", "000000")
	v.shows("You are offline. Connect, then try again.")
	v.look("offline")
	v.SetOffline(false)
	v.fill("#code", edgetest.Code(t, alice.secret))
	v.at("/admin/")
	v.clean()
}

func TestAServerThatComesBackIsFoundByTryingAgain(t *testing.T) {
	e := edgetest.New(t)
	e.Start(pageSite(adminGate))
	alice := enrolled(t, e, "alice", nil)
	v := visit(t, e, desktop, alice.token)
	v.open("/mfa/")
	v.await("manage")
	e.Stop()
	v.press("Sign out everywhere")
	v.click("#dialog-go")
	v.await("failed")
	v.shows("Acme could not be reached")
	v.look("failed")
	e.Start("")
	v.press("Try again")
	v.await("manage")
	v.clean()
}

func TestABrowserWithoutPasskeysSaysSo(t *testing.T) {
	e := edgetest.New(t)
	e.Start(pageSite(adminGate))
	token := e.Token("alice", nil)
	v := visit(t, e, desktop, token)
	v.AddAuthenticator()
	v.open("/admin/")
	v.await("choose")
	v.click("#add-PASSKEY")
	v.press("Create passkey")
	v.keepCodes()
	v.at("/admin/")
	e.Do("POST", "/mfa/sign-out", token, map[string]any{"everywhere": true}).WantMessage(t, "Signed out")
	v.before("delete window.PublicKeyCredential")
	v.open("/admin/")
	v.await("passkey")
	v.shows("This browser doesn’t support passkeys.")
	v.look("no-passkeys")
	v.click("#way-BACKUP_CODE")
	v.await("backup")
	bob := visit(t, e, desktop, e.Token("bob", nil))
	bob.before("delete window.PublicKeyCredential")
	bob.open("/mfa/")
	bob.await("choose")
	if bob.Eval(`document.getElementById("add-PASSKEY").disabled`) != "true" {
		t.Error("a passkey is offered")
	}
	bob.look("choose-no-passkeys")
	v.clean()
	bob.clean()
}

func TestWhatIsNotOfferedIsNotShown(t *testing.T) {
	e := edgetest.New(t)
	config := strings.Replace(pageSite("mfa_require /mail/* {\nmethods MAGIC_LINK\n}"), "magic_link {", "totp {\n}\n#", 1)
	config = strings.NewReplacer("\t\t\tfrom \"Acme <no-reply@example.com>\"\n", "", "\t\t\tdirectory ./outbox\n\t\t}\n", "").Replace(config)
	e.Start(config)
	v := visit(t, e, phone, e.Token("alice", nil))
	v.open("/mfa/")
	v.await("choose")
	if v.Eval(`document.getElementById("add-MAGIC_LINK")`) != "null" {
		t.Error("mail is offered")
	}
	v.open("/mail/")
	v.await("none")
	v.shows("What is needed is not offered here.")
	v.look("none")
	v.clean()
}

func TestAPersonIsNeverSentRoundInACircle(t *testing.T) {
	e := edgetest.New(t)
	e.Start(pageSite(adminGate))
	alice := enrolled(t, e, "alice", nil)
	v := visit(t, e, desktop, alice.token)
	// A browser that does not keep cookies any more.
	v.before(`
		const real = fetch;
		window.fetch = (path, init) => real(path, path === "verify-login" ? { ...init, credentials: "omit", headers: { ...init.headers, Authorization: "Bearer ` + alice.token + `" } } : init);`)
	v.open("/admin/x")
	v.await("app")
	v.fill("#code", edgetest.Code(t, alice.secret))
	v.await("no-cookie")
	v.shows("the browser refused the cookie")
	v.look("no-cookie")

	// One that is sent back although it was let go.
	w := visit(t, e, phone, alice.token)
	w.open("/admin/x")
	w.await("app")
	w.fill("#code", alice.code(1))
	w.at("/admin/x")
	w.open("/mfa/?return_to=%2Fadmin%2Fx")
	w.await("bounced")
	w.look("bounced")
	w.press("Try again")
	w.await("app")
	// What is remembered tells nothing.
	if kept := w.Eval(`JSON.stringify([{ ...sessionStorage }, { ...localStorage }])`); kept != "[{},{}]" {
		t.Errorf("the storage holds %s", kept)
	}
	v.clean()
	w.clean()
}

func TestOverPlainHTTPThePageSaysWhyItCannotGoOn(t *testing.T) {
	e := edgetest.New(t)
	config := strings.NewReplacer(
		"public_url http://localhost:{$PORT}", "public_url http://app.test:{$PORT}",
		"http://localhost:{$PORT}, http://127.0.0.1:{$PORT} {", "http://app.test:{$PORT}, http://localhost:{$PORT} {",
	).Replace(pageSite(adminGate))
	e.Start(config)
	alice := enrolled(t, e, "alice", nil)
	e.URL = "http://app.test:" + e.Port
	v := visit(t, e, desktop, alice.token)
	v.open("/admin/x")
	v.await("app")
	v.fill("#code", edgetest.Code(t, alice.secret))
	v.await("no-cookie")
	v.shows("over https only")
}

func TestAnOldSignInCannotEnrol(t *testing.T) {
	e := edgetest.New(t)
	e.Start(pageSite(adminGate, "enrollment_max_auth_age 5m"))
	v := visit(t, e, desktop, e.Token("alice", map[string]any{"auth_time": time.Now().Add(-time.Hour).Unix()}))
	v.open("/mfa/")
	v.await("choose")
	v.click("#add-GOOGLE_AUTH")
	v.await("sign-in")
	v.shows("your sign-in must be recent")
	v.look("old-sign-in")
	v.clean()
}

func TestThePageSpeaksTheBrowsersLanguage(t *testing.T) {
	e := edgetest.New(t)
	e.Start(pageSite(adminGate))
	alice := enrolled(t, e, "alice", nil)
	for lang, want := range map[string]string{
		"de-CH": "Bestätigung in zwei Schritten", "fr": "Validation en deux étapes", "es-MX": "Verificación en dos pasos", "ja": "2段階認証", "pl": "Two-step verification",
	} {
		v := visit(t, e, phone, alice.token)
		browsertest.Call(v.Tab, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: "Mozilla/5.0 iPhone", AcceptLanguage: lang})
		v.open("/mfa/")
		v.await("manage")
		v.shows(want)
		v.look("manage-" + lang)
		v.clean()
	}
}

func TestAnOperatorsLookCanBeReadToo(t *testing.T) {
	const logo = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 40" width="100" height="40"><rect width="100" height="40" rx="8" fill="#e2b100"/><script>alert(1)</script></svg>`
	for _, s := range []screen{desktop, phone} {
		e := edgetest.New(t)
		e.Write("logo.svg", logo)
		e.Start(pageSite(adminGate, "page {", `title "Acme Sunshine"`, "logo ./logo.svg", `accent "#ffd60a"`, "}"))
		alice := enrolled(t, e, "alice", nil)
		v := visit(t, e, s, alice.token)
		v.open("/admin/")
		v.await("app")
		v.shows("Acme Sunshine")
		v.until(`document.querySelector(".logo").naturalWidth === 100`)
		v.look("themed")
		if got := v.Eval(`getComputedStyle(document.querySelector("form button")).backgroundColor`); got != "rgb(255, 214, 10)" {
			t.Errorf("the button is %s", got)
		}
		v.clean()
		answer := e.Do("GET", "/mfa/assets/logo", "", nil)
		if answer.Header.Get("Content-Type") != "image/svg+xml" || !strings.Contains(answer.Header.Get("Content-Security-Policy"), "sandbox") ||
			answer.Header.Get("X-Content-Type-Options") != "nosniff" || answer.Body != logo {
			t.Errorf("the logo: %v", answer.Header)
		}
	}
}

func TestAnAddressThatIsNotThePublicOneIsSaid(t *testing.T) {
	e := edgetest.New(t)
	e.Start(pageSite(adminGate))
	alice := enrolled(t, e, "alice", nil)
	e.URL = strings.Replace(e.URL, "localhost", "127.0.0.1", 1)
	v := visit(t, e, desktop, alice.token)
	v.open("/admin/")
	v.await("app")
	v.fill("#code", edgetest.Code(t, alice.secret))
	v.shows("Acme doesn’t work at this address. Open it at its usual one.")
	v.clean()
}

// What finds nothing wrong anywhere must be able to.
func TestWhatCannotBeReadIsFound(t *testing.T) {
	if os.Getenv(axePath) == "" {
		testtool.Missing(t, "%s does not name axe.min.js of the npm package axe-core", axePath)
	}
	e := edgetest.New(t)
	e.Start(pageSite(adminGate))
	v := visit(t, e, desktop, "")
	v.open("/mfa/")
	v.await("signed-out")
	v.Eval(`document.getElementById("card").append(Object.assign(document.createElement("img"), { src: "x" }))`)
	v.Eval(`document.querySelector(".lead").style.color = "#ddd"`)
	if found := v.violations(); !strings.Contains(found, "image-alt") || !strings.Contains(found, "color-contrast") {
		t.Errorf("axe finds %q", found)
	}
}
