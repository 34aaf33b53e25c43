package web

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/caddymfa/caddy-mfa/internal/testtool"
)

const (
	chromium  = "/usr/bin/chromium"
	confirm   = chromedp.CSS("#confirm")
	testToken = "Acc0unt-Key_1.c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMzQ"
	activated = `{"success":true,"message":"Magic link MFA activated successfully"}`
	expired   = `{"success":false,"error":"Invalid or expired token","code":"invalid_token"}`
)

// site serves the page as the product does, and counts what it gets.
type site struct {
	*httptest.Server
	prefix string

	mu       sync.Mutex
	requests []string // method and URI
	posts    []post
	answers  []answer // to the next posts; the last one stays
}

type post struct {
	body   string
	header http.Header
}

type answer struct {
	status int
	header map[string]string
	body   string
}

func startSite(t *testing.T, prefix string, answers ...answer) *site {
	t.Helper()
	page, err := MagicLinkPage("Acme & Co")
	if err != nil {
		t.Fatal(err)
	}
	s := &site{prefix: prefix, answers: answers}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.requests = append(s.requests, r.Method+" "+r.RequestURI)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if r.Method == http.MethodPost && r.URL.Path == prefix+"/magic-link/activate" {
			body, _ := io.ReadAll(r.Body)
			s.posts = append(s.posts, post{string(body), r.Header})
			now := s.answers[0]
			if len(s.answers) > 1 {
				s.answers = s.answers[1:]
			}
			w.Header().Set("Content-Type", "application/json")
			for name, value := range now.header {
				w.Header().Set(name, value)
			}
			w.WriteHeader(now.status)
			_, _ = io.WriteString(w, now.body)
			return
		}
		if r.URL.Path == prefix+"/magic-link" {
			w.Header().Set("Content-Type", PageContentType)
			w.Header().Set("Content-Security-Policy", ContentSecurityPolicy)
			w.Header().Set("Referrer-Policy", ReferrerPolicy)
			http.SetCookie(w, &http.Cookie{Name: "session", Value: "s", Path: "/"})
			_, _ = w.Write(page)
			return
		}
		name, found := strings.CutPrefix(r.URL.Path, prefix+"/assets/")
		if content, contentType, ok := Asset(name); found && ok {
			w.Header().Set("Content-Type", contentType)
			_, _ = w.Write(content)
			return
		}
		http.NotFound(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *site) link() string { return s.URL + s.prefix + "/magic-link#token=" + testToken }

func (s *site) received() []post {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.posts)
}

// browser is a tab of a headless Chromium.
type browser struct {
	t   *testing.T
	ctx context.Context

	mu         sync.Mutex
	complaints []string // console errors, CSP violations, exceptions
}

func startBrowser(t *testing.T) *browser {
	t.Helper()
	testtool.Need(t, chromium)
	process, err := startChromium()
	if err != nil {
		t.Fatal(err)
	}
	// Cookies and the like are of this tab alone.
	tab, cancel := chromedp.NewContext(process, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	if err := chromedp.Do(tab); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(tab, time.Minute)
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx}
	if err := chromedp.Listen(tab, b.hear); err != nil {
		t.Fatal(err)
	}
	call(b, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	return b
}

// startChromium starts the one Chromium that the tests share, and
// stopChromium ends it.
var (
	startChromium = sync.OnceValues(func() (context.Context, error) {
		dir, err := os.MkdirTemp("", "mfa-web-chromium-")
		if err != nil {
			return nil, err
		}
		allocator, cancelAllocator := chromedp.NewExecAllocator(context.Background(),
			chromedp.ExecPath(chromium), chromedp.UserDataDir(dir),
			chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
			chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
			chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
			chromedp.WindowSize(1000, 760),
		)
		process, cancel := chromedp.NewContext(allocator)
		stopChromium = func() {
			_ = chromedp.Cancel(process)
			cancel()
			cancelAllocator()
			_ = os.RemoveAll(dir)
		}
		return process, chromedp.Do(process)
	})
	stopChromium = func() {}
)

func TestMain(m *testing.M) {
	code := m.Run()
	stopChromium()
	os.Exit(code)
}

func (b *browser) hear(event any) {
	var complaint string
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		complaint = fmt.Sprintf("console.%s", e.Type)
	case *runtime.EventExceptionThrown:
		complaint = e.ExceptionDetails.Text
	case *cdplog.EventEntryAdded:
		complaint = e.Entry.Text
	default:
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.complaints = append(b.complaints, complaint)
}

func (b *browser) run(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// call sends the browser a command of its protocol.
func call[P, R any](b *browser, command cdp.Command[P, R], params P) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, command, params); err != nil {
		b.t.Fatal(err)
	}
}

// open goes to url and waits for the page's button.
func (b *browser) open(url string) {
	b.t.Helper()
	b.run(chromedp.Navigate(url), chromedp.WaitVisible(confirm))
}

