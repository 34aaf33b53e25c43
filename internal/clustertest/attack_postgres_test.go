package clustertest

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
	"github.com/caddymfa/caddy-mfa/internal/faultproxy"
	"github.com/caddymfa/caddy-mfa/internal/pgtest"
)

// pair is a PostgreSQL primary with a synchronous standby, and what stands
// between the primary and each node.
type pair struct {
	primary, standby *pgtest.Server
	proxies          []*faultproxy.Proxy
	engine           Engine
}

func startPair(t *testing.T) *pair {
	p := &pair{primary: pgtest.New(t, "fsync=off")}
	database := p.primary.Database()
	p.standby = pgtest.NewStandby(t, p.primary)
	// Not on the standby, which is to go on alone.
	p.primary.Exec("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()")
	for range nodes {
		p.proxies = append(p.proxies, faultproxy.New(t, p.primary.Address))
	}
	p.engine = Engine{
		Secret: pgtest.Password,
		Store: func(node int) (string, []string) {
			dsn := pgtest.DSN(p.proxies[node].Address+","+p.standby.Address, pgtest.Superuser, database)
			return "store postgres {\n\tdsn {env.MFA_DSN}\n\ttimeout 2s\n\tfresh 1s\n\tstale 3s\n}", []string{"MFA_DSN=" + dsn}
		},
	}
	return p
}

// TestNodesOnPostgreSQLUnderAttack races proofs and measures revocations on
// one cluster, while its database and network fail in turn. The standby takes
// over at the end.
func TestNodesOnPostgreSQLUnderAttack(t *testing.T) {
	p := startPair(t)
	c := Start(t, p.engine)
	t.Run("EachProofIsTakenOnce", func(t *testing.T) { raced(t, c) })

	var held sync.WaitGroup
	forAWhile := func(begin, end func()) func() {
		return func() {
			begin()
			held.Go(func() {
				time.Sleep(4 * time.Second) // longer than copies count
				end()
			})
		}
	}
	wait := func() { held.Wait() }
	must := func(f func() error) func() {
		return func() {
			if err := f(); err != nil {
				t.Error(err)
			}
		}
	}
	mend := func() {
		for _, proxy := range p.proxies {
			proxy.Mend(t)
		}
	}
	const cut = 2
	for _, fault := range []struct {
		name string
		r    revocation
	}{
		{"at rest", revocation{}},
		{"the database slow by 300 ms", revocation{
			before: func() {
				for _, proxy := range p.proxies {
					proxy.Slow(300 * time.Millisecond)
				}
			},
			end: mend,
		}},
		{"the database frozen for 4 s", revocation{after: forAWhile(must(p.primary.Hold), must(p.primary.Resume)), end: wait}},
		{"a node cut off", revocation{before: p.proxies[cut].Cut, end: mend}},
		{"a node whose questions are lost", revocation{before: func() { p.proxies[cut].SilenceOne(faultproxy.ToServer) }, end: mend}},
		{"a node that gets no answers", revocation{before: func() { p.proxies[cut].SilenceOne(faultproxy.ToClient) }, end: mend}},
		{"the database killed and started again", revocation{after: func() {
			p.primary.Kill()
			p.primary.Start()
		}}},
	} {
		t.Run("ARevocationReachesAllNodes/"+strings.ReplaceAll(fault.name, " ", "_"), func(t *testing.T) {
			fault.r.c = c
			fault.r.run(t, fault.name)
			for node := range c.Nodes {
				if n := c.findings(t, node, "history"); n != 0 {
					t.Errorf("node %d takes it for another history", node)
				}
			}
		})
	}

	t.Run("ProofsAreTakenOnceAtMostWhileTheDatabaseIsKilled", func(t *testing.T) {
		showings := make([]showing, 30)
		for i := range showings {
			someone := c.enrolled(t)
			showings[i] = showing{"/mfa/verify-login", someone.token, proof(someone.backup[0])}
		}
		var all sync.WaitGroup
		for i, s := range showings {
			all.Go(func() { c.wantTaken(t, s, 0, 1) })
			if i == len(showings)/2 {
				p.primary.Kill()
				p.primary.Start()
			}
		}
		all.Wait()
		for _, s := range showings {
			edgetest.Eventually(t, patience, "it is taken or refused", func() bool {
				count := c.all(t, 1, "POST", s.path, s.token, s.body)
				return count[http.StatusOK] <= 1 && count[http.StatusOK]+count[http.StatusUnauthorized] == nodes
			})
		}
	})

	t.Run("TheStandbyTakesOver", func(t *testing.T) {
		// No node takes it for the primary before it is.
		someone := c.enrolled(t)
		for _, proxy := range p.proxies {
			proxy.Cut()
		}
		for node := range c.Nodes {
			someone.login(t, c, node, someone.backup[0]).WantError(t, 503, "unavailable", "")
		}
		for node := range c.Nodes {
			edgetest.Eventually(t, patience, "the gate closes, as the standby is not asked", func() bool {
				open, answer, err := c.opens(node, someone.access)
				return !open && err == nil && answer.Status == http.StatusServiceUnavailable
			})
		}
		mend()
		for node := range c.Nodes {
			c.works(t, node)
		}
		l := c.begin(t)
		l.await("work before the failover", some)
		p.primary.Kill()
		p.standby.Promote()
		l.await("work after the failover", some)
		l.end()
		for node := range c.Nodes {
			c.wantFound(t, node, "from timeline 1 to 2")
		}
		revocation{c: c}.run(t, "after the failover")
	})

	t.Run("TheDatabaseIsRestored", func(t *testing.T) {
		someone := c.enrolled(t)
		kept := c.enrolled(t)
		restart := func(do func() error) {
			if err := errors.Join(p.standby.Stop(), do()); err != nil {
				t.Fatal(err)
			}
			p.standby.Start()
			for node := range c.Nodes {
				c.works(t, node)
			}
		}
		restart(p.standby.Keep)
		someone.login(t, c, 0, someone.backup[0]).WantMessage(t, "MFA verification successful")
		history := func() (n int) {
			for node := range c.Nodes {
				n += c.findings(t, node, "history")
			}
			return n
		}
		before := history()
		// More is lost than is written before all nodes are back, and they have
		// compared what they hold since: their gates have closed.
		for range 10 {
			c.enrolled(t)
		}
		gone := c.enrolled(t)
		c.wantOpen(t, gone.access)
		c.Do(t, 0, "POST", "/mfa/sign-out", gone.access, nil).WantMessage(t, "Signed out")
		c.wantClosedSoon(t, gone.access)
		restart(p.standby.Restore)
		// Who reconnects first finds less than it had seen.
		const text = "restored from a copy of its files"
		if !slices.ContainsFunc(c.Nodes, func(node *edgetest.Edge) bool { return strings.Contains(node.AllLogs(), text) }) {
			t.Errorf("no node says: %s", text)
		}
		if after := history(); after == before {
			t.Errorf("no node has counted it: %d", after)
		}
		c.wantOpen(t, kept.access)
		// As docs/stores.md says, what was spent since is good again, once.
		c.wantTaken(t, showing{"/mfa/verify-login", someone.token, proof(someone.backup[0])}, 1, 1)
	})
}

// wantFound waits until a node's log has a finding.
func (c *Cluster) wantFound(t *testing.T, node int, text string) {
	t.Helper()
	edgetest.Eventually(t, patience, "node says: "+text, func() bool { return strings.Contains(c.Nodes[node].AllLogs(), text) })
}
