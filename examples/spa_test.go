package examples_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/pquerna/otp/totp"

	"github.com/caddymfa/caddy-mfa/internal/browsertest"
	"github.com/caddymfa/caddy-mfa/internal/edgetest"
	"github.com/caddymfa/caddy-mfa/internal/testtool"
)

// startProvider runs the identity provider of the example and returns its
// URL.
func startProvider(t *testing.T, app string) string {
	t.Helper()
	node, npm := testtool.Need(t, "node"), testtool.Need(t, "npm")
	version, err := exec.CommandContext(t.Context(), node, "--print", "parseInt(process.versions.node)").Output()
	if major, _ := strconv.Atoi(strings.TrimSpace(string(version))); err != nil || major < 20 {
		testtool.Missing(t, "node is of version %s (%v), older than the identity provider takes", version, err)
	}
	dir := filepath.Join(t.TempDir(), "idp")
	if err := os.CopyFS(dir, os.DirFS("oidc-spa/idp")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules")); err != nil {
		install := exec.CommandContext(t.Context(), npm, "ci", "--prefer-offline", "--no-audit", "--no-fund")
		install.Dir = dir
		if out, err := install.CombinedOutput(); err != nil {
			testtool.Missing(t, "npm cannot install the identity provider: %v\n%s", err, out)
		}
	}
	issuer := "http://localhost:" + edgetest.FreePort(t)
	provider := exec.CommandContext(t.Context(), node, "idp.mjs")
	provider.Dir = dir
	provider.Env = append(os.Environ(), "ISSUER="+issuer, "APP="+app)
	provider.Stdout, provider.Stderr = t.Output(), t.Output()
	if err := provider.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = provider.Process.Kill() // fails when it has ended already
		_ = provider.Wait()
	})
	edgetest.Eventually(t, 30*time.Second, "the identity provider answers", func() bool {
		answer, err := http.Get(issuer + "/.well-known/openid-configuration")
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	return issuer
}

// startApp puts the app and the edge in front of the upstream.
func startApp(t *testing.T, e *edgetest.Edge, issuer string) {
	t.Helper()
	for _, name := range []string{"index.html", "app.js", "login.js"} {
		e.Write("app/"+name, read(t, "oidc-spa/app/"+name))
	}
	e.Write("app/config.js", replaced(t, read(t, "oidc-spa/app/config.js"), "https://login.example.com", issuer))
	caddyfile := read(t, "oidc-spa/Caddyfile")
	wantValid(t, e, caddyfile)
	e.Start(here(t, e, caddyfile, "app.example.com", "https://login.example.com", issuer))
}

// awaitText waits until an element reads as wanted.
func awaitText(tab *browsertest.Tab, selector, want string) {
	tab.T.Helper()
	var got string
	edgetest.Eventually(tab.T, 20*time.Second, selector+" reads "+want, func() bool {
		// An error is a page that is just being left.
		got, _ = chromedp.Run(tab.Ctx, chromedp.Evaluate[string](`document.querySelector("`+selector+`")?.textContent ?? ""`))
		return strings.Contains(got, want)
	})
}

func TestASinglePageAppBehindAnIdentityProviderStepsUp(t *testing.T) {
	tab := browsertest.Open(t)
	e := edgetest.New(t)
	issuer := startProvider(t, e.URL)
	startApp(t, e, issuer)

	// The code flow, through the identity provider's own pages.
	tab.Run(
		chromedp.Navigate(e.URL),
		chromedp.Click(chromedp.CSS("#sign-in")),
		chromedp.SendKeys(chromedp.CSS("input[name=login]"), "alice", chromedp.NodeVisible),
		chromedp.SendKeys(chromedp.CSS("input[name=password]"), "any"),
		chromedp.Click(chromedp.CSS("button[type=submit]")),
		chromedp.WaitNotPresent(chromedp.CSS("input[name=login]")),
		chromedp.Click(chromedp.CSS("button[type=submit]"), chromedp.NodeVisible), // consent
	)
	awaitText(tab, "#who", "You are signed in.")
	tab.Run(chromedp.Click(chromedp.CSS("#profile")))
	awaitText(tab, "#answer", "upstream: GET /api/profile")
	issued := bearerOf(t, e)
	if strings.Count(issued, ".") != 2 {
		t.Fatalf("the API got the token %q", issued)
	}

	// Without a factor the gate leads to where one is set up.
	tab.Run(chromedp.Click(chromedp.CSS("#payments")))
	tab.AwaitPath("/mfa/")
	secret, _ := enrol(t, e, issued)

	// Back, the identity provider asks nothing again.
	tab.Run(
		chromedp.Navigate(e.URL),
		chromedp.Click(chromedp.CSS("#sign-in")),
	)
	awaitText(tab, "#who", "You are signed in.")
	tab.Run(
		chromedp.Click(chromedp.CSS("#payments")),
		chromedp.SendKeys(chromedp.CSS("#code"), "000000-wrong", chromedp.NodeVisible),
		chromedp.Click(chromedp.CSS("#confirm")),
	)
	awaitText(tab, "#wrong", "MFA verification failed")
	next, err := totp.GenerateCode(secret, time.Now().Add(30*time.Second)) // the present one is spent
	if err != nil {
		t.Fatal(err)
	}
	tab.Run(
		chromedp.SendKeys(chromedp.CSS("#code"), next, chromedp.NodeVisible),
		chromedp.Click(chromedp.CSS("#confirm")),
	)
	awaitText(tab, "#answer", "upstream: GET /api/payments")
	requests := e.Upstream.Requests()
	if h := requests[len(requests)-1].Header; h.Get("X-MFA-User") != "alice" || h.Get("X-MFA-Methods") != "GOOGLE_AUTH" {
		t.Errorf("the API gets %v", h)
	}
	// It is the identity provider's token that the API gets, now as before.
	if got := bearerOf(t, e); got == issued || strings.Count(got, ".") != 2 || claim(t, got, "iss") != issuer || claim(t, got, "aud") != e.URL {
		t.Errorf("the API gets the token %q", got)
	}
	tab.Run(chromedp.Click(chromedp.CSS("#profile")))
	awaitText(tab, "#answer", "upstream: GET /api/profile")
}