// eval returns the value of a JavaScript expression as a string.
func (b *browser) eval(expression string) string {
	b.t.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[string]("String("+expression+")"))
	if err != nil {
		b.t.Fatal(err)
	}
	return value
}

// setOffline takes the browser off the network, or back onto it.
func (b *browser) setOffline(offline bool) {
	b.t.Helper()
	call(b, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
		MatchedNetworkConditions: []*network.Conditions{{DownloadThroughput: -1, UploadThroughput: -1, Offline: offline}},
	})
	call(b, network.OverrideNetworkState, network.OverrideNetworkStateParams{
		DownloadThroughput: -1, UploadThroughput: -1, Offline: offline,
	})
}

// await waits until the card is in the state.
func (b *browser) await(state string) {
	b.t.Helper()
	b.run(chromedp.WaitReady(chromedp.CSS(`#card[data-state="` + state + `"]`)))
}

func (b *browser) click() {
	b.t.Helper()
	b.run(chromedp.Click(confirm, chromedp.NodeVisible))
}

// expect checks what a person can read.
func (b *browser) expect(texts ...string) {
	b.t.Helper()
	shown := b.eval("document.body.innerText")
	for _, text := range texts {
		if !strings.Contains(shown, text) {
			b.t.Errorf("the page does not show %q:\n%s", text, shown)
		}
	}
}

func (b *browser) expectNoComplaint() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.complaints) != 0 {
		b.t.Errorf("the browser complains: %q", b.complaints)
	}
}

func TestOnlyTheClickSendsTheTokenAndItSendsItOnce(t *testing.T) {
	for _, prefix := range []string{"/mfa", "/auth/v2", ""} {
		t.Run("under "+prefix, func(t *testing.T) {
			s := startSite(t, prefix, answer{status: 200, body: activated})
			b := startBrowser(t)
			b.open(s.link())
			b.expect("Confirm your e-mail", "Acme & Co", "Confirm e-mail", "Didn’t ask for this?")
			if got, want := b.eval("location.href"), s.URL+prefix+"/magic-link"; got != want {
				t.Errorf("the address bar shows %q, want %q", got, want)
			}
			if got := b.eval("history.length"); got != "2" { // about:blank, the page
				t.Errorf("the history has %s entries, want 2", got)
			}
			if posts := s.received(); len(posts) != 0 {
				t.Fatalf("loading sent %v", posts)
			}
			// Three clicks in one turn, as an impatient hand makes them.
			b.eval(`[1, 2, 3].forEach(() => document.getElementById("confirm").click())`)
			b.await("done")
			b.expect("E-mail confirmed", "You can close this page and return to Acme & Co")
			if got := b.eval("document.activeElement.id"); got != "title" {
				t.Errorf("the focus is on %q, want the heading", got)
			}
			if got := b.eval("document.title"); got != "E-mail confirmed · Acme & Co" {
				t.Errorf("the title is %q", got)
			}
			if got := b.eval(`getComputedStyle(document.getElementById("confirm")).display`); got != "none" {
				t.Errorf("the button is still shown (%s)", got)
			}
			posts := s.received()
			if len(posts) != 1 {
				t.Fatalf("%d requests were sent, want 1", len(posts))
			}
			var body map[string]any
			if err := json.Unmarshal([]byte(posts[0].body), &body); err != nil || len(body) != 1 || body["token"] != testToken {
				t.Errorf("sent %s (%v)", posts[0].body, err)
			}
			if got := posts[0].header.Get("Content-Type"); got != "application/json" {
				t.Errorf("Content-Type is %q", got)
			}
			for _, name := range []string{"Cookie", "Authorization", "Referer"} {
				if got := posts[0].header.Get(name); got != "" {
					t.Errorf("%s was sent: %q", name, got)
				}
			}
			for _, request := range s.requests {
				if strings.Contains(request, testToken) {
					t.Errorf("a URL holds the token: %s", request)
				}
			}
			b.expectNoComplaint()
		})
	}
}

func TestTheButtonWorksFromTheKeyboard(t *testing.T) {
	s := startSite(t, "/mfa", answer{status: 200, body: activated})
	b := startBrowser(t)
	b.open(s.link())
	b.run(chromedp.KeyEvent("\t"))
	if got := b.eval("document.activeElement.id"); got != "confirm" {
		t.Fatalf("the first stop of the Tab key is %q, want the button", got)
	}
	if got := b.eval("getComputedStyle(document.activeElement).outlineStyle"); got != "solid" {
		t.Errorf("the focus is not visible (outline %s)", got)
	}
	b.run(chromedp.KeyEvent("\r"))
	b.await("done")
	if posts := s.received(); len(posts) != 1 {
		t.Errorf("%d requests were sent, want 1", len(posts))
	}
}

func TestARefusedLinkSaysWhyAndHowToGoOn(t *testing.T) {
	s := startSite(t, "/mfa", answer{status: 400, body: expired})
	b := startBrowser(t)
	b.open(s.link())
	b.click()
	b.await("failed")
	b.expect("This link doesn’t work", "Invalid or expired token", "start the e-mail setup again")
	if got := b.eval(`document.getElementById("confirm").hidden`); got != "true" {
		t.Error("the button is offered again, for a token that cannot work")
	}
	if got := b.eval("document.activeElement.id"); got != "title" {
		t.Errorf("the focus is on %q, want the heading", got)
	}
}

