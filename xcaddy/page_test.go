package main_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

// pageSite is a site whose login keeps its token in a cookie.
const pageSite = `{
	admin {$ADMIN}
	mfa {
		bearer {
			dev
			cookie login
		}
		public_url http://localhost:{$PORT}
		issuer Acme
	}
}

http://localhost:{$PORT} {
	bind 127.0.0.1
	mfa
	mfa_require /admin/*
	reverse_proxy {$UPSTREAM}
}
`

func TestABrowserShowsAFactorAtThePageAndComesBack(t *testing.T) {
	e := edgetest.New(t)
	e.Start(pageSite)
	alice := enrolled(t, e, "alice", nil)
	b := startBrowser(t)
	b.open(e.URL + "/public")
	b.Eval(`document.cookie = "login=` + alice.token + `; path=/"`)
	b.Run(
		chromedp.Navigate(e.URL+"/admin/reports?year=2026"),
		chromedp.WaitVisible(chromedp.CSS("#code")),
	)
	at, err := url.Parse(b.Eval("location.href"))
	if err != nil || at.Path != "/mfa/" || at.Query().Get("return_to") != "/admin/reports?year=2026" {
		t.Fatalf("the gate leads to %s", at)
	}
	b.Run(
		chromedp.SendKeys(chromedp.CSS("#code"), "0000-0000-0000"),
		chromedp.Click(chromedp.CSS("#code-form button")),
	)
	b.Eval(`(async () => { while (!document.getElementById("detail").textContent) await new Promise(requestAnimationFrame) })()`)
	if said := b.Eval(`document.getElementById("detail").textContent`); said != "MFA verification failed" {
		t.Errorf("a wrong code is answered with %q", said)
	}
	b.Run(
		chromedp.SetValue(chromedp.CSS("#code"), alice.backup[0]),
		chromedp.Click(chromedp.CSS("#code-form button")),
		chromedp.WaitNotPresent(chromedp.CSS("#code")),
	)
	if got := b.Eval("location.href"); got != e.URL+"/admin/reports?year=2026" {
		t.Errorf("the browser comes back to %s", got)
	}
	for _, r := range e.Upstream.Requests() {
		if !strings.HasPrefix(r.URL.Path, "/admin/") {
			continue
		}
		if h := r.Header; h.Get("X-MFA-User") != "alice" || strings.Contains(h.Get("Cookie"), "__Host-mfa") {
			t.Errorf("the upstream gets %v", h)
		}
		return
	}
	t.Error("the upstream got no request for the gated page")
}
