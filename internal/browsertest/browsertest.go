// Package browsertest opens tabs in a headless Chromium for tests. One
// Chromium serves all tests of a package; it starts with the first that
// needs it.
package browsertest

import (
	"context"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

	"github.com/caddymfa/caddy-mfa/internal/testtool"
)

// patience is how long all that a test does in its tab may take.
const patience = time.Minute

// Tab is a tab with cookies and storage of its own.
type Tab struct {
	T   *testing.T
	Ctx context.Context

	heard heard
}

// Open opens a tab, which is closed with the test. The test skips, or
// fails, where there is no Chromium.
func Open(t *testing.T) *Tab {
	t.Helper()
	process, err := start(testtool.Need(t, "chromium", "chromium-browser", "google-chrome"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := chromedp.NewContext(process, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	ctx, cancel = context.WithTimeout(ctx, patience)
	t.Cleanup(cancel)
	tab := &Tab{T: t, Ctx: ctx, heard: heard{contexts: make(map[string]string)}}
	if err := chromedp.Listen(ctx, tab.heard.hear); err != nil {
		t.Fatal(err)
	}
	Call(tab, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	return tab
}

// Call sends the tab a command of the DevTools protocol.
func Call[P, R any](tab *Tab, command cdp.Command[P, R], params P) {
	tab.T.Helper()
	if _, err := chromedp.Call(tab.Ctx, command, params); err != nil {
		tab.T.Fatal(err)
	}
}

// Run takes steps one after the other.
func (tab *Tab) Run(steps ...chromedp.Action[chromedp.Void]) {
	tab.T.Helper()
	if err := chromedp.Do(tab.Ctx, steps...); err != nil {
		tab.T.Fatal(err)
	}
}

// Eval returns what a JavaScript expression, or the promise it is, turns
// into as a string.
func (tab *Tab) Eval(expression string) string {
	tab.T.Helper()
	value, err := chromedp.Run(tab.Ctx, chromedp.Evaluate[string](
		"(async () => String(await ("+expression+")))()", chromedp.EvalAwaitPromise))
	if err != nil {
		tab.T.Fatalf("%s: %v", expression, err)
	}
	return value
}

// AwaitPath waits until the tab has come to a page with the path.
func (tab *Tab) AwaitPath(path string) {
	tab.T.Helper()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		// An error is a page that is just being left, or the end of patience.
		at, err := chromedp.Run(tab.Ctx, chromedp.Evaluate[string]("location.pathname"))
		if err == nil && at == path {
			return
		}
		select {
		case <-tab.Ctx.Done():
			tab.T.Fatalf("the tab does not come to %s: it is at %q", path, at)
		case <-ticker.C:
		}
	}
}

// Fetch asks for a path as a script of the tab's page does, with the
// browser's cookies: by POST with body as JSON, or by GET when it is "".
func (tab *Tab) Fetch(path, body string) (status int, answer string) {
	tab.T.Helper()
	options := "{}"
	if body != "" {
		options = `{method: "POST", headers: {"Content-Type": "application/json"}, body: ` + strconv.Quote(body) + `}`
	}
	got := tab.Eval(`(async () => { const r = await fetch(` + strconv.Quote(path) + `, ` + options + `);
		return r.status + " " + await r.text() })()`)
	code, answer, _ := strings.Cut(got, " ")
	status, err := strconv.Atoi(code)
	if err != nil {
		tab.T.Fatal(err)
	}
	return status, answer
}

// AddAuthenticator gives the tab a passkey provider that says yes to
// everything, as a phone does whose owner presses the sensor.
func (tab *Tab) AddAuthenticator() {
	tab.T.Helper()
	Call(tab, webauthn.Enable, webauthn.EnableParams{})
	Call(tab, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{
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

// SaveInto has the tab save what is downloaded into dir.
func (tab *Tab) SaveInto(dir string) {
	tab.T.Helper()
	Call(tab, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior: browser.SetDownloadBehaviorBehaviorAllow, DownloadPath: dir,
		BrowserContextID: chromedp.FromContext(tab.Ctx).BrowserContextID,
	})
}

// SetOffline takes the tab off the network, or back onto it.
func (tab *Tab) SetOffline(offline bool) {
	tab.T.Helper()
	Call(tab, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
		MatchedNetworkConditions: []*network.Conditions{{DownloadThroughput: -1, UploadThroughput: -1, Offline: offline}},
	})
	Call(tab, network.OverrideNetworkState, network.OverrideNetworkStateParams{
		DownloadThroughput: -1, UploadThroughput: -1, Offline: offline,
	})
}

var (
	once    sync.Once
	process context.Context
	failure error
	stop    = func() {}
)

// Stop ends the Chromium, if one was started. TestMain calls it after the
// tests.
func Stop() { stop() }

func start(path string) (context.Context, error) {
	once.Do(func() {
		dir, err := os.MkdirTemp("", "caddy-mfa-chromium-")
		if err != nil {
			failure = err
			return
		}
		allocator, cancelAllocator := chromedp.NewExecAllocator(context.Background(),
			chromedp.ExecPath(path), chromedp.UserDataDir(dir),
			chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
			chromedp.Flag("host-resolver-rules", "MAP *.test 127.0.0.1"), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
			chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
			chromedp.WindowSize(1000, 760),
		)
		running, cancel := chromedp.NewContext(allocator)
		stop = func() {
			_ = chromedp.Cancel(running)
			cancel()
			cancelAllocator()
			_ = os.RemoveAll(dir)
		}
		process, failure = running, chromedp.Do(running)
	})
	return process, failure
}
