package etcd

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/caddymfa/caddy-mfa/internal/etcdtest"
	"github.com/caddymfa/caddy-mfa/internal/faultproxy"
	"github.com/caddymfa/caddy-mfa/mfa/store"
	"github.com/caddymfa/caddy-mfa/mfa/store/nearcache"
)

// What several nodes are shown of documents, as gates are, is recorded here
// while etcd fails, and the history is checked: whatever a node was shown was
// true at a moment no longer ago than the bound, and after a write was
// acknowledged it took no longer than that to be seen by every node.

// historyBound is how old what nodes are shown may be.
const historyBound = time.Second

const (
	historyNodes   = 3
	historyWriters = 3
	writesEach     = 3 // of one document, which is then let be
)

// long says that the long form of tests is wanted: each fault lasts longer, and
// there are more of them.
var long = os.Getenv("MFA_TEST_LONG") != ""

// historyTime is how long a fault lasts.
func historyTime() time.Duration {
	if long {
		return time.Minute
	}
	return 1500 * time.Millisecond
}

// input is a write of a value, or a reading.
type input struct {
	key   string
	value string
	reads bool
}

// registers is the model of documents: each holds what was written last.
var registers = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byKey := make(map[string][]porcupine.Operation)
		for _, o := range history {
			key := o.Input.(input).key
			byKey[key] = append(byKey[key], o)
		}
		var all [][]porcupine.Operation
		for _, some := range byKey {
			all = append(all, some)
		}
		return all
	},
	Init: func() any { return "" },
	Step: func(state, in, out any) (bool, any) {
		if in := in.(input); !in.reads {
			return true, in.value
		}
		return state == out, state
	},
	DescribeOperation: func(in, out any) string { return fmt.Sprint(in, " ", out) },
}

// history is what nodes did and were shown.
type history struct {
	began time.Time

	mu         sync.Mutex
	operations []porcupine.Operation
	acked      map[string]time.Duration           // of values, by key and value
	shown      [historyNodes]map[string][]showing // by key
	refused    int
}

// showing is that a node was shown a value, for the first time and the last.
type showing struct {
	value               string
	first, since, until time.Duration // since and until are of the last
	firstSince          time.Duration
}

func (h *history) now() time.Duration { return time.Since(h.began) }

// write takes down a write.
func (h *history) write(key, value string, begun time.Duration, err error) {
	over := int64(h.now())
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		over = math.MaxInt64 // it may have been made, or may still be
	} else {
		h.acked[key+value] = time.Duration(over)
	}
	h.operations = append(h.operations, porcupine.Operation{
		ClientId: 0, Input: input{key: key, value: value}, Call: int64(begun), Return: over,
	})
}

// show takes down what a node was shown. Between the first and the last time
// that it is the same, no time says more than these two.
func (h *history) show(node int, key, value string, begun time.Duration) {
	now := h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	all := h.shown[node][key]
	if n := len(all); n > 0 && all[n-1].value == value {
		all[n-1].since, all[n-1].until = begun, now
		return
	}
	h.shown[node][key] = append(all, showing{value, now, begun, now, begun})
}

// check checks the history, and returns how long acknowledged writes took to
// be seen by each node.
func (h *history) check(t *testing.T) (took []time.Duration) {
	t.Helper()
	shown := 0
	for node := range h.shown {
		for key, all := range h.shown[node] {
			for _, s := range all {
				for _, at := range [][2]time.Duration{{s.firstSince, s.first}, {s.since, s.until}} {
					shown++
					h.operations = append(h.operations, porcupine.Operation{
						ClientId: node + 1, Input: input{key: key, reads: true}, Output: s.value,
						Call: int64(at[0] - historyBound), Return: int64(at[1]),
					})
				}
				if acked, ok := h.acked[key+s.value]; ok {
					took = append(took, max(0, s.first-acked))
				}
			}
		}
	}
	result, _ := porcupine.CheckOperationsVerbose(registers, h.operations, time.Minute)
	if result != porcupine.Ok {
		t.Errorf("the history of %d operations is %v: a node was shown what had not been true for %v", len(h.operations), result, historyBound)
		for node := range h.shown {
			for key, all := range h.shown[node] {
				if last := all[len(all)-1]; last.until > h.now()-time.Second {
					t.Logf("node %d was shown %s = %s last", node, key, last.value)
				}
			}
		}
	}
	slices.Sort(took)
	t.Logf("%d writes, %d showings, %d refusals, history %v", len(h.operations)-shown, shown, h.refused, result)
	return took
}

// historyNode is a node: a store with proxies to each member, and what its
// gates read.
type historyNode struct {
	number  int
	store   *Store
	proxies []*faultproxy.Proxy
	cache   *nearcache.Cache
	view    nearcache.View[string]
}

func historyCluster(t *testing.T, timeout time.Duration) (*etcdtest.Cluster, []*historyNode) {
	cluster := etcdtest.Start(t, etcdtest.Options{Members: 3})
	prefix := newPrefix()
	var nodes []*historyNode
	for number := range historyNodes {
		n := &historyNode{number: number}
		var endpoints []string
		for _, m := range cluster.Members {
			proxy := faultproxy.New(t, m.Address)
			n.proxies = append(n.proxies, proxy)
			endpoints = append(endpoints, proxy.Address)
		}
		n.store = mustOpen(t, Config{Endpoints: endpoints, Prefix: prefix, Timeout: timeout})
		n.cache = nearcache.New(nearcache.Config{Store: n.store, Bound: historyBound, MaxBytes: 1 << 20, Now: time.Now})
		n.view = nearcache.NewView(n.cache, func(_ string, document []byte) (string, int, error) {
			return string(document), len(document), nil
		})
		ctx, cancel := context.WithCancel(context.Background())
		var running sync.WaitGroup
		running.Go(func() { n.cache.Run(ctx) })
		t.Cleanup(func() { cancel(); running.Wait() })
		nodes = append(nodes, n)
	}
	return cluster, nodes
}

