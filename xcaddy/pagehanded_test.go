package main_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

// app is a page of the team's own that shows the self-service page in a
// frame, and writes down what it is told.
func app(t *testing.T, e *edgetest.Edge) (origin string) {
	t.Helper()
	return serveApp(t, func() string {
		return `<script>told = []; addEventListener("message", ({ data, origin }) => told.push({ ...data, origin }));</script>
			<iframe src="` + e.URL + `/mfa/" width="600" height="800"></iframe>`
	})
}

// serveApp serves a page with body at an origin of its own.
func serveApp(t *testing.T, body func() string) (origin string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `<!doctype html><title>app</title><link rel="icon" href="data:,">`, body())
	}))
	t.Cleanup(server.Close)
	return strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
}

// inFrame waits until an expression is true in the frame of the page.
func (v *visitor) inFrame(expression string) {
	v.T.Helper()
	edgetest.Eventually(v.T, 30*time.Second, expression, func() bool {
		return v.EvalIn(v.edge.URL, "Boolean("+expression+")") == "true"
	})
}

// newCodesInFrame gets new backup codes at the page in a frame.
func (v *visitor) newCodesInFrame(p *person) {
	v.T.Helper()
	v.askForCodesInFrame(p)
	v.inFrame(`document.getElementById("codes-done")`)
}

// askForCodesInFrame asks for new backup codes there, and sends the code of
// the app that this takes.
func (v *visitor) askForCodesInFrame(p *person) {
	v.T.Helper()
	v.inFrame(`document.getElementById("card").dataset.view === "manage"`)
	v.EvalIn(v.edge.URL, `[...document.querySelectorAll("button")].find((b) => b.innerText === "Get new codes").click()`)
	v.inFrame(`document.querySelector("dialog[open]")`)
	v.EvalIn(v.edge.URL, `document.getElementById("dialog-go").click()`)
	v.inFrame(`document.getElementById("code")`)
	v.EvalIn(v.edge.URL, `(() => { const c = document.getElementById("code"); c.value = "`+edgetest.Code(v.T, p.secret)+`"; c.dispatchEvent(new Event("input")); })()`)
}

func TestThePagesDocumentIsTrue(t *testing.T) {
	doc := readDocument(t, "docs/page.md")
	e := edgetest.New(t)
	e.Write("logo.svg", `<svg xmlns="http://www.w3.org/2000/svg"/>`)
	frame := strings.ReplaceAll(doc.take("html", "<iframe"), "https://example.com", e.URL)
	options := doc.take("caddyfile", "page {")
	doc.wantAllTaken()
	var alice *person
	origin := serveApp(t, func() string {
		return `<script>let accessToken = "` + alice.token + `";</script>` + frame
	})
	e.Start(pageSite(adminGate, strings.Replace(options, "https://app.example.com", origin, 1)))
	alice = enrolled(t, e, "alice", nil)
	v := visit(t, e, desktop, "")
	v.Run(chromedp.Navigate(origin))
	v.newCodesInFrame(alice)
	v.until(`accessToken !== "` + alice.token + `"`)
	wantStatus(t, "with the token that the app has now", e.Do("GET", "/admin/x", v.Eval("accessToken"), nil), 200)

	content, err := os.ReadFile("../docs/page.md")
	if err != nil {
		t.Fatal(err)
	}
	policy := e.Do("GET", "/mfa/", "", nil).Header.Get("Content-Security-Policy")
	shown := strings.Join(strings.Fields(string(content)), " ")
	if want := strings.Replace(policy, origin, "'none'", 1); !strings.Contains(shown, "Content-Security-Policy: "+want) {
		t.Errorf("the document does not show the policy %q", want)
	}
}

