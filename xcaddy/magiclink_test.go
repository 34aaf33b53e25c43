package main_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

// setupLink has a link mailed to address.
func setupLink(e *edgetest.Edge, token, address string) edgetest.Answer {
	return e.Do("POST", "/mfa/setup", token, map[string]any{"mfaType": "MAGIC_LINK", "email": address})
}

func activate(e *edgetest.Edge, link string) edgetest.Answer {
	return e.Do("POST", "/mfa/magic-link/activate", "", map[string]any{"token": link})
}

// startWithMailServer starts an edge whose mail goes through a server that
// it trusts by the system's means.
func startWithMailServer(t *testing.T, caddyfile string) (*edgetest.Edge, *mailServer) {
	t.Helper()
	server := startMailServer(t)
	e := edgetest.New(t)
	e.Env = append(e.Env, "SSL_CERT_FILE="+server.CertFile, "SMTP="+server.Address)
	e.Start(strings.Replace(caddyfile, "directory ./outbox", "smtp {$SMTP}", 1))
	return e, server
}

func TestALinkMailedOverSTARTTLSIsConfirmedInABrowser(t *testing.T) {
	b := startBrowser(t)
	e, server := startWithMailServer(t, edgetest.Caddyfile)
	token := e.Token("alice", nil)
	data := setupLink(e, token, "Alice@Example.org").Data(t)
	if data["email"] != "Alice@example.org" || data["verificationRequired"] != true || len(data["backupCodes"].([]any)) != 10 {
		t.Errorf("the setup's data is %v", data)
	}
	mails := server.Mails()
	if len(mails) != 1 {
		t.Fatalf("%d mails arrived, want 1", len(mails))
	}
	header := mails[0].Header
	if header.Get("To") != "<Alice@example.org>" && header.Get("To") != "Alice@example.org" || !strings.Contains(header.Get("From"), "no-reply@example.com") {
		t.Errorf("the mail is from %q to %q", header.Get("From"), header.Get("To"))
	}
	whole, secret := link(t, mails[0])
	if want := e.URL + "/mfa/magic-link#token="; !strings.HasPrefix(whole, want) {
		t.Errorf("the link is %s, want it to begin with %s", whole, want)
	}
	for name, values := range header {
		if strings.Contains(strings.Join(values, " "), secret) {
			t.Errorf("the header %s holds the token", name)
		}
	}
	wantMethods(t, e, token)

	state, text := b.confirm(whole)
	if state != "done" || !strings.Contains(text, "E-mail confirmed") || !strings.Contains(text, "Acme") {
		t.Errorf("the page is in state %q and reads:\n%s", state, text)
	}
	if shown := b.Eval("location.href"); strings.Contains(shown, secret) {
		t.Errorf("the address bar keeps the token: %s", shown)
	}
	wantMethods(t, e, token, "MAGIC_LINK")

	state, text = b.confirm(whole)
	if state != "failed" || !strings.Contains(text, "It has expired or was used") {
		t.Errorf("a second time, the page is in state %q and reads:\n%s", state, text)
	}
	activate(e, secret).WantError(t, 400, "invalid_magic_link", "Invalid or expired token")
}

func TestAMailScannerSpendsNothing(t *testing.T) {
	e := edgetest.New(t)
	e.Start(edgetest.Caddyfile)
	token := e.Token("alice", nil)
	setupLink(e, token, "alice@example.org").Data(t)
	secret := onlyToken(t, e)
	for _, method := range []string{"GET", "HEAD"} {
		for _, path := range []string{"/mfa/magic-link", "/mfa/magic-link/", "/mfa/magic-link?token=" + secret, "/mfa/magic-link?x=1#token=" + secret,
			"/mfa/assets/link.js", "/mfa/assets/page.css"} {
			if answer := e.Do(method, path, "", nil); answer.Status != 200 && answer.Status != 308 || strings.Contains(answer.Body, secret) {
				t.Errorf("%s %s: %d", method, path, answer.Status)
			}
		}
		if answer := e.Do(method, "/mfa/magic-link/activate?token="+secret, "", nil); answer.Status != 405 || answer.Header.Get("Allow") != "POST" {
			t.Errorf("%s of the activation: %d %v", method, answer.Status, answer.Header)
		}
	}
	form := e.Request("POST", "/mfa/magic-link/activate", "", "token="+secret)
	form.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	e.Send(form).WantError(t, 415, "unsupported_media_type", "")
	wantMethods(t, e, token)
	activate(e, secret).WantMessage(t, "Magic link MFA activated successfully")
	wantMethods(t, e, token, "MAGIC_LINK")
	if got := e.Upstream.Requests(); len(got) != 0 {
		t.Errorf("the upstream got %d requests", len(got))
	}
}

