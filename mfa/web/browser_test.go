package web

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/caddymfa/caddy-mfa/internal/browsertest"
)

const (
	confirm   = chromedp.CSS("#confirm")
	testToken = "Acc0unt-Key_1.c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMzQ"
	denied    = `{"success":true,"message":"Magic link denied"}`
	activated = `{"success":true,"message":"Magic link MFA activated successfully"}`
	setupLink = `{"success":true,"data":{"purpose":"setup"}}`
	expired   = `{"success":false,"error":"Invalid or expired token","code":"invalid_magic_link"}`
)

// site serves the page as the product does, and counts what it gets.
type site struct {
	*httptest.Server
	prefix string

	mu       sync.Mutex
	requests []string // method and URI
	posts    []post
	answers  []answer // to the next posts; the last one stays

	inspected string // the answer to what a link is for
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
	pages := newSite(t, Config{Title: "Acme & Co"})
	s := &site{prefix: prefix, answers: answers, inspected: setupLink}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.requests = append(s.requests, r.Method+" "+r.RequestURI)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if r.Method == http.MethodPost && (r.URL.Path == prefix+"/magic-link/activate" || r.URL.Path == prefix+"/magic-link/deny") {
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
		if r.Method == http.MethodPost && r.URL.Path == prefix+"/magic-link/inspect" {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, s.inspected)
			return
		}
		if r.URL.Path == prefix+"/magic-link" {
			page, policy := pages.LinkPage("en")
			w.Header().Set("Content-Type", PageContentType)
			w.Header().Set("Content-Security-Policy", policy)
			w.Header().Set("Referrer-Policy", ReferrerPolicy)
			http.SetCookie(w, &http.Cookie{Name: "session", Value: "s", Path: "/"})
			_, _ = w.Write(page)
			return
		}
		name, found := strings.CutPrefix(r.URL.Path, prefix+"/assets/")
		if asset, ok := pages.Asset(name); found && ok {
			w.Header().Set("Content-Type", asset.ContentType)
			_, _ = w.Write(asset.Content)
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

type browser struct{ *browsertest.Tab }

func startBrowser(t *testing.T) *browser {
	t.Helper()
	return &browser{browsertest.Open(t)}
}

func TestMain(m *testing.M) {
	code := m.Run()
	browsertest.Stop()
	os.Exit(code)
}

// open goes to url and waits for the page's button.
func (b *browser) open(url string) {
	b.T.Helper()
	b.Run(chromedp.Navigate(url), chromedp.WaitVisible(confirm))
}

// await waits until the card is in the state.
func (b *browser) await(state string) {
	b.T.Helper()
	b.Run(chromedp.WaitReady(chromedp.CSS(`#card[data-state="` + state + `"]`)))
}

func (b *browser) click() {
	b.T.Helper()
	b.Run(chromedp.Click(confirm, chromedp.NodeVisible))
}

// expect checks what a person can read.
func (b *browser) expect(texts ...string) {
	b.T.Helper()
	shown := b.Eval("document.body.innerText")
	for _, text := range texts {
		if !strings.Contains(shown, text) {
			b.T.Errorf("the page does not show %q:\n%s", text, shown)
		}
	}
}

func (b *browser) expectNoComplaint() {
	b.T.Helper()
	if complaints := b.Complaints(); len(complaints) != 0 {
		b.T.Errorf("the browser complains: %q", complaints)
	}
}

func TestOnlyTheClickSendsTheTokenAndItSendsItOnce(t *testing.T) {
	for _, prefix := range []string{"/mfa", "/auth/v2", ""} {
		t.Run("under "+prefix, func(t *testing.T) {
			s := startSite(t, prefix, answer{status: 200, body: activated})
			b := startBrowser(t)
			b.open(s.link())
			b.expect("Confirm your e-mail", "Acme & Co", "Confirm e-mail", "Didn’t ask for this?")
			if got, want := b.Eval("location.href"), s.URL+prefix+"/magic-link"; got != want {
				t.Errorf("the address bar shows %q, want %q", got, want)
			}
			if got := b.Eval("history.length"); got != "2" { // about:blank, the page
				t.Errorf("the history has %s entries, want 2", got)
			}
			if posts := s.received(); len(posts) != 0 {
				t.Fatalf("loading sent %v", posts)
			}
			// Three clicks in one turn, as an impatient hand makes them.
			b.Eval(`[1, 2, 3].forEach(() => document.getElementById("confirm").click())`)
			b.await("done")
			b.expect("E-mail confirmed", "You can close this page")
			if got := b.Eval("document.activeElement.id"); got != "title" {
				t.Errorf("the focus is on %q, want the heading", got)
			}
			if got := b.Eval("document.title"); got != "E-mail confirmed · Acme & Co" {
				t.Errorf("the title is %q", got)
			}
			if got := b.Eval(`document.getElementById("confirm")`); got != "null" {
				t.Error("the button is still shown")
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
	b.Run(chromedp.KeyEvent("\t"))
	if got := b.Eval("document.activeElement.id"); got != "confirm" {
		t.Fatalf("the first stop of the Tab key is %q, want the button", got)
	}
	if got := b.Eval("getComputedStyle(document.activeElement).outlineStyle"); got != "solid" {
		t.Errorf("the focus is not visible (outline %s)", got)
	}
	b.Run(chromedp.KeyEvent("\r"))
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
	b.expect("This link doesn’t work", "It has expired or was used", "Ask for a new one")
	if got := b.Eval(`document.getElementById("confirm")`); got != "null" {
		t.Error("the button is offered again, for a token that cannot work")
	}
	if got := b.Eval("document.activeElement.id"); got != "title" {
		t.Errorf("the focus is on %q, want the heading", got)
	}
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
		{"That didn’t work", "Something went wrong", "Try again"},
		{"Too many requests", "3 minutes", "Try again"},
		{"That didn’t work", "Something went wrong"},
		{"That didn’t work", "Something went wrong"},
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
	b.SetOffline(true)
	b.click()
	b.await("failed")
	b.expect("You are offline", "Try again")
	b.SetOffline(false)
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
	b.expect("Acme & Co could not be reached", "Try again")
}

func TestALinkWithoutATokenSendsNothing(t *testing.T) {
	for _, fragment := range []string{"", "#", "#token=", "#other=x"} {
		t.Run(fragment, func(t *testing.T) {
			s := startSite(t, "/mfa", answer{status: 200, body: activated})
			b := startBrowser(t)
			b.Run(chromedp.Navigate(s.URL + "/mfa/magic-link" + fragment))
			b.await("failed")
			b.expect("This link is incomplete", "Open the link in the mail again")
			b.expect("copy the whole of it")
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
	b.Eval(`location.hash = "#token=second.token"`)
	b.Run(chromedp.WaitVisible(confirm))
	b.expect("Confirm your e-mail", "Acme & Co", "Confirm e-mail")
	if got := b.Eval("location.href"); strings.Contains(got, "#") {
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
	b.Run(chromedp.EmulateViewport(320, 568))
	b.open(s.link())
	if got := b.Eval("document.documentElement.scrollWidth"); got != "320" {
		t.Errorf("the page is %s px wide on a screen of 320", got)
	}
}

func TestWithoutJavaScriptThePageSaysWhatItNeeds(t *testing.T) {
	s := startSite(t, "/mfa", answer{status: 200, body: activated})
	b := startBrowser(t)
	browsertest.Call(b.Tab, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.Run(chromedp.Navigate(s.link()))
	shown, err := chromedp.Run(b.Ctx, chromedp.Text(chromedp.CSS("main")))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(shown, "needs JavaScript") || strings.Contains(shown, "\nConfirm e-mail\n") {
		t.Errorf("the page shows:\n%s", shown)
	}
}
