package clustertest

import (
	"bufio"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// revocation measures how long it takes until the gates of all nodes are
// closed for somebody who has signed out.
type revocation struct {
	c *Cluster
	// before is called when everybody's gates are open, after when everybody
	// has signed out, end when all gates are closed. Each may be nil.
	before, after, end func()
	// only are the nodes that are looked at, nil for all.
	only []int
}

// signedOut is how many people sign out in one measurement.
func signedOut() int {
	if long() {
		return 60
	}
	return 8
}

// run measures, and logs the times under a name.
func (r revocation) run(t *testing.T, name string) {
	t.Helper()
	c := r.c
	look := r.only
	if look == nil {
		look = []int{0, 1, 2}
	}
	var people []*person
	for range signedOut() {
		p := c.enrolled(t)
		c.wantOpen(t, p.access)
		people = append(people, p)
	}
	call(r.before)
	var (
		mu       sync.Mutex
		times    []time.Duration
		unsure   int // closed with 503
		watching sync.WaitGroup
	)
	for _, p := range people {
		c.Do(t, 0, "POST", "/mfa/sign-out", p.access, nil).WantMessage(t, "Signed out")
		acknowledged := time.Now()
		for _, node := range look {
			watching.Go(func() {
				for {
					open, answer, err := c.opens(node, p.access)
					took := time.Since(acknowledged)
					if !open && err == nil {
						mu.Lock()
						times = append(times, took)
						if answer.Status == http.StatusServiceUnavailable {
							unsure++
						}
						mu.Unlock()
						return
					}
					if took > patience {
						t.Errorf("%s: the gate of node %d is still open (%v)", name, node, err)
						return
					}
					time.Sleep(20 * time.Millisecond)
				}
			})
		}
	}
	call(r.after)
	watching.Wait()
	call(r.end)
	slices.Sort(times)
	at := func(percent int) time.Duration {
		return times[min(len(times)-1, len(times)*percent/100)].Round(time.Millisecond)
	}
	if len(times) > 0 {
		t.Logf("%s: %d gates closed: p50 %v, p99 %v, worst %v; %d of them with 503", name, len(times), at(50), at(99), at(100), unsure)
	}
	for _, p := range people {
		c.wantClosedSoon(t, p.access) // and stay closed afterwards
	}
	for node := range c.Nodes {
		c.works(t, node)
	}
}

func call(f func()) {
	if f != nil {
		f()
	}
}

// findings returns how often a node has found out something of a kind about
// the store.
func (c *Cluster) findings(t *testing.T, node int, kind string) int {
	t.Helper()
	response, err := http.Get("http://" + strings.TrimPrefix(c.Nodes[node].Admin(), "http://") + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	name := fmt.Sprintf("caddy_mfa_store_findings_total{kind=%q} ", kind)
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), name); ok {
			count, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatal(err)
			}
			return int(count)
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}
