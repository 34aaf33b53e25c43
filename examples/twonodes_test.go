package examples_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
	"github.com/caddymfa/caddy-mfa/internal/issuertest"
)

// twoNodes are two Caddies of a cluster, on the same configuration, the second
// with the key file of the first, as the READMEs have it.
type twoNodes struct {
	t     *testing.T
	login *issuertest.Issuer
	nodes [2]*edgetest.Edge
}

func startTwoNodes(t *testing.T, login *issuertest.Issuer, caddyfile, env string, changes ...string) *twoNodes {
	t.Helper()
	two := &twoNodes{t: t, login: login}
	for i := range two.nodes {
		e := edgetest.New(t)
		e.Full, e.Env = true, []string{env}
		if i == 0 {
			wantValid(t, e, caddyfile)
		} else {
			key, err := os.ReadFile(filepath.Join(two.nodes[0].Dir, "mfa.key"))
			if err != nil {
				t.Fatal(err)
			}
			e.Write("mfa.key", string(key))
		}
		// Both are reached as https://example.com, which is not here.
		e.Start(here(t, e, caddyfile, "example.com", changes...))
		two.nodes[i] = e
	}
	return two
}

// bearer is an access token of alice's for a node.
func (two *twoNodes) bearer(e *edgetest.Edge) string {
	return two.login.Token(claims("alice", map[string]any{"iss": two.login.URL, "aud": e.URL}))
}

// wantShared enrols alice at one node and has the other confirm it, with
// between called in the middle, and checks that both go by it.
func (two *twoNodes) wantShared(between func()) {
	two.t.Helper()
	first, second := two.nodes[0], two.nodes[1]
	setup := first.Do("POST", "/mfa/setup", two.bearer(first), map[string]any{"mfaType": "GOOGLE_AUTH"}).Data(two.t)
	between()
	answer := second.Do("POST", "/mfa/verify-setup", two.bearer(second),
		map[string]any{"mfaType": "GOOGLE_AUTH", "code": edgetest.Code(two.t, setup["secret"].(string))})
	answer.WantMessage(two.t, "MFA setup verified and enabled")
	wantShut(two.t, second, "/admin/users", two.bearer(second))
	wantOpen(two.t, second, "/admin/users", answer.JSON["fullAccessToken"].(string))
	if status := first.Do("GET", "/mfa/status", two.bearer(first), nil).Data(two.t); status["isEnabled"] != true {
		two.t.Errorf("the other node says %v", status)
	}
}
