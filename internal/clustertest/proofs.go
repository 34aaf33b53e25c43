package clustertest

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/descope/virtualwebauthn"

	"github.com/caddymfa/caddy-mfa/internal/passkeytest"
)

// long reports whether tests take the time to be thorough, as docs/stores.md
// says.
func long() bool { return os.Getenv("MFA_TEST_LONG") != "" }

// rounds is how often each proof is raced.
func rounds() int {
	if long() {
		return 1000
	}
	return 200
}

// racers is how many rounds go on at once.
const racers = 6

// showing is a proof that is good once: the request that shows it.
type showing struct {
	path, token string
	body        map[string]any
}

// proofs make somebody with a proof that is good once, by its kind.
func (c *Cluster) proofs() map[string]func(t *testing.T) showing {
	login := func(p *person, body map[string]any) showing { return showing{"/mfa/verify-login", p.token, body} }
	return map[string]func(t *testing.T) showing{
		"a code of an app": func(t *testing.T) showing {
			p := c.enrolled(t)
			return login(p, proof(p.code(t, 1)))
		},
		"a backup code": func(t *testing.T) showing {
			p := c.enrolled(t)
			return login(p, proof(p.backup[0]))
		},
		"a setup": func(t *testing.T) showing {
			p := c.newPerson(t)
			p.setup(t, c, c.Any())
			return showing{"/mfa/verify-setup", p.token, proof(p.code(t, 0))}
		},
		"the link of a setup": func(t *testing.T) showing {
			p := c.newPerson(t)
			return showing{"/mfa/magic-link/activate", "", map[string]any{"token": c.setupLink(t, p)}}
		},
		"the login of a link": func(t *testing.T) showing {
			p := c.newPerson(t)
			c.Do(t, c.Any(), "POST", "/mfa/magic-link/activate", "", map[string]any{"token": c.setupLink(t, p)}).
				WantMessage(t, "Magic link MFA activated successfully")
			sent := c.Do(t, c.Any(), "POST", "/mfa/magic-link/send", p.token, nil).Data(t)
			c.Do(t, c.Any(), "POST", "/mfa/magic-link/activate", "", map[string]any{"token": c.mailedTo(t, p), "matchNumber": sent["matchNumber"]}).
				WantMessage(t, "Magic link MFA activated successfully")
			return login(p, map[string]any{"mfaType": "MAGIC_LINK", "sessionId": sent["sessionId"]})
		},
		"a challenge of a passkey": func(t *testing.T) showing {
			p := c.newPerson(t)
			return login(p, map[string]any{"mfaType": "PASSKEY", "credential": c.passkey(t, p)})
		},
	}
}

// raced shows each kind of proof to all nodes at once, in many rounds, and
// checks that it is taken once in each.
func raced(t *testing.T, c *Cluster) {
	for kind, prepare := range c.proofs() {
		t.Run(kind, func(t *testing.T) {
			var left atomic.Int64
			left.Store(int64(rounds()))
			var all sync.WaitGroup
			for range racers {
				all.Go(func() {
					for left.Add(-1) >= 0 && !t.Failed() {
						c.wantTaken(t, prepare(t), 1, 1)
					}
				})
			}
			all.Wait()
		})
	}
}

// wantTaken shows a proof to all nodes at once and checks how often it is
// taken. Elsewhere it must be refused, or answered with 503 where fewer than
// once is enough.
func (c *Cluster) wantTaken(t *testing.T, s showing, least, most int) {
	t.Helper()
	count := c.all(t, 1, "POST", s.path, s.token, s.body)
	refused := count[http.StatusBadRequest] + count[http.StatusUnauthorized]
	if least < most {
		refused += count[http.StatusServiceUnavailable]
	}
	if taken := count[http.StatusOK]; taken < least || taken > most || taken+refused != nodes {
		t.Errorf("%s answers %v, want %d to %d of 200", s.path, count, least, most)
	}
}

// setupLink has the link of a setup sent to somebody, and returns its token.
func (c *Cluster) setupLink(t *testing.T, p *person) string {
	t.Helper()
	c.Do(t, c.Any(), "POST", "/mfa/setup", p.token, map[string]any{"mfaType": "MAGIC_LINK", "email": p.subject + "@example.org"}).Data(t)
	return c.mailedTo(t, p)
}

// mailedTo returns the token of the link that was mailed to somebody, and
// removes the mail.
func (c *Cluster) mailedTo(t *testing.T, p *person) string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(c.outbox, "*.eml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(content), p.subject+"@example.org") {
			continue // another's, who may have removed it
		}
		found := linkToken.FindStringSubmatch(unfolded.Replace(string(content)))
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if found != nil {
			return found[1]
		}
	}
	t.Fatalf("none of %d mails is a link for %s", len(paths), p.subject)
	return ""
}

// passkey enrols a passkey and returns what it answers to a challenge.
func (c *Cluster) passkey(t *testing.T, p *person) json.RawMessage {
	t.Helper()
	encoded := func(options any) string {
		text, err := json.Marshal(options)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	creation, err := virtualwebauthn.ParseAttestationOptions(encoded(
		c.Do(t, c.Any(), "POST", "/mfa/setup", p.token, map[string]any{"mfaType": "PASSKEY"}).Data(t)["publicKey"]))
	if err != nil {
		t.Fatal(err)
	}
	party := virtualwebauthn.RelyingParty{ID: "app.example.com", Name: "Acme", Origin: publicURL}
	device := virtualwebauthn.NewAuthenticatorWithOptions(virtualwebauthn.AuthenticatorOptions{UserHandle: []byte(creation.UserID)})
	key := passkeytest.ES256(t)
	created := virtualwebauthn.CreateAttestationResponse(party, device, key, *creation)
	c.Do(t, c.Any(), "POST", "/mfa/verify-setup", p.token, map[string]any{"mfaType": "PASSKEY", "credential": json.RawMessage(created)}).
		WantMessage(t, "MFA setup verified and enabled")
	request, err := virtualwebauthn.ParseAssertionOptions(encoded(c.Do(t, c.Any(), "POST", "/mfa/passkey/auth-options", p.token, nil).Data(t)))
	if err != nil {
		t.Fatal(err)
	}
	return json.RawMessage(virtualwebauthn.CreateAssertionResponse(party, device, key, *request))
}
