// Package examples_test loads the examples' Caddyfiles into the real binary
// and drives them, so that none of them can rot.
package examples_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/internal/browsertest"
	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

func TestMain(m *testing.M) {
	code := edgetest.Main(m)
	browsertest.Stop()
	os.Exit(code)
}

// read returns a file of the examples.
func read(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// replaced is text with every old, new pair of changes applied. An old that
// is not there is an error: the example has changed, and its test has not.
func replaced(t *testing.T, text string, changes ...string) string {
	t.Helper()
	for i := 0; i < len(changes); i += 2 {
		if !strings.Contains(text, changes[i]) {
			t.Fatalf("nothing reads %q in\n%s", changes[i], text)
		}
		text = strings.ReplaceAll(text, changes[i], changes[i+1])
	}
	return text
}

// here is a Caddyfile for host, at the edge's own address, with its upstream
// in the place of port 3000.
func here(t *testing.T, e *edgetest.Edge, caddyfile, host string, changes ...string) string {
	t.Helper()
	changes = append(changes,
		"https://"+host, e.URL,
		"\n"+host+" {\n", "\nhttp://localhost:{$PORT} {\n\tbind 127.0.0.1\n",
		"127.0.0.1:3000", e.Upstream.Address,
	)
	return "{\n\tadmin {$ADMIN}\n" + strings.TrimPrefix(replaced(t, caddyfile, changes...), "{\n")
}

// wantValid checks a Caddyfile as it stands, as an operator does: Caddy takes
// it, and finds nothing to format.
func wantValid(t *testing.T, e *edgetest.Edge, caddyfile string) {
	t.Helper()
	e.Write("as-it-stands", caddyfile)
	if formatted, _, err := e.Command("fmt", "as-it-stands"); err != nil || strings.TrimSpace(formatted) != strings.TrimSpace(caddyfile) {
		t.Errorf("caddy fmt makes of it\n%s", formatted)
	}
	if _, stderr, err := e.Command("validate", "--config", "as-it-stands", "--adapter", "caddyfile"); err != nil {
		t.Errorf("%v\n%s", err, stderr)
	}
}

// claims are those of an access token for subject.
func claims(subject string, more map[string]any) map[string]any {
	all := map[string]any{"sub": subject, "iat": time.Now().Unix(), "exp": time.Now().Add(10 * time.Minute).Unix()}
	for name, value := range more {
		all[name] = value
	}
	return all
}

// enrol sets up an authenticator app and returns its secret and what takes
// the access token's place.
func enrol(t *testing.T, e *edgetest.Edge, token string) (secret, full string) {
	t.Helper()
	secret = e.Do("POST", "/mfa/setup", token, map[string]any{"mfaType": "GOOGLE_AUTH"}).Data(t)["secret"].(string)
	answer := e.Do("POST", "/mfa/verify-setup", token, map[string]any{"mfaType": "GOOGLE_AUTH", "code": edgetest.Code(t, secret)})
	answer.WantMessage(t, "MFA setup verified and enabled")
	return secret, answer.JSON["fullAccessToken"].(string)
}

// wantOpen checks that a request passes, and wantShut that it is asked for a
// second factor.
func wantOpen(t *testing.T, e *edgetest.Edge, path, token string) {
	t.Helper()
	before := len(e.Upstream.Requests())
	if answer := e.Do("GET", path, token, nil); answer.Status != 200 || len(e.Upstream.Requests()) != before+1 {
		t.Errorf("%s: %d %s", path, answer.Status, answer.Body)
	}
}

func wantShut(t *testing.T, e *edgetest.Edge, path, token string) {
	t.Helper()
	before := len(e.Upstream.Requests())
	e.Do("GET", path, token, nil).WantError(t, 401, "insufficient_user_authentication", "")
	if len(e.Upstream.Requests()) != before {
		t.Errorf("%s: the upstream got a request", path)
	}
}

func TestEveryExampleIsListedAndExplained(t *testing.T) {
	index, front := read(t, "README.md"), read(t, "../README.md")
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	folders := 0
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		folders++
		if name := entry.Name(); !strings.Contains(index, "["+name+"]("+name+")") || !strings.Contains(front, "(examples/"+name+")") {
			t.Errorf("%s is not in the examples' README, or not in the front one", name)
		}
		wantLinksToLead(t, filepath.Join(entry.Name(), "README.md"))
	}
	if folders < 7 {
		t.Errorf("%d examples were found", folders)
	}
	wantLinksToLead(t, "README.md")
}

var localLink = regexp.MustCompile(`\]\(([^)#:]+)[^):]*\)`)

func wantLinksToLead(t *testing.T, readme string) {
	t.Helper()
	for _, link := range localLink.FindAllStringSubmatch(read(t, readme), -1) {
		if _, err := os.Stat(filepath.Join(filepath.Dir(readme), link[1])); err != nil {
			t.Errorf("%s: %v", readme, err)
		}
	}
}
