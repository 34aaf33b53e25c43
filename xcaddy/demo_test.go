package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
	"github.com/caddymfa/caddy-mfa/internal/testtool"
)

// startDemo runs the repository's Caddyfile at ports of the test's own.
func startDemo(t *testing.T) *edgetest.Edge {
	t.Helper()
	demo, err := os.ReadFile(filepath.Join("..", "Caddyfile"))
	if err != nil {
		t.Fatal(err)
	}
	e := edgetest.New(t)
	e.Start(demoPorts(t, e).Replace(string(demo)))
	return e
}

// demoPorts puts ports of the test's own in the place of the demo's.
func demoPorts(t *testing.T, e *edgetest.Edge) *strings.Replacer {
	t.Helper()
	return strings.NewReplacer("localhost:2019", "{$ADMIN}", "8080", e.Port, "8081", edgetest.FreePort(t))
}

// TestTheDemoWorksFromItsLogAlone follows what the log of the repository's
// Caddyfile says, step by step, as a newcomer does.
func TestTheDemoWorksFromItsLogAlone(t *testing.T) {
	testtool.Need(t, "curl")
	shell := testtool.Need(t, "sh")
	e := startDemo(t)
	e.AwaitLog("then: curl")
	lines := e.LogLines()
	last := lines[max(0, len(lines)-3):]
	if len(last) != 3 || !strings.Contains(last[0], "ready: open "+e.URL+" in a browser") ||
		!strings.Contains(last[1], "caddy mfa token --subject alice") || !strings.Contains(last[2], "/mfa/setup") {
		t.Fatalf("the log ends with\n%s", strings.Join(last, "\n"))
	}
	if log := e.Log(); !strings.Contains(log, "INSECURE") || !strings.Contains(log, "back it up") {
		t.Errorf("the log does not warn of the dev issuer and tell of the key file:\n%s", log)
	}

	token, stderr, err := e.Command("mfa", "token", "--subject", "alice")
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	if strings.Count(token, ".") != 2 || strings.Count(token, "\n") != 1 || strings.ContainsAny(strings.TrimSpace(token), " \n") {
		t.Fatalf("the command prints %q, want a token alone", token)
	}
	// The log is JSON here, where it is no terminal.
	_, command, _ := strings.Cut(last[2], "then: ")
	command = strings.ReplaceAll(command[:strings.LastIndex(command, `"}`)], `\"`, `"`)
	run := exec.CommandContext(t.Context(), shell, "-c", command)
	run.Env = append(os.Environ(), "TOKEN="+strings.TrimSpace(token))
	answer, err := run.Output()
	if err != nil || !strings.HasPrefix(string(answer), `{"success":true,"data":{"secret":"`) {
		t.Fatalf("%s\nanswers %s (%v)", command, answer, err)
	}

	if through := e.Do("GET", "/hello?x=1", "", nil); through.Status != 200 || through.Body != "Hello from the backend: GET /hello?x=1\n" {
		t.Errorf("the backend answers %d %q", through.Status, through.Body)
	}
	alice := strings.TrimSpace(token)
	enrol(t, e, alice)
	wantMethods(t, e, alice, "GOOGLE_AUTH")
	setupLink(e, e.Token("bob", nil), "bob@example.org").Data(t)
	if mails := readMails(t, filepath.Join(e.Dir, "data", "outbox")); len(mails) != 1 {
		t.Errorf("%d mails were sent, want 1", len(mails))
	}
}

func TestTheTokenCommandSaysWhatItNeeds(t *testing.T) {
	e := edgetest.New(t)
	e.Write("Caddyfile", edgetest.Caddyfile)
	e.Write("secret.caddyfile", strings.Replace(edgetest.Caddyfile, "bearer dev", "bearer {\n hmac_secret 0123456789abcdef0123456789abcdef\n}", 1))
	e.Write("empty/Caddyfile", ":80\n")
	for _, test := range []struct {
		want string
		args []string
	}{
		{"--subject is required", nil},
		{"--lifetime", []string{"--subject", "a", "--lifetime", "0s"}},
		{"name=value", []string{"--subject", "a", "--claim", "email"}},
		{"bearer dev", []string{"--subject", "a", "--config", "secret.caddyfile", "--adapter", "caddyfile"}},
		{"no global option mfa", []string{"--subject", "a", "--config", "empty/Caddyfile"}},
	} {
		stdout, stderr, err := e.Command(append([]string{"mfa", "token"}, test.args...)...)
		if err == nil || !strings.Contains(stderr, test.want) || stdout != "" {
			t.Errorf("%v: %v, printed %q, said %q, want %q", test.args, err, stdout, stderr, test.want)
		}
	}
}

func TestATokenOfTheCommandCarriesTheClaimsGiven(t *testing.T) {
	e := edgetest.New(t)
	e.Start(strings.Replace(edgetest.Caddyfile, "bearer dev", "bearer {\n dev\n audience api\n claim subject userId\n claim email mail\n}", 1))
	token, stderr, err := e.Command("mfa", "token", "--subject", "42", "--claim", "mail=alice@example.org", "--claim", `roles=["OWNER"]`)
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	setup := e.Do("POST", "/mfa/setup", strings.TrimSpace(token), map[string]any{"mfaType": "GOOGLE_AUTH"}).Data(t)
	if !strings.HasPrefix(setup["otpauthUrl"].(string), "otpauth://totp/Acme:alice@example.org?") {
		t.Errorf("the setup is for %v", setup["otpauthUrl"])
	}
	e.Do("GET", "/mfa/status", e.Token("42", nil), nil).WantError(t, 401, "invalid_token", "") // has no aud
}
