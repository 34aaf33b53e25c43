package clustertest

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
	"github.com/caddymfa/caddy-mfa/internal/etcdserver"
	"github.com/caddymfa/caddy-mfa/internal/faultproxy"
)

// fresh is how old what opens a gate may be: the default of the option.
const fresh = 10 * time.Second

func TestNodesOnEtcdAgreeWhateverItsMembersDo(t *testing.T) {
	engine, members, proxies := etcdWith(t, etcdserver.System, "5s")
	c := Start(t, engine)
	slow := func(d time.Duration, which ...int) func() {
		return func() {
			for _, node := range proxies {
				for _, m := range which {
					node[m].Slow(d)
				}
			}
		}
	}
	oneWay := func(d faultproxy.Direction) func() {
		return func() {
			for _, node := range proxies {
				node[0].SilenceOne(d)
			}
		}
	}
	for _, fault := range []struct {
		name  string
		begin func()
		long  bool // takes part in the long form only
	}{
		{"none", func() {}, false},
		{"one member is 0.4 s slow", slow(400*time.Millisecond, 0), false},
		{"all members are 1.8 s slow", slow(1800*time.Millisecond, 0, 1, 2), false},
		{"a member does not hear the nodes", oneWay(faultproxy.ToServer), true},
		{"a member is not heard by the nodes", oneWay(faultproxy.ToClient), true},
		{"the leader hangs", func() { members.Leader().Hold() }, false},
		{"the leader is killed", func() { members.Leader().Kill() }, true},
	} {
		if fault.long && !long() {
			continue
		}
		t.Run(fault.name, func(t *testing.T) {
			c.revoke(t, 9, fault.begin)
			for node := range proxies {
				c.Mend(node)
			}
			for _, m := range members.Members {
				m.Resume()
			}
			members.Restart()
			for node := range c.Nodes {
				c.works(t, node)
			}
		})
	}
	t.Run("EachProofIsTakenOnce", func(t *testing.T) { raced(t, c) })
	for _, node := range c.Nodes {
		r, err := http.NewRequest("GET", "http://"+node.Admin()+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := edgetest.Try(r)
		if err != nil {
			t.Fatal(err)
		}
		for _, metric := range []string{"caddy_mfa_view_age_seconds 0.", "caddy_mfa_store_away 0", "caddy_mfa_store_full 0", "caddy_mfa_view_refusals_total "} {
			if !strings.Contains(answer.Body, metric) {
				t.Errorf("/metrics has no %q", metric)
			}
		}
	}
}

// revoke has people sign out, once a fault has begun, and checks that no gate
// opens for them later than fresh after the answer.
func (c *Cluster) revoke(t *testing.T, people int, fault func()) {
	var all []*person
	for range people {
		p := c.enrolled(t)
		c.wantOpen(t, p.access)
		all = append(all, p)
	}
	fault()
	var mu sync.Mutex
	var took []time.Duration
	var group sync.WaitGroup
	for i, p := range all {
		group.Go(func() {
			for begun := time.Now(); ; {
				answer, err := edgetest.Try(c.Nodes[i%nodes].Request("POST", "/mfa/sign-out", p.access, nil))
				if err == nil && (answer.Status == http.StatusOK || answer.Status == http.StatusUnauthorized) {
					break // 401: a try before was made, though it was answered 503
				}
				if time.Since(begun) > patience {
					t.Errorf("nobody can sign out: %d %s, %v", answer.Status, answer.Body, err)
					return
				}
			}
			ended := time.Now()
			for node := range c.Nodes {
				group.Go(func() {
					for {
						asked := time.Now()
						open, _, _ := c.opens(node, p.access)
						if !open {
							mu.Lock()
							took = append(took, time.Since(ended))
							mu.Unlock()
							return
						}
						if asked.Sub(ended) > fresh {
							t.Errorf("node %d opens %v after the sign-out", node, asked.Sub(ended))
							return
						}
						time.Sleep(5 * time.Millisecond)
					}
				})
			}
		})
	}
	group.Wait()
	if slices.Sort(took); len(took) > 0 {
		at := func(p int) time.Duration { return took[(len(took)-1)*p/100].Round(time.Millisecond) }
		t.Logf("closed on each of %d nodes after %v (half), %v (99 of 100), %v (all)", nodes, at(50), at(99), at(100))
	}
}
