package etcd

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/internal/etcdserver"
	"github.com/caddymfa/caddy-mfa/internal/etcdtest"
	"github.com/caddymfa/caddy-mfa/mfa/store"
	"github.com/caddymfa/caddy-mfa/mfa/store/nearcache"
)

// findings are what a store has reported.
type findings struct {
	mu  sync.Mutex
	all []store.Finding
}

func (f *findings) take(found store.Finding) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = append(f.all, found)
}

func (f *findings) kinds() (kinds []store.FindingKind) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, found := range f.all {
		kinds = append(kinds, found.Kind)
	}
	return kinds
}

// TestNodesThatRunOnStartAnewWhenEtcdIsRestored restores a snapshot under the
// same names while two nodes run on, one of which has nothing to do. So that the
// revisions say nothing, as many writes are made after it as were before.
func TestNodesThatRunOnStartAnewWhenEtcdIsRestored(t *testing.T) {
	ctx := context.Background()
	for _, members := range []int{1, 3} {
		t.Run(fmt.Sprint(members), func(t *testing.T) {
			cluster := etcdtest.Start(t, etcdtest.Options{Program: etcdserver.System, Members: members})
			config := Config{Endpoints: cluster.Endpoints()}
			writer := mustOpen(t, config)
			for _, key := range []string{"session", "reset", "same", "later"} {
				mustPut(t, writer, key, "at the snapshot")
			}
			snapshot := filepath.Join(t.TempDir(), "snapshot")
			if err := cluster.Save(snapshot); err != nil {
				t.Fatal(err)
			}
			mustPut(t, writer, "session", "signed out")
			mustPut(t, writer, "reset", "reset")

			type node struct {
				*Store
				reported *findings
				seen     map[string]int64
				view     nearcache.View[string]
				near     *nearcache.Cache
			}
			var nodes []node
			for range 2 {
				n := node{reported: new(findings), seen: make(map[string]int64)}
				config.Report = n.reported.take
				n.Store = mustOpen(t, config)
				n.near = nearcache.New(nearcache.Config{Store: n.Store, Bound: time.Hour, MaxBytes: 1 << 20, Now: time.Now})
				n.view = nearcache.NewView(n.near, func(_ string, document []byte) (string, int, error) { return string(document), 0, nil })
				nodes = append(nodes, n)
			}
			config.Report = nil
			look := func(n node) {
				for _, key := range []string{"session", "reset", "same", "later"} {
					_, version, err := n.GetVersion(ctx, key)
					if err != nil {
						t.Fatal(err)
					}
					n.seen[key] = version
					if _, err := n.view.Read(ctx, key); err != nil {
						t.Fatal(err)
					}
				}
			}
			for _, n := range nodes {
				if _, err := n.Changed(ctx, nil); err != nil {
					t.Fatal(err)
				}
				eventually(t, "there is a watch", func() bool { return n.facts.reach(ctx, 0) })
				look(n)
				mustChange(t, n.Store, n.seen)
			}

			if err := cluster.PutBack(snapshot); err != nil {
				t.Fatal(err)
			}
			after := mustOpen(t, config)
			mustPut(t, after, "later", "after the restore") // as often as before, and of another document
			mustPut(t, after, "later", "after the restore")

			for i, n := range nodes {
				var changed []string
				eventually(t, "the node is back", func() bool {
					var err error
					changed, err = n.Changed(ctx, n.seen)
					return err == nil
				})
				if slices.Sort(changed); !slices.Equal(changed, []string{"later", "reset", "same", "session"}) {
					t.Errorf("node %d takes for what has changed %q", i, changed)
				}
				eventually(t, "the near copies are let go of", func() bool { return n.near.Refresh(ctx) == nil })
				for key, want := range map[string]string{
					"session": "at the snapshot", "reset": "at the snapshot", "same": "at the snapshot", "later": "after the restore",
				} {
					if got, err := n.view.Read(ctx, key); got != want || err != nil {
						t.Errorf("node %d is shown %s = %q, %v; want %q", i, key, got, err, want)
					}
				}
				if kinds := n.reported.kinds(); !slices.Equal(kinds, []store.FindingKind{store.FindingHistory}) {
					t.Errorf("node %d reports %v", i, kinds)
				}
			}
			// From then on it is a cluster like any other.
			for i, n := range nodes {
				eventually(t, "there is a watch", func() bool { return n.facts.reach(ctx, 0) })
				look(n)
				mustChange(t, n.Store, n.seen)
				mustPut(t, after, "session", fmt.Sprint("signed out again, of ", i))
				mustChange(t, n.Store, n.seen, "session")
				if kinds := n.reported.kinds(); len(kinds) != 1 {
					t.Errorf("node %d reports %v", i, kinds)
				}
			}
		})
	}
}