func TestVerifySetupTakesTheTokenOfAMailedLinkFromItsOwnerAlone(t *testing.T) {
	e := edgetest.New(t)
	e.Start(edgetest.Caddyfile)
	alice, bob := e.Token("alice", nil), e.Token("bob", nil)
	setupLink(e, alice, "alice@example.org").Data(t)
	proof := map[string]any{"mfaType": "MAGIC_LINK", "token": onlyToken(t, e)}
	setupLink(e, bob, "bob@example.org").Data(t)
	e.Do("POST", "/mfa/verify-setup", bob, proof).WantError(t, 400, "setup_verification_failed", "MFA setup verification failed")
	wantMethods(t, e, bob)
	e.Do("POST", "/mfa/verify-setup", alice, proof).WantMessage(t, "MFA setup verified and enabled")
	wantMethods(t, e, alice, "MAGIC_LINK")
}

func TestWhileTheMailServerIsDownASetupFailsAndChangesNothing(t *testing.T) {
	e, server := startWithMailServer(t, edgetest.Caddyfile)
	alice, bob := e.Token("alice", nil), e.Token("bob", nil)
	setupLink(e, alice, "alice@example.org").Data(t)
	_, secret := link(t, server.Mails()[0])

	server.Stop()
	for range 7 { // more than are let through in 15 minutes
		began := time.Now()
		answer := setupLink(e, alice, "alice@example.org")
		answer.WantError(t, 500, "mail_not_sent", "Failed to setup MFA")
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("the failure took %v", took)
		}
		if strings.Contains(answer.Body, server.Address) {
			t.Errorf("the answer names the mail server: %s", answer.Body)
		}
	}
	activate(e, secret).WantMessage(t, "Magic link MFA activated successfully")
	wantMethods(t, e, alice, "MAGIC_LINK")

	setupLink(e, bob, "bob@example.org").WantError(t, 500, "mail_not_sent", "Failed to setup MFA")
	server.Start()
	setupLink(e, bob, "bob@example.org").Data(t)
	mails := server.Mails()
	_, secret = link(t, mails[len(mails)-1])
	activate(e, secret).WantMessage(t, "Magic link MFA activated successfully")
}

// A server that takes connections and never says a word is what a firewall
// in the way looks like.
func TestAMailServerThatHangsIsGivenUpOnSoon(t *testing.T) {
	t.Parallel() // it waits
	e := edgetest.New(t)
	listener := hangingListener(t)
	e.Start(strings.Replace(edgetest.Caddyfile, "directory ./outbox", "smtp "+listener, 1))
	began := time.Now()
	setupLink(e, e.Token("alice", nil), "alice@example.org").WantError(t, 500, "mail_not_sent", "Failed to setup MFA")
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("giving up took %v", took)
	}
}

func TestAMailServerThatIsNotTrustedGetsNoMail(t *testing.T) {
	server := startMailServer(t)
	e := edgetest.New(t)
	e.Start(strings.Replace(edgetest.Caddyfile, "directory ./outbox", "smtp "+server.Address, 1))
	setupLink(e, e.Token("alice", nil), "alice@example.org").WantError(t, 500, "mail_not_sent", "Failed to setup MFA")
	if mails := server.Mails(); len(mails) != 0 {
		t.Errorf("%d mails arrived", len(mails))
	}
	e.AwaitLog("x509")
}

func TestAMailServerOfAnAuthorityThatIsNamedGetsMail(t *testing.T) {
	server := startMailServer(t)
	e := edgetest.New(t)
	named := func(options string) string {
		return strings.Replace(edgetest.Caddyfile, "directory ./outbox", "smtp "+server.Address+" {\n"+options+"\n}", 1)
	}
	e.Write("none.pem", "no certificate")
	for options, want := range map[string]string{
		"ca ./missing.pem": "missing.pem", "ca ./none.pem": "no certificate in PEM", "helo \"a b\"": "no host name",
	} {
		if said := e.StartRefused(named(options)); !strings.Contains(said, want) {
			t.Errorf("%s: it does not say %q:\n%s", options, want, said)
		}
	}
	e.Start(named("ca " + server.CertFile + "\nhelo edge.example.com"))
	setupLink(e, e.Token("alice", nil), "alice@example.org").Data(t)
	if mails := server.Mails(); len(mails) != 1 {
		t.Errorf("%d mails arrived", len(mails))
	}
}