func TestAServersErrorIsShownAsTextAndNotAsHTML(t *testing.T) {
	s := startSite(t, "/mfa", answer{status: 400, body: `{"success":false,"error":"<img src=x onerror=alert(1)>"}`})
	b := startBrowser(t)
	b.open(s.link())
	b.click()
	b.await("failed")
	b.expect("<img src=x onerror=alert(1)>")
}

func TestAPassingFailureCanBeTriedAgain(t *testing.T) {
	s := startSite(t, "/mfa",
		answer{status: 503, body: `{"success":false,"error":"The store is not ready"}`},
		answer{status: 429, header: map[string]string{"Retry-After": "150"}, body: `{"success":false,"error":"Too many requests"}`},
		answer{status: 502, body: `<html>Bad gateway</html>`},
		answer{status: 200, body: `<html>A captive portal</html>`},
		answer{status: 200, body: activated})
	b := startBrowser(t)
	b.open(s.link())
	for _, texts := range [][]string{
		{"Something went wrong", "The store is not ready", "Try again"},
		{"Too many attempts", "Wait 3 minutes", "Try again"},
		{"Something went wrong", "not confirmed yet"},
		{"Something went wrong", "not confirmed yet"},
	} {
		b.click()
		b.await("failed") // the click has made it "sending" before
		b.expect(texts...)
	}
	b.click()
	b.await("done")
	for _, p := range s.received() {
		if !strings.Contains(p.body, testToken) {
			t.Errorf("sent %s", p.body)
		}
	}
}

func TestBeingOfflineIsToldAndCanBeTriedAgain(t *testing.T) {
	s := startSite(t, "/mfa", answer{status: 200, body: activated})
	b := startBrowser(t)
	b.open(s.link())
	b.setOffline(true)
	b.click()
	b.await("failed")
	b.expect("You are offline", "Try again")
	b.setOffline(false)
	b.click()
	b.await("done")
}

func TestAServerThatCannotBeReachedIsTold(t *testing.T) {
	s := startSite(t, "/mfa", answer{status: 200, body: activated})
	b := startBrowser(t)
	b.open(s.link())
	s.CloseClientConnections()
	s.Close()
	b.click()
	b.await("failed")
	b.expect("No connection", "Acme & Co could not be reached", "Try again")
}

func TestALinkWithoutATokenSendsNothing(t *testing.T) {
	for _, fragment := range []string{"", "#", "#token=", "#other=x"} {
		t.Run(fragment, func(t *testing.T) {
			s := startSite(t, "/mfa", answer{status: 200, body: activated})
			b := startBrowser(t)
			b.run(chromedp.Navigate(s.URL + "/mfa/magic-link" + fragment))
			b.await("failed")
			b.expect("This link is incomplete", "Open the link in the mail again")
			b.eval(`document.getElementById("confirm").click()`)
			b.await("failed")
			if posts := s.received(); len(posts) != 0 {
				t.Errorf("sent %v", posts)
			}
			b.expectNoComplaint()
		})
	}
}

func TestASecondLinkInTheSameTabBeginsAnew(t *testing.T) {
	s := startSite(t, "/mfa", answer{status: 400, body: expired}, answer{status: 200, body: activated})
	b := startBrowser(t)
	b.open(s.link())
	b.click()
	b.await("failed")
	b.eval(`location.hash = "#token=second.token"`)
	b.await("ready")
	b.expect("Confirm your e-mail", "Acme & Co", "Confirm e-mail")
	if got := b.eval("location.href"); strings.Contains(got, "#") {
		t.Errorf("the address bar shows %q", got)
	}
	b.click()
	b.await("done")
	if posts := s.received(); len(posts) != 2 || posts[1].body != `{"token":"second.token"}` {
		t.Errorf("sent %v", posts)
	}
}

func TestThePageFitsANarrowScreen(t *testing.T) {
	s := startSite(t, "/mfa", answer{status: 200, body: activated})
	b := startBrowser(t)
	b.run(chromedp.EmulateViewport(320, 568))
	b.open(s.link())
	if got := b.eval("document.documentElement.scrollWidth"); got != "320" {
		t.Errorf("the page is %s px wide on a screen of 320", got)
	}
}

func TestWithoutJavaScriptThePageSaysWhatItNeeds(t *testing.T) {
	s := startSite(t, "/mfa", answer{status: 200, body: activated})
	b := startBrowser(t)
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.run(chromedp.Navigate(s.link()))
	shown, err := chromedp.Run(b.ctx, chromedp.Text(chromedp.CSS("main")))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(shown, "needs JavaScript") || strings.Contains(shown, "\nConfirm e-mail\n") {
		t.Errorf("the page shows:\n%s", shown)
	}
}
