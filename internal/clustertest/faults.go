package clustertest

import (
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

// some is how many acknowledgements show that the cluster works.
const some = 25

func faults(t *testing.T, c *Cluster) {
	t.Run("ANodeIsKilled", func(t *testing.T) {
		l := c.begin(t)
		l.await("work before the kill", some)
		c.Nodes[2].Kill()
		l.await("work of the others", some)
		c.Nodes[2].Start("")
		l.await("work after its return", some)
		l.end()
		c.works(t, 2)
	})
	for _, what := range slices.Sorted(maps.Keys(c.Crashes)) {
		t.Run("TheEngineCrashes/"+what, func(t *testing.T) {
			l := c.begin(t)
			for range 2 {
				l.await("work before the crash", some)
				begun := time.Now()
				c.Crashes[what]()
				back := time.Now()
				l.await("work after the crash", 1)
				t.Logf("killed and started again in %v; acknowledged again %v after that",
					back.Sub(begun).Round(time.Millisecond), time.Since(back).Round(time.Millisecond))
				l.await("more work after the crash", some)
			}
			l.end()
			for node := range c.Nodes {
				c.works(t, node)
			}
		})
	}
	for name, cut := range map[string]func(node int){"refused": c.Cut, "silent": c.Silence} {
		t.Run("ANodeIsCutOffFromTheEngine/"+name, func(t *testing.T) { c.partition(t, cut) })
	}
	t.Run("ANodeIsStartedWhileItIsCutOff", func(t *testing.T) {
		p := c.enrolled(t)
		c.Nodes[1].Kill()
		c.Cut(1)
		c.Nodes[1].Start("")
		p.login(t, c, 1, p.backup[0]).WantError(t, 503, "unavailable", "")
		for _, token := range []string{p.token, p.access} {
			if open, answer, err := c.opens(1, token); open || err != nil || answer.Status != http.StatusServiceUnavailable {
				t.Errorf("the gate answers %d %s (%v), want 503", answer.Status, answer.Body, err)
			}
		}
		c.Mend(1)
		c.works(t, 1)
		p.login(t, c, 1, p.backup[0]).WantMessage(t, "MFA verification successful")
	})
}

// partition cuts one node off from the engine, while it takes requests.
func (c *Cluster) partition(t *testing.T, cut func(node int)) {
	const off = 2
	p, stranger, known := c.enrolled(t), c.enrolled(t), c.enrolled(t)
	thief, err := c.token(stranger.subject)
	if err != nil {
		t.Fatal(err)
	}
	c.wantOpen(t, known.access)
	cut(off)
	for range 2 {
		p.login(t, c, off, p.backup[0]).WantError(t, 503, "unavailable", "")
		c.Do(t, off, "POST", "/mfa/setup", thief, map[string]any{"mfaType": "GOOGLE_AUTH"}).WantError(t, 503, "unavailable", "")
		if open, answer, err := c.opens(off, thief); open || err != nil {
			t.Errorf("its gate answers %d %s (%v) to nothing but an access token", answer.Status, answer.Body, err)
		}
	}
	// Whom it has just seen it goes on to let pass, for a while.
	if open, answer, err := c.opens(off, known.access); !open {
		t.Errorf("its gate answers %d %s (%v) to somebody it knows", answer.Status, answer.Body, err)
	}
	// The others go on, with the same people, also with what nobody can have
	// been told of there.
	p.login(t, c, 0, p.backup[1]).WantMessage(t, "MFA verification successful")
	c.enrolledAt(t, 0, 1)
	c.Do(t, 1, "POST", "/mfa/reset", stranger.access, map[string]any{}).WantMessage(t, "MFA reset successfully")

	c.Mend(off)
	mended := time.Now()
	c.works(t, off)
	t.Logf("it worked again %v after the mend", time.Since(mended).Round(time.Millisecond))
	p.login(t, c, off, p.backup[1]).WantError(t, 401, "mfa_verification_failed", "")
	// What it had answered with 503 it may have done, once.
	if count := c.all(t, 1, "POST", "/mfa/verify-login", p.token, proof(p.backup[0])); count[200] > 1 || count[200]+count[401] != nodes {
		t.Errorf("the code that it was shown meanwhile is answered with %v", count)
	}
	c.wantClosedSoon(t, stranger.access)
}

// enrolledAt makes somebody who has an app, set up at one node and confirmed
// at another.
func (c *Cluster) enrolledAt(t *testing.T, begun, confirmed int) *person {
	t.Helper()
	p := c.newPerson(t)
	p.setup(t, c, begun)
	c.Do(t, confirmed, "POST", "/mfa/verify-setup", p.token, proof(p.code(t, 0))).WantMessage(t, "MFA setup verified and enabled")
	return p
}

// works waits until a node does.
func (c *Cluster) works(t *testing.T, node int) {
	t.Helper()
	p := c.newPerson(t)
	edgetest.Eventually(t, patience, "the node works", func() bool {
		answer, err := edgetest.Try(c.Nodes[node].Request("POST", "/mfa/setup", p.token, map[string]any{"mfaType": "GOOGLE_AUTH"}))
		return err == nil && answer.Status == http.StatusOK
	})
	c.enrolledAt(t, node, node)
}