func TestAListedAppHandsItsTokenOverAndGetsThePair(t *testing.T) {
	e := edgetest.New(t)
	origin := app(t, e)
	e.Start(pageSite(adminGate, "page {", "frame_ancestors "+origin, "}"))
	alice := enrolled(t, e, "alice", nil)
	v := visit(t, e, desktop, "")
	v.Run(chromedp.Navigate(origin))
	v.inFrame(`document.getElementById("card").dataset.view === "signed-out"`)
	if told := v.Eval("JSON.stringify(told[0])"); told != `{"type":"mfa:ready","origin":"`+e.URL+`"}` {
		t.Errorf("the app is told %s", told)
	}
	// A token that is no good is asked for once more, and not for ever.
	for range 3 {
		v.Eval(`frames[0].postMessage({ type: "mfa:token", accessToken: "nonsense" }, "` + e.URL + `")`)
	}
	v.inFrame(`document.body.innerText.includes("Your sign-in has expired")`)
	v.until("told.length >= 2")
	if told := v.Eval("told.length"); told != "2" {
		t.Errorf("the app is asked %s times", told)
	}
	v.Eval(`frames[0].postMessage({ type: "mfa:token", accessToken: "` + alice.token + `" }, "` + e.URL + `")`)
	v.newCodesInFrame(alice)
	v.until(`told.some((one) => one.type === "mfa:verified")`)
	pair := v.Eval(`told.find((one) => one.type === "mfa:verified").fullAccessToken`)
	if answer := e.Do("GET", "/admin/x", pair, nil); answer.Status != 200 {
		t.Errorf("the pair that the app got opens nothing: %d %s", answer.Status, answer.Body)
	}
	if refresh := v.Eval(`told.find((one) => one.type === "mfa:verified").refreshToken.length > 20`); refresh != "true" {
		t.Error("the app got no refresh token")
	}
}

func TestAListedAppGetsNoPairThatTheCookieHasAskedFor(t *testing.T) {
	e := edgetest.New(t)
	origin := app(t, e)
	e.Start(pageSite(adminGate, "page {", "frame_ancestors "+origin, "}"))
	alice := enrolled(t, e, "alice", nil)
	v := visit(t, e, desktop, alice.token)
	v.Run(chromedp.Navigate(origin))
	v.inFrame(`document.getElementById("card").dataset.view === "manage"`)
	// The app hands another's token over while the answer is on its way.
	v.EvalIn(e.URL, `(() => {
		const send = window.fetch;
		window.fetch = async (path, options) => {
			const response = await send(path, options);
			if (path === "verify-login") {
				const heard = new Promise((go) => { addEventListener("message", go, { once: true }); });
				window.held = true;
				await heard;
			}
			return response;
		};
	})()`)
	v.askForCodesInFrame(alice)
	v.inFrame(`window.held`)
	v.Eval(`frames[0].postMessage({ type: "mfa:token", accessToken: "` + e.Token("mallory", nil) + `" }, "` + e.URL + `")`)
	v.inFrame(`document.getElementById("code") === null`)
	if told := v.Eval(`JSON.stringify(told.filter((one) => one.type !== "mfa:ready"))`); told != "[]" {
		t.Errorf("the app is told %s", told)
	}
}

func TestAPageThatIsNotListedGetsNothing(t *testing.T) {
	e := edgetest.New(t)
	origin := app(t, e)
	evil := strings.Replace(app(t, e), "localhost", "127.0.0.1", 1)
	e.Start(pageSite(adminGate, "page {", "frame_ancestors "+origin, "}"))
	alice := enrolled(t, e, "alice", nil)
	v := visit(t, e, desktop, alice.token)
	v.Run(chromedp.Navigate(evil))
	v.until(`document.readyState === "complete"`)
	if got := v.EvalIn(e.URL, "document.getElementById('card') !== null"); got == "true" {
		t.Error("the page shows itself in a stranger's frame")
	}
	if told := v.Eval("JSON.stringify(told)"); told != "[]" {
		t.Errorf("the stranger is told %s", told)
	}
	// Nor does a message count that does not come from the parent itself.
	v.open("/mfa/")
	v.await("manage")
	v.Eval(`postMessage({ type: "mfa:token", accessToken: "forged" }, "*")`)
	v.Eval(`dispatchEvent(new MessageEvent("message", { data: { type: "mfa:token", accessToken: "forged" }, origin: "` + origin + `", source: window }))`)
	v.press("Sign out everywhere")
	v.click("#dialog-go")
	v.shows("Signed out.")
}

