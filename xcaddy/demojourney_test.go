package main_test

import (
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/caddymfa/caddy-mfa/internal/browsertest"
	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

// TestANewcomerGetsThroughTheDemoInABrowser goes the way that the README
// leads: asks for the gated page, signs in, enrols and sees what the backend
// was told.
func TestANewcomerGetsThroughTheDemoInABrowser(t *testing.T) {
	b := startBrowser(t)
	e := startDemo(t)
	b.open(e.URL)
	b.look("start")
	b.open(e.URL + "/admin/?tab=people")
	if at := b.at(); at.Path != "/sign-in" || at.Query().Get("return_to") != e.URL+"/admin/?tab=people" {
		t.Fatalf("who is not signed in is led to %s", at)
	}
	b.Run(chromedp.Click(chromedp.CSS("#as-maria")))
	b.AwaitPath("/mfa/")
	if back := b.at().Query().Get("return_to"); back != "/admin/?tab=people" {
		t.Fatalf("the gate asks to come back to %q", back)
	}

	b.enrolInTab()
	b.wantGated("maria", "GOOGLE_AUTH", "mfa")
	told := b.Eval("document.body.innerText")
	for _, want := range []string{"maria@example.com", "Maria Lind", "GET /admin/?tab=people", "caddy-mfa-dev"} {
		if !strings.Contains(told, want) {
			t.Errorf("the gated page lacks %q:\n%s", want, told)
		}
	}
	if strings.Contains(b.Eval("document.documentElement.outerHTML"), "eyJ") {
		t.Error("the gated page shows a token")
	}
	b.look("told")
	b.open(e.URL)
	b.look("home")

	// The sign-out ends both sessions: who comes back is asked again.
	b.Run(chromedp.Click(chromedp.CSS("#sign-out")), chromedp.WaitVisible(chromedp.CSS("#as-maria")))
	b.Run(chromedp.Click(chromedp.CSS("#as-maria")), chromedp.WaitVisible(chromedp.CSS("#admin")))
	b.Run(chromedp.Click(chromedp.CSS("#admin")))
	b.AwaitPath("/mfa/")
}

// TestANewcomerFindsTheDemosMailsInTheBrowser enrols by a link that nobody
// has looked up in a folder.
func TestANewcomerFindsTheDemosMailsInTheBrowser(t *testing.T) {
	b := startBrowser(t)
	e := startDemo(t)
	b.open(e.URL + "/inbox")
	if text := b.Eval("document.body.innerText"); !strings.Contains(text, "No mail yet") {
		t.Errorf("an empty inbox says\n%s", text)
	}
	b.open(e.URL)
	b.Run(
		chromedp.SendKeys(chromedp.CSS("#subject"), "<b>zoë</b>"),
		chromedp.Click(chromedp.CSS(".other button")),
		chromedp.WaitVisible(chromedp.CSS("#admin")),
	)
	b.call("setup", `{"mfaType":"MAGIC_LINK","email":"zoe@example.com"}`).Data(t)
	b.open(e.URL + "/inbox")
	b.look("inbox")
	if text := b.Eval("document.querySelector('.letter').innerText"); !strings.Contains(text, "zoe@example.com") {
		t.Errorf("the mail reads\n%s", text)
	}
	b.Run(
		chromedp.Click(chromedp.CSS(".letter a")),
		chromedp.Click(chromedp.CSS("#confirm"), chromedp.NodeVisible),
		chromedp.WaitReady(chromedp.CSS(`#card[data-state="done"]`)),
	)
	if status := b.call("status", "").Data(t); status["isEnabled"] != true {
		t.Errorf("after the link: %v", status)
	}
}

func (b *browser) at() *url.URL {
	b.T.Helper()
	at, err := url.Parse(b.Eval("location.href"))
	if err != nil {
		b.T.Fatal(err)
	}
	return at
}

// wantGated checks what the demo's gated page says of the second factor.
func (b *browser) wantGated(subject, method, acr string) {
	b.T.Helper()
	b.Run(chromedp.WaitVisible(chromedp.CSS("#gated")))
	for header, want := range map[string]string{"X-MFA-User": subject, "X-MFA-Methods": method, "X-MFA-ACR": acr} {
		if got := b.Eval("document.getElementById(" + strconv.Quote(header) + ").textContent"); got != want {
			b.T.Errorf("%s is %q, want %q", header, got, want)
		}
	}
	if b.Eval("document.getElementById('X-MFA-Auth-Time').textContent") == "" {
		b.T.Error("the time is missing")
	}
}

// call calls the API from the page, as a page of the site's own does. An
// empty body asks by GET.
func (b *browser) call(path, body string) edgetest.Answer {
	b.T.Helper()
	return edgetest.NewAnswer(b.Fetch("/mfa/"+path, body))
}

// enrolInTab sets up an authenticator app for whom the tab's cookie names,
// at the page where a gate has sent them, which then sends them back.
func (b *browser) enrolInTab() {
	b.T.Helper()
	b.Run(
		chromedp.Click(chromedp.CSS("#add-GOOGLE_AUTH"), chromedp.NodeVisible),
		chromedp.WaitVisible(chromedp.CSS("#secret")),
	)
	secret := strings.ReplaceAll(b.Eval(`document.getElementById("secret").textContent`), " ", "")
	b.Run(
		chromedp.SendKeys(chromedp.CSS("#code"), edgetest.Code(b.T, secret)),
		chromedp.Click(chromedp.CSS("#kept"), chromedp.NodeVisible),
		chromedp.Click(chromedp.CSS("#codes-done")),
	)
}

// look leaves pictures of the page, at the sizes of a desktop and of a phone,
// light and dark, where MFA_TEST_SCREENSHOTS says. No page may be wider than
// the phone.
func (b *browser) look(name string) {
	b.T.Helper()
	dir := os.Getenv("MFA_TEST_SCREENSHOTS")
	for _, size := range []struct {
		name          string
		width, height int64
		scheme        string
	}{{"desktop", 1100, 800, "light"}, {"phone", 320, 700, "dark"}} {
		b.Run(chromedp.EmulateViewport(size.width, size.height))
		browsertest.Call(b.Tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: size.scheme}},
		})
		if got := b.Eval("document.documentElement.scrollWidth <= innerWidth"); got != "true" {
			b.T.Errorf("%s is wider than %d pixels", name, size.width)
		}
		if dir == "" {
			continue
		}
		picture, err := chromedp.Run(b.Ctx, chromedp.FullScreenshot(100))
		if err != nil {
			b.T.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "demo-"+name+"-"+size.name+".png"), picture, 0o644); err != nil {
			b.T.Fatal(err)
		}
	}
}
