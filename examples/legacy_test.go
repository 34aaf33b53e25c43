package examples_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/caddymfa/caddy-mfa/internal/browsertest"
	"github.com/caddymfa/caddy-mfa/internal/edgetest"
	"github.com/caddymfa/caddy-mfa/internal/issuertest"
)

const sessionSecret = "the secret of a backend that is old"

// oldBackend renders its pages, and signs everybody in as alice with a
// cookie of its own.
func oldBackend(t *testing.T, e *edgetest.Edge) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) {
		back, err := url.Parse(r.URL.Query().Get("return_to"))
		if err != nil || back.Scheme+"://"+back.Host != e.URL {
			http.Error(w, "not one of ours", http.StatusBadRequest)
			return
		}
		fmt.Fprintf(w, `<!doctype html><form method="post" action="/login?return_to=%s"><button id="sign-in">Sign in</button></form>`,
			url.QueryEscape(back.RequestURI()))
	})
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		session := issuertest.HMAC(t, sessionSecret, map[string]any{
			"userId": 42, "mail": "alice@example.com", "exp": time.Now().Add(time.Hour).Unix(),
		})
		http.SetCookie(w, &http.Cookie{Name: "legacy_session", Value: session, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
		http.Redirect(w, r, r.URL.Query().Get("return_to"), http.StatusSeeOther)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		names := []string{}
		for _, cookie := range r.Cookies() {
			names = append(names, cookie.Name)
		}
		fmt.Fprintf(w, `<!doctype html><p id="page">%s %s for %s by %s, cookies %s</p>`, r.Method, r.URL.Path,
			r.Header.Get("X-MFA-User"), r.Header.Get("X-MFA-Methods"), strings.Join(names, " "))
	})
	return mux
}

func TestABackendWithASessionCookieNeedsNoChange(t *testing.T) {
	tab := browsertest.Open(t)
	e := edgetest.New(t)
	e.Env = []string{"SESSION_SECRET=" + sessionSecret}
	e.Upstream.Serve(oldBackend(t, e))
	caddyfile := read(t, "legacy-cookie/Caddyfile")
	wantValid(t, e, caddyfile)
	e.Start(here(t, e, caddyfile, "shop.example.com"))

	// To the login and, signed in, on to the edge's page.
	tab.Run(
		chromedp.Navigate(e.URL+"/account/orders?year=2026"),
		chromedp.Click(chromedp.CSS("#sign-in")),
	)
	tab.AwaitPath("/mfa/")
	if got := tab.Eval(`new URLSearchParams(location.search).get("return_to")`); got != "/account/orders?year=2026" {
		t.Fatalf("the gate asks to come back to %q", got)
	}
	// The account is that of the cookie's own claims.
	setup := edgetest.NewAnswer(tab.Fetch("/mfa/setup", `{"mfaType":"GOOGLE_AUTH"}`)).Data(t)
	if label := setup["otpauthUrl"].(string); !strings.Contains(label, "alice@example.com") {
		t.Errorf("the setup is for %s", label)
	}
	edgetest.NewAnswer(tab.Fetch("/mfa/verify-setup", `{"mfaType":"GOOGLE_AUTH","code":"`+edgetest.Code(t, setup["secret"].(string))+`"}`)).
		WantMessage(t, "MFA setup verified and enabled")

	tab.Run(chromedp.Navigate(e.URL + "/account/orders?year=2026"))
	const want = "GET /account/orders for 42 by GOOGLE_AUTH, cookies legacy_session"
	if got := tab.Eval(`document.getElementById("page").textContent`); got != want {
		t.Errorf("the backend answers %q, want %q", got, want)
	}
	// A form of the site's own pages, and one of another site's.
	if got := tab.Eval(`fetch("/orders/7/refund", {method: "POST"}).then(r => r.status)`); got != "200" {
		t.Errorf("a form of the site: %s", got)
	}
	r := e.Request("POST", "/orders/7/refund", "", nil)
	r.Header.Set("Cookie", "legacy_session="+issuertest.HMAC(t, sessionSecret, map[string]any{"userId": 42, "exp": time.Now().Add(time.Hour).Unix()}))
	r.Header.Set("Origin", "https://evil.example")
	e.Send(r).WantError(t, 403, "origin_not_allowed", "")
}
