package caddymodule

import (
	"fmt"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddymfa/caddy-mfa/internal/issuertest"
)

// status is the answer's status to a request of the person that token is of.
func (s *server) status(token string) int {
	s.Helper()
	status, err := s.post(token)
	if err != nil {
		s.Fatal(err)
	}
	return status
}

// withBearer are options with that bearer, and otherwise always the same.
func (s *server) withBearer(bearer string) string {
	return fmt.Sprintf("bearer {\n%s\n}\npublic_url http://%s\nstore bolt {\npath data/mfa.db\n}\nkey_file data/mfa.key\n", bearer, s.address)
}

func claims(subject string) map[string]any {
	return map[string]any{"sub": subject, "iss": "https://login.example", "aud": "edge", "exp": time.Now().Add(time.Hour).Unix(), "client": "batch"}
}

func TestATokenCountsNoLongerThanTheConfigurationThatAcceptsIt(t *testing.T) {
	s := newServer(t)
	const secret, other = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"
	token := issuertest.HMAC(t, secret, claims("alice"))
	expired := claims("bob")
	expired["exp"] = time.Now().Add(-time.Minute).Unix()
	late := issuertest.HMAC(t, secret, expired)
	good := "hmac_secret " + secret + "\naudience edge\nissuer https://login.example\nclock_skew 5m"
	for _, row := range []struct{ name, bearer string }{
		{"another secret", "hmac_secret " + other + "\naudience edge\nissuer https://login.example\nclock_skew 5m"},
		{"another audience", "hmac_secret " + secret + "\naudience elsewhere\nissuer https://login.example\nclock_skew 5m"},
		{"another issuer", "hmac_secret " + secret + "\naudience edge\nissuer https://other.example\nclock_skew 5m"},
		{"another subject", good + "\nclaim subject uid"},
	} {
		s.load(s.config(s.withBearer(good), ""))
		for range 2 { // the second time it is remembered
			if status := s.status(token); status != http.StatusOK {
				t.Fatalf("answer is %d", status)
			}
		}
		s.load(s.config(s.withBearer(row.bearer), ""))
		if status := s.status(token); status != http.StatusUnauthorized {
			t.Errorf("with %s the answer is %d", row.name, status)
		}
	}
	s.load(s.config(s.withBearer(good), ""))
	if status := s.status(late); status != http.StatusOK {
		t.Fatalf("within clock_skew the answer is %d", status)
	}
	s.load(s.config(s.withBearer("hmac_secret "+secret+"\naudience edge\nissuer https://login.example"), ""))
	if status := s.status(late); status != http.StatusUnauthorized {
		t.Errorf("with less clock_skew the answer is %d", status)
	}
}

func TestAReloadDropsTheKeysThatAFileNoLongerHolds(t *testing.T) {
	s := newServer(t)
	issuer := issuertest.Start(t)
	write := func() {
		t.Helper()
		if err := os.WriteFile("keys.json", issuer.JWKS(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write()
	config := s.config(s.withBearer("jwks_file keys.json"), "")
	s.load(config)
	token := issuer.Token(claims("alice"))
	if status := s.status(token); status != http.StatusOK {
		t.Fatalf("answer is %d", status)
	}
	issuer.Rotate()
	write()
	s.load(config)
	if status := s.status(token); status != http.StatusUnauthorized {
		t.Errorf("after the reload the answer is %d", status)
	}
}

func TestAReloadFetchesNoKeysAndNeedsNoIssuer(t *testing.T) {
	s := newServer(t)
	issuer := issuertest.Start(t)
	options := s.withBearer("jwks_url " + issuer.URL + "/keys")
	s.load(s.config(options, ""))
	if status := s.status(issuer.Token(claims("alice"))); status != http.StatusOK {
		t.Fatalf("answer is %d", status)
	}
	fetched := issuer.Asked()
	issuer.SetDown(true)
	for i, changed := range []string{options, options + "cors_origins https://app.example.com", options + "admin_roles BOSS", options + "backup_codes 7", options} {
		s.load(s.config(changed, ""))
		// A person who was not seen before: nothing of them is remembered.
		if status := s.status(issuer.Token(claims(fmt.Sprint("person ", i)))); status != http.StatusOK {
			t.Errorf("with the issuer down, the answer after a reload is %d", status)
		}
	}
	if now := issuer.Asked(); now != fetched {
		t.Errorf("the reloads fetched keys %d times", now-fetched)
	}
}

func TestAReloadGoesOnWithWhatIsRemembered(t *testing.T) {
	s := newServer(t)
	options := s.options("data/mfa.db", "data/mfa.key")
	s.load(s.config(options, ""))
	first := activeApp().serving()
	for _, changed := range []string{options, options + "cors_origins https://app.example.com", options + "admin_roles BOSS"} {
		s.load(s.config(changed, ""))
		now := activeApp().serving()
		if now.app == first.app || now.state != first.state {
			t.Errorf("the state is not the same after %q", changed)
		}
		// A late request on a connection of the old one.
		if first.app.await(t.Context()) != now.handler {
			t.Errorf("after %q, the old configuration's requests are not served by what runs", changed)
		}
		users := 0
		verifiers.pool.Range(func(key, _ any) bool { users++; return true })
		if users != 1 {
			t.Errorf("there are %d verifiers", users)
		}
	}
	if first.app.serving() != nil || first.app.site != nil {
		t.Error("the old configuration holds what it served with")
	}
	s.load(s.config(options+"token_lifetime 5m", ""))
	if activeApp().serving().state == first.state {
		t.Error("another token_lifetime has the same state")
	}
	s.stop()
	for name, all := range map[string]shared{"stores": open, "states": states, "verifiers": verifiers, "key sets": keySets} {
		all.pool.Range(func(key, _ any) bool {
			t.Errorf("after the end there is one of the %s: %s", name, key)
			return true
		})
	}
}

func TestReloadsAtOnceLeaveOneInForce(t *testing.T) {
	s := newServer(t)
	options := s.options("data/mfa.db", "data/mfa.key")
	good := s.config(options, "")
	configs := [][]byte{good, s.config(options+"token_lifetime 5m", ""), s.config(options, `{"fail_start":true}`), s.config(s.options("data/two.db", "data/mfa.key"), "")}
	s.load(good)
	var group sync.WaitGroup
	for _, config := range configs {
		group.Go(func() {
			for range 5 {
				_ = caddy.Load(config, true) // one of them is refused
			}
		})
	}
	group.Wait()
	s.load(good)
	wantUsers(t, "data/mfa.db", 1)
	wantFree(t, "data/two.db")
	if status := s.setup("alice"); status != http.StatusOK {
		t.Errorf("answer is %d", status)
	}
	s.stop()
	wantFree(t, "data/mfa.db")
}