// record has nodes write for a while, one document after the other, and read
// all of them for longer than the bound after that. What was written last of a
// document is what a node that has missed it never hears of again.
func record(t *testing.T, nodes []*historyNode, name string, each time.Duration) *history {
	h := &history{began: time.Now(), acked: make(map[string]time.Duration)}
	for i := range nodes {
		h.shown[i] = make(map[string][]showing)
	}
	writing, stopWriting := context.WithTimeout(context.Background(), each)
	defer stopWriting()
	reading, stopReading := context.WithTimeout(context.Background(), each+historyBound+historyBound/2)
	defer stopReading()
	var all sync.WaitGroup
	for writer := range historyWriters {
		all.Go(func() {
			for i := 0; writing.Err() == nil; i++ {
				key := fmt.Sprint(name, "/", writer, "/", i)
				for _, n := range nodes {
					all.Go(func() { h.read(t, reading, n, key) })
				}
				for j := range writesEach {
					value, begun := fmt.Sprint(j+1), h.now()
					err := nodes[(writer+i+j)%len(nodes)].cache.Store().Update(writing, func(tx store.Tx) error { return tx.Put(key, []byte(value)) }, key)
					h.write(key, value, begun, err)
					wait(writing, 20*time.Millisecond)
				}
			}
		})
	}
	all.Wait()
	return h
}

// read reads a document at a node until ctx ends.
func (h *history) read(t *testing.T, ctx context.Context, n *historyNode, key string) {
	for ctx.Err() == nil {
		begun := h.now()
		value, err := n.view.Read(ctx, key)
		switch {
		case err == nil:
			h.show(n.number, key, value, begun)
		case errors.Is(err, store.ErrUnavailable):
			h.mu.Lock()
			h.refused++
			h.mu.Unlock()
		case ctx.Err() == nil:
			t.Error(err)
		}
		wait(ctx, 20*time.Millisecond)
	}
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func TestNoNodeIsShownWhatIsOlderThanTheBoundWhateverFails(t *testing.T) {
	cluster, nodes := historyCluster(t, 2*time.Second)
	members := func(do func(p *faultproxy.Proxy), which ...int) func() {
		return func() {
			for _, n := range nodes {
				for _, m := range which {
					do(n.proxies[m])
				}
			}
		}
	}
	slow := func(d time.Duration) func(*faultproxy.Proxy) { return func(p *faultproxy.Proxy) { p.Slow(d) } }
	oneWay := func(d faultproxy.Direction) func(*faultproxy.Proxy) {
		return func(p *faultproxy.Proxy) { p.SilenceOne(d) }
	}
	var leader *etcdtest.Member
	for _, fault := range []struct {
		name  string
		begin func()
		long  bool // takes part in the long form only
	}{
		{"none", func() {}, false},
		{"member 0 is 0.4 s slow", members(slow(400*time.Millisecond), 0), false},
		{"member 1 is 0.4 s slow", members(slow(400*time.Millisecond), 1), true},
		{"member 2 is 0.4 s slow", members(slow(400*time.Millisecond), 2), true},
		{"all members are 0.4 s slow", members(slow(400*time.Millisecond), 0, 1, 2), false},
		{"a member does not hear the nodes", members(oneWay(faultproxy.ToServer), 0), false},
		{"a member is not heard by the nodes", members(oneWay(faultproxy.ToClient), 1), false},
		{"a member is cut off from the nodes", members((*faultproxy.Proxy).Cut, 2), true},
		{"a node is cut off", func() {
			for _, p := range nodes[2].proxies {
				p.Silence()
			}
		}, false},
		{"the leader hangs", func() { leader = cluster.Leader(); leader.Hold() }, false},
		{"the leader is killed", func() { leader = cluster.Leader(); leader.Kill() }, true},
	} {
		if fault.long && !long {
			continue
		}
		t.Run(fault.name, func(t *testing.T) {
			var h *history
			var all sync.WaitGroup
			all.Go(func() { h = record(t, nodes, fault.name, historyTime()) })
			time.Sleep(historyTime() / 8) // of work before the fault
			fault.begin()
			all.Wait()
			if leader != nil {
				leader.Resume()
				leader = nil
			}
			for _, n := range nodes {
				for _, p := range n.proxies {
					p.Mend(t)
				}
			}
			cluster.Restart()
			if took := h.check(t); len(took) > 0 {
				t.Logf("a write is seen by a node after %v (half of them), %v (99 of 100), %v (all)", percentile(took, 50), percentile(took, 99), percentile(took, 100))
			} else {
				t.Error("no node was shown any write")
			}
		})
	}
}

// percentile of what is sorted.
func percentile(sorted []time.Duration, p int) time.Duration {
	return sorted[(len(sorted)-1)*p/100].Round(time.Millisecond)
}
