package clustertest

import (
	"maps"
	"net/http"
	"testing"
)

// Run runs all tests on a cluster of its own.
func Run(t *testing.T, start func(t *testing.T) Engine) {
	c := Start(t, start(t))
	t.Run("Together", func(t *testing.T) { together(t, c) })
	t.Run("Faults", func(t *testing.T) { faults(t, c) })
}

func together(t *testing.T, c *Cluster) {
	t.Run("ASetupOfOneNodeIsConfirmedOnAnother", func(t *testing.T) {
		p := c.newPerson(t)
		p.setup(t, c, 0)
		answer := c.Do(t, 1, "POST", "/mfa/verify-setup", p.token, proof(p.code(t, 0)))
		answer.WantMessage(t, "MFA setup verified and enabled")
		status := c.Do(t, 2, "GET", "/mfa/status", p.token, nil).Data(t)
		if status["isEnabled"] != true || status["backupCodesRemaining"] != float64(10) {
			t.Errorf("the third node says %v", status)
		}
		c.wantOpen(t, answer.JSON["fullAccessToken"].(string))
	})
	t.Run("ACodeSentToAllNodesAtOnceIsSpentOnce", func(t *testing.T) {
		for name, code := range map[string]func(p *person) string{
			"app":    func(p *person) string { return p.code(t, 1) },
			"backup": func(p *person) string { return p.backup[0] },
		} {
			for range 5 {
				p := c.enrolled(t)
				// Six at once, of which five count as wrong and lock.
				count := c.all(t, 2, "POST", "/mfa/verify-login", p.token, proof(code(p)))
				if count[200] != 1 || count[200]+count[401]+count[429] != 2*nodes {
					t.Errorf("%s: the answers were %v, want 1 of 200", name, count)
				}
			}
		}
	})
	t.Run("ASetupIsConfirmedOnceThoughAllNodesAreAskedAtOnce", func(t *testing.T) {
		for range 5 {
			p := c.newPerson(t)
			p.setup(t, c, c.Any())
			count := c.all(t, 1, "POST", "/mfa/verify-setup", p.token, proof(p.code(t, 0)))
			if count[200] != 1 || count[200]+count[400]+count[401] != nodes {
				t.Errorf("the answers were %v, want 1 of 200", count)
			}
		}
	})
	t.Run("ALinkIsApprovedOnANodeThatDidNotSendIt", func(t *testing.T) {
		p := c.newPerson(t)
		c.Do(t, 0, "POST", "/mfa/setup", p.token, map[string]any{"mfaType": "MAGIC_LINK", "email": p.subject + "@example.org"}).Data(t)
		c.Do(t, 1, "POST", "/mfa/magic-link/activate", "", map[string]any{"token": c.mailed(t)}).
			WantMessage(t, "Magic link MFA activated successfully")
		sent := c.Do(t, 2, "POST", "/mfa/magic-link/send", p.token, nil).Data(t)
		login := map[string]any{"mfaType": "MAGIC_LINK", "sessionId": sent["sessionId"]}
		c.Do(t, 1, "POST", "/mfa/verify-login", p.token, login).WantError(t, 401, "magic_link_pending", "")
		c.Do(t, 0, "POST", "/mfa/magic-link/activate", "", map[string]any{"token": c.mailed(t), "matchNumber": sent["matchNumber"]}).
			WantMessage(t, "Magic link MFA activated successfully")
		if count := c.all(t, 1, "POST", "/mfa/verify-login", p.token, login); !maps.Equal(count, map[int]int{200: 1, 401: nodes - 1}) {
			t.Errorf("the answers were %v, want 1 of 200", count)
		}
	})
	t.Run("WrongCodesCountOverAllNodes", func(t *testing.T) {
		p, other := c.enrolled(t), c.enrolled(t)
		for i := range 5 {
			p.login(t, c, i%nodes, "AAAA-AAAA-AAAA").WantError(t, 401, "mfa_verification_failed", "")
		}
		for node := range c.Nodes {
			p.login(t, c, node, p.backup[node]).WantError(t, 429, "locked", "")
		}
		other.login(t, c, 1, other.backup[0]).WantMessage(t, "MFA verification successful")
	})
	t.Run("WhatEndsASessionOnOneNodeClosesTheGateOnAll", func(t *testing.T) {
		for name, end := range map[string]func(t *testing.T, p *person){
			"sign-out": func(t *testing.T, p *person) {
				c.Do(t, 0, "POST", "/mfa/sign-out", p.access, nil).WantMessage(t, "Signed out")
			},
			"reset": func(t *testing.T, p *person) {
				c.Do(t, 1, "POST", "/mfa/reset", p.access, map[string]any{}).WantMessage(t, "MFA reset successfully")
			},
			"reset by an operator": func(t *testing.T, p *person) {
				node := c.Nodes[2]
				if _, stderr, err := node.Command("mfa", "users", "reset", p.subject, "--yes", "--address", node.Admin()); err != nil {
					t.Fatalf("%v: %s", err, stderr)
				}
			},
		} {
			t.Run(name, func(t *testing.T) {
				p, other := c.enrolled(t), c.enrolled(t)
				c.wantOpen(t, p.access) // and is in whatever each node keeps near
				end(t, p)
				c.wantClosedSoon(t, p.access)
				c.wantOpen(t, other.access)
			})
		}
	})
	t.Run("AllNodesPublishTheSameKeys", func(t *testing.T) {
		first := c.Do(t, 0, "GET", "/mfa/jwks.json", "", nil)
		for node := 1; node < nodes; node++ {
			if other := c.Do(t, node, "GET", "/mfa/jwks.json", "", nil); other.Status != http.StatusOK || other.Body != first.Body {
				t.Errorf("node %d publishes %s, node 0 %s", node, other.Body, first.Body)
			}
		}
	})
}
