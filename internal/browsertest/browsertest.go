// Package browsertest opens tabs in a headless Chromium for tests. One
// Chromium serves all tests of a package; it starts with the first that
// needs it.
package browsertest

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/caddymfa/caddy-mfa/internal/testtool"
)

// patience is how long all that a test does in its tab may take.
const patience = time.Minute

// Tab is a tab with cookies and storage of its own.
type Tab struct {
	T   *testing.T
	Ctx context.Context
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
	tab := &Tab{T: t, Ctx: ctx}
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
			chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
			chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
			chromedp.WindowSize(1000, 760),
		)
		browser, cancel := chromedp.NewContext(allocator)
		stop = func() {
			_ = chromedp.Cancel(browser)
			cancel()
			cancelAllocator()
			_ = os.RemoveAll(dir)
		}
		process, failure = browser, chromedp.Do(browser)
	})
	return process, failure
}
