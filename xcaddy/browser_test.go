package main_test

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

	"github.com/caddymfa/caddy-mfa/internal/testtool"
)

// browser is a tab of a headless Chromium, with cookies of its own.
type browser struct {
	t   *testing.T
	ctx context.Context
}

func startBrowser(t *testing.T) *browser {
	t.Helper()
	process, err := startChromium(testtool.Need(t, "chromium", "chromium-browser", "google-chrome"))
	if err != nil {
		t.Fatal(err)
	}
	tab, cancel := chromedp.NewContext(process, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	if err := chromedp.Do(tab); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(tab, time.Minute)
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx}
	call(b, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	return b
}

// One Chromium serves all tests. It starts with the first that needs it.
var (
	chromiumOnce  sync.Once
	chromium      context.Context
	chromiumError error
	stopChromium  = func() {}
)

func startChromium(path string) (context.Context, error) {
	chromiumOnce.Do(func() {
		dir, err := os.MkdirTemp("", "caddy-mfa-chromium-")
		if err != nil {
			chromiumError = err
			return
		}
		allocator, cancelAllocator := chromedp.NewExecAllocator(context.Background(),
			chromedp.ExecPath(path), chromedp.UserDataDir(dir),
			chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
			chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
			chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		)
		process, cancel := chromedp.NewContext(allocator)
		stopChromium = func() {
			_ = chromedp.Cancel(process)
			cancel()
			cancelAllocator()
			_ = os.RemoveAll(dir)
		}
		chromium, chromiumError = process, chromedp.Do(process)
	})
	return chromium, chromiumError
}

// addAuthenticator gives the tab a passkey provider that says yes to
// everything, as a phone does whose owner presses the sensor.
func (b *browser) addAuthenticator() {
	b.t.Helper()
	call(b, webauthn.Enable, webauthn.EnableParams{})
	call(b, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{
		Options: &webauthn.VirtualAuthenticatorOptions{
			Protocol:                    webauthn.AuthenticatorProtocolCtap2,
			Transport:                   webauthn.AuthenticatorTransportInternal,
			HasResidentKey:              true,
			HasUserVerification:         true,
			IsUserVerified:              true,
			AutomaticPresenceSimulation: true,
		},
	})
}

// call sends the browser a command of its protocol.
func call[P, R any](b *browser, command cdp.Command[P, R], params P) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, command, params); err != nil {
		b.t.Fatal(err)
	}
}

func (b *browser) run(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

func (b *browser) open(url string) {
	b.t.Helper()
	b.run(chromedp.Navigate(url))
}

// eval returns what a JavaScript expression, or the promise it is, turns
// into as a string.
func (b *browser) eval(expression string) string {
	b.t.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](
		"(async () => String(await ("+expression+")))()", chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// confirm opens a mailed link, presses the button, and returns the state
// that the page comes to and what a person then reads on it.
func (b *browser) confirm(link string) (state, text string) {
	b.t.Helper()
	b.run(
		chromedp.Navigate("about:blank"), chromedp.Navigate(link),
		chromedp.Click(chromedp.CSS("#confirm"), chromedp.NodeVisible),
		chromedp.WaitReady(chromedp.CSS(`#card[data-state="done"], #card[data-state="failed"]`)),
	)
	return b.eval(`document.getElementById("card").dataset.state`), b.eval("document.body.innerText")
}
