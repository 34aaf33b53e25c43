package main_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

func TestASignInThatEndsIsSaidWhereverThePersonIs(t *testing.T) {
	e := edgetest.New(t)
	e.Start(pageSite(adminGate, "page {", "login_url http://localhost:{$PORT}/login?return_to=", "}"))
	alice := enrolled(t, e, "alice", nil)
	e.Do("POST", "/mfa/setup", alice.pair.access, map[string]any{"mfaType": "MAGIC_LINK", "email": "alice@example.org"}).Data(t)
	activate(e, onlyToken(t, e)).WantMessage(t, "Magic link MFA activated successfully")
	v := visit(t, e, desktop, alice.token)
	v.AddAuthenticator()
	v.open("/mfa/")
	v.await("manage")
	v.click("#add-PASSKEY")
	v.stepUp(alice, 0)
	v.await("setup-passkey")
	v.press("Create passkey")
	v.await("manage")
	for name, at := range map[string]struct{ before, act func() }{
		"a code":        {func() {}, func() { v.fill("#code", "123456") }},
		"a backup code": {func() { v.click("#way-BACKUP_CODE"); v.await("backup") }, func() { v.fill("#code", alice.backup[0]+"\r") }},
		"a passkey":     {func() { v.click("#way-PASSKEY"); v.await("passkey") }, func() { v.click("#passkey") }},
		"a link":        {func() { v.click("#way-MAGIC_LINK"); v.await("link") }, func() { v.click("#link") }},
		"the mail": {func() {
			v.click("#way-MAGIC_LINK")
			v.await("link")
			v.click("#link")
			v.until(`document.getElementById("match")`)
		}, func() {}},
	} {
		t.Log("at", name)
		v.signIn(alice.token)
		v.open("/mfa/?return_to=%2Fadmin%2Fx")
		v.await("app")
		asked := v.Eval("location.href")
		at.before()
		// The token of the cookie has ended, or the cookie itself has.
		v.Eval(map[bool]string{
			true: `document.cookie = "login=; path=/; max-age=0"`, false: `document.cookie = "login=nonsense; path=/"`,
		}[name == "a code"])
		at.act()
		v.await("signed-out")
		v.shows("Your sign-in has expired")
		v.look("ended")
		v.click("#login")
		v.at("/login?return_to=" + url.QueryEscape(asked))
	}
	v.clean()
}

func TestASetupWhoseSignInEndsSaysSo(t *testing.T) {
	e := edgetest.New(t)
	e.Start(pageSite(adminGate))
	v := visit(t, e, phone, e.Token("bob", nil))
	v.open("/mfa/")
	v.await("choose")
	v.click("#add-MAGIC_LINK")
	v.await("setup-link")
	v.fill("#email", "bob@example.org")
	v.press("Send link")
	v.await("inbox")
	v.Eval(`document.cookie = "login=nonsense; path=/"`)
	v.shows("Your sign-in has expired")
	v.clean()
}

func TestAnAppIsAskedForAnotherTokenAndThePersonGoesOn(t *testing.T) {
	e := edgetest.New(t)
	var alice *person
	origin := serveApp(t, func() string {
		return `<script>
			let accessToken = "` + alice.token + `", asked = 0;
			const give = () => frames[0].postMessage({ type: "mfa:token", accessToken }, "` + e.URL + `");
			addEventListener("message", ({ data }) => {
				if (data.type === "mfa:ready") {
					asked++;
					give();
				}
			});
		</script><iframe src="` + e.URL + `/mfa/" width="600" height="800"></iframe>`
	})
	config := pageSite(adminGate, "page {", "frame_ancestors "+origin, "}")
	e.Start(config)
	alice = enrolled(t, e, "alice", nil)
	v := visit(t, e, desktop, "")
	v.Run(chromedp.Navigate(origin))
	v.inFrame(`document.getElementById("card").dataset.view === "manage"`)
	asked := v.Eval("asked")
	for i, name := range []string{"first", "second"} {
		// No token of before is good for this audience.
		if err := e.Reload(strings.Replace(config, " dev\n", " dev\n audience "+name+"\n", 1)); err != nil {
			t.Fatal(err)
		}
		token := e.Token("alice", map[string]any{"aud": name})
		if i == 0 {
			// The page asks, and does what the person wanted.
			v.Eval(`accessToken = "` + token + `"`)
			v.newCodesInFrame(alice)
			v.EvalIn(e.URL, `(document.getElementById("kept").click(), document.getElementById("codes-done").click())`)
			v.inFrame(`document.getElementById("card").dataset.view === "manage"`)
			continue
		}
		// The app has none, and then it has.
		v.EvalIn(e.URL, `[...document.querySelectorAll("button")].find((b) => b.innerText === "Sign out of two-step").click()`)
		v.inFrame(`document.body.innerText.includes("Your sign-in has expired")`)
		v.Eval(`(accessToken = "` + token + `", give())`)
		v.inFrame(`document.getElementById("card").dataset.view === "manage"`)
	}
	if got := v.Eval("asked - " + asked); got != "2" {
		t.Errorf("the app is asked %s times more, want 2", got)
	}
	if complaints := v.Complaints(); len(complaints) != 0 {
		t.Errorf("the browser complains: %q", complaints)
	}
}