func TestAnOriginThatWouldEndThePolicyIsRefused(t *testing.T) {
	e := edgetest.New(t)
	for _, origin := range []string{"https://app.example.com;script-src", "https://app.example.com,https:"} {
		e.Write("Caddyfile", caddyfile("page {", "frame_ancestors "+origin, "}"))
		if _, stderr, err := e.Command("adapt"); err != nil {
			t.Fatalf("adapt: %v\n%s", err, stderr)
		}
		_, stderr, err := e.Command("validate")
		if err == nil || !strings.Contains(stderr, "page: frame_ancestors: the host of") || !strings.Contains(stderr, "write one origin at a time") {
			t.Errorf("validate says of %s: %v\n%s", origin, err, stderr)
		}
	}
}

func TestATokenInTheFragmentLeavesTheAddressBar(t *testing.T) {
	e := edgetest.New(t)
	e.Start(gated(adminGate)) // without a cookie of the login's
	alice := enrolled(t, e, "alice", nil)
	v := visit(t, e, phone, "")
	v.open("/mfa/?return_to=%2Fhome%3Fa%3Db#access_token=" + alice.token)
	v.await("app")
	if at := v.Eval("location.href"); at != e.URL+"/mfa/?return_to=%2Fhome%3Fa%3Db" {
		t.Errorf("the address bar shows %s", at)
	}
	if kept := v.Eval(`JSON.stringify([{ ...sessionStorage }, { ...localStorage }, history.state, document.cookie])`); kept != `[{},{},null,""]` {
		t.Errorf("kept is %s", kept)
	}
	v.fill("#code", edgetest.Code(t, alice.secret))
	v.at("/home?a=b")
	for _, url := range v.Requests() {
		if strings.Contains(url, alice.token) && !strings.Contains(url, "#") {
			t.Errorf("a request has the token: %s", url)
		}
	}
	// A gated page cannot know who opens it: the page says so.
	v.open("/mfa/?return_to=%2Fadmin%2F#access_token=" + alice.token)
	v.await("app")
	v.fill("#code", alice.code(1))
	v.await("done")
	v.shows("Go on in the app that sent you")
	v.look("done-handed")
	v.open("/mfa/#access_token=nonsense")
	v.await("signed-out")
	v.shows("Your sign-in has expired")
	v.clean()
}

func TestALinkDoesNotTurnASignedInPersonIntoAnother(t *testing.T) {
	e := edgetest.New(t)
	e.Start(pageSite(adminGate))
	alice := enrolled(t, e, "alice", nil)
	v := visit(t, e, desktop, alice.token)
	v.open("/mfa/#access_token=" + e.Token("mallory", nil))
	v.await("manage") // mallory has nothing to manage
	v.shows("Authenticator app")
	// Nor when it cannot be told at once that somebody is.
	v.SetOffline(true)
	v.Eval(`location.hash = "access_token=` + e.Token("mallory", nil) + `"`)
	v.await("failed")
	v.SetOffline(false)
	v.await("manage")
	v.shows("Authenticator app")
}

func TestOnlyPathsOfTheSiteAreGoneBackTo(t *testing.T) {
	e := edgetest.New(t)
	e.Start(pageSite(adminGate))
	alice := enrolled(t, e, "alice", nil)
	v := visit(t, e, desktop, alice.token)
	for _, target := range []string{"https://evil.test/", "//evil.test/", "/\\evil.test/", "/\t/evil.test/", "/\t/[", "javascript:alert(1)", "data:text/html,x", "", "x"} {
		v.Run(chromedp.Navigate("about:blank"))
		v.Eval(`window.target = ` + fmt.Sprintf("%q", target))
		v.open("/mfa/?return_to=" + v.Eval(`encodeURIComponent(window.target)`))
		v.await("manage") // as if it came by itself
	}
	v.clean()
}
