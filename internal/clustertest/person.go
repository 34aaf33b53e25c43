package clustertest

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

// person is somebody who has an authenticator app.
type person struct {
	subject string
	token   string // the login's
	secret  string // the app's
	backup  []string
	access  string // the assertion of the enrolment
}

// newPerson makes somebody who has no factor yet.
func (c *Cluster) newPerson(t *testing.T) *person {
	t.Helper()
	p := &person{subject: c.subject()}
	var err error
	if p.token, err = c.token(p.subject); err != nil {
		t.Fatal(err)
	}
	return p
}

// setup begins the enrolment of an app at a node.
func (p *person) setup(t *testing.T, c *Cluster, node int) {
	t.Helper()
	p.begun(c.Do(t, node, "POST", "/mfa/setup", p.token, map[string]any{"mfaType": "GOOGLE_AUTH"}).Data(t))
}

// begun notes what is answered to a setup.
func (p *person) begun(data map[string]any) {
	p.secret, _ = data["secret"].(string)
	p.backup = nil
	codes, _ := data["backupCodes"].([]any)
	for _, code := range codes {
		p.backup = append(p.backup, code.(string))
	}
}

// code is what the app shows so many steps from now. One of now is still
// good in the next step, one of the next in that after it.
func (p *person) code(t *testing.T, steps int) string {
	t.Helper()
	code, err := totp.GenerateCode(p.secret, time.Now().Add(time.Duration(steps)*30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// proof is the body that shows code, to finish a setup or to sign in.
func proof(code string) map[string]any { return map[string]any{"mfaType": "GOOGLE_AUTH", "code": code} }

// enrolled makes somebody who has an app, set up at one node and confirmed
// at the next.
func (c *Cluster) enrolled(t *testing.T) *person {
	t.Helper()
	p := c.newPerson(t)
	p.setup(t, c, c.Any())
	answer := c.Do(t, c.Any(), "POST", "/mfa/verify-setup", p.token, proof(p.code(t, 0)))
	answer.WantMessage(t, "MFA setup verified and enabled")
	if p.access, _ = answer.JSON["fullAccessToken"].(string); p.access == "" {
		t.Fatalf("there is no assertion: %s", answer.Body)
	}
	return p
}

// login shows code at a node.
func (p *person) login(t *testing.T, c *Cluster, node int, code string) edgetest.Answer {
	t.Helper()
	return c.Do(t, node, "POST", "/mfa/verify-login", p.token, proof(code))
}

// wantOpen checks that every node's gate is open for token.
func (c *Cluster) wantOpen(t *testing.T, token string) {
	t.Helper()
	for node := range c.Nodes {
		if open, answer, err := c.opens(node, token); !open {
			t.Errorf("the gate of node %d is closed: %d %s (%v)", node, answer.Status, answer.Body, err)
		}
	}
}

// wantClosedSoon checks that every node's gate closes for token.
func (c *Cluster) wantClosedSoon(t *testing.T, token string) {
	t.Helper()
	for node := range c.Nodes {
		edgetest.Eventually(t, patience, "the gate is closed", func() bool {
			open, answer, err := c.opens(node, token)
			return !open && err == nil && answer.Status == http.StatusUnauthorized
		})
	}
}

// linkToken matches the token of a link in a mail.
var linkToken = regexp.MustCompile(regexp.QuoteMeta(publicURL) + `/mfa/magic-link#token=([\w.~-]+)`)

// unfolded takes out what quoted-printable puts into a link.
var unfolded = strings.NewReplacer("=\r\n", "", "=\n", "", "=3D", "=")

// mailed returns the token of the last link that was mailed, and removes all
// mails.
func (c *Cluster) mailed(t *testing.T) (token string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(c.outbox, "*.eml"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(paths) // they are named by the time
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if found := linkToken.FindStringSubmatch(unfolded.Replace(string(content))); found != nil {
			token = found[1]
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if token == "" {
		t.Fatalf("none of %d mails has a link", len(paths))
	}
	return token
}