// wantLimited checks that a refuses for now, for most at most.
func wantLimited(t *testing.T, a edgetest.Answer, most time.Duration) {
	t.Helper()
	a.WantError(t, http.StatusTooManyRequests, "rate_limited", "")
	seconds, err := strconv.Atoi(a.Header.Get("Retry-After"))
	if wait := time.Duration(seconds) * time.Second; err != nil || wait <= most-time.Minute || wait > most {
		t.Errorf("Retry-After is %q, want about %v", a.Header.Get("Retry-After"), most)
	}
}

func TestTheSixthMailOfAPersonInAQuarterOfAnHourIsRefused(t *testing.T) {
	e := edgetest.New(t)
	e.Start(edgetest.Caddyfile)
	token := e.Token("alice", nil)
	for i := range 5 {
		setupLink(e, token, fmt.Sprintf("alice%d@example.org", i)).Data(t)
	}
	wantLimited(t, setupLink(e, token, "alice@example.org"), 15*time.Minute)
	if got := len(outbox(t, e)); got != 5 {
		t.Errorf("%d mails were sent, want 5", got)
	}
	// The last link that was mailed still works, and nobody else is limited.
	_, secret := link(t, outbox(t, e)[4])
	setupLink(e, e.Token("bob", nil), "bob@example.org").Data(t)
	activate(e, secret).WantMessage(t, "Magic link MFA activated successfully")
	wantMethods(t, e, token, "MAGIC_LINK")
}

func TestTheSixthMailToAnAddressInAnHourIsRefusedWhoeverAsks(t *testing.T) {
	e := edgetest.New(t)
	e.Start(edgetest.Caddyfile)
	spellings := []string{"victim@example.org", "Victim@example.org", "victim@EXAMPLE.org", "VICTIM@example.org", "victim@Example.Org"}
	for i, address := range spellings {
		setupLink(e, e.Token(fmt.Sprintf("stranger-%d", i), nil), address).Data(t)
	}
	last := e.Token("stranger-5", nil)
	wantLimited(t, setupLink(e, last, "victim@example.org"), time.Hour)
	if got := len(outbox(t, e)); got != 5 {
		t.Errorf("%d mails were sent, want 5", got)
	}
	setupLink(e, last, "stranger-5@example.org").Data(t)

	e.Stop()
	e.Start("")
	wantLimited(t, setupLink(e, e.Token("stranger-6", nil), "victim@example.org"), time.Hour)
}

func TestMailsInADirectoryAreForTheirOwnersEyesOnly(t *testing.T) {
	e := edgetest.New(t)
	e.Start(edgetest.Caddyfile)
	setupLink(e, e.Token("alice", nil), "alice@example.org").Data(t)
	folder := filepath.Join(e.Dir, "outbox")
	entries, err := os.ReadDir(folder)
	if err != nil || len(entries) != 1 || filepath.Ext(entries[0].Name()) != ".eml" {
		t.Fatalf("the outbox holds %v (%v), want one .eml file", entries, err)
	}
	for path, want := range map[string]os.FileMode{folder: 0o700, filepath.Join(folder, entries[0].Name()): 0o600} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v", path, info.Mode().Perm(), want)
		}
	}
}

func TestWithAddressesClaimOnlyTheTokensOwnAddressIsMailed(t *testing.T) {
	e := edgetest.New(t)
	e.Start(strings.Replace(edgetest.Caddyfile, "directory ./outbox", "directory ./outbox\n\t\t\taddresses claim", 1))
	token := e.Token("alice", map[string]any{"email": "alice@example.org"})
	setupLink(e, token, "thief@example.org").WantError(t, 400, "invalid_request", "")
	setupLink(e, e.Token("bob", nil), "bob@example.org").WantError(t, 400, "invalid_request", "")
	if got := len(outbox(t, e)); got != 0 {
		t.Fatalf("%d mails were sent", got)
	}
	data := e.Do("POST", "/mfa/setup", token, map[string]any{"mfaType": "MAGIC_LINK"}).Data(t)
	if data["email"] != "alice@example.org" {
		t.Errorf("the mail went to %v", data["email"])
	}
	activate(e, onlyToken(t, e)).WantMessage(t, "Magic link MFA activated successfully")
	wantMethods(t, e, token, "MAGIC_LINK")
}
