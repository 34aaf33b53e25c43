package etcd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/internal/etcdtest"
	"github.com/caddymfa/caddy-mfa/internal/faultproxy"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// watching opens a store, by way of a proxy, that knows the version of the
// document under each key.
func watching(t *testing.T, address string, keys ...string) (s *Store, proxy *faultproxy.Proxy, seen map[string]int64) {
	t.Helper()
	proxy = faultproxy.New(t, address)
	s = mustOpen(t, Config{Endpoints: []string{proxy.Address}, Timeout: 3 * time.Second})
	seen = make(map[string]int64)
	for _, key := range keys {
		mustPut(t, s, key, "1")
	}
	eventually(t, "the watch knows all keys", func() bool {
		for _, key := range keys {
			_, version, err := s.GetVersion(context.Background(), key)
			if err != nil {
				t.Fatal(err)
			}
			seen[key] = version
		}
		_, unknown := s.facts.compare(seen)
		return len(unknown) == 0 && s.facts.reach(context.Background(), 0)
	})
	return s, proxy, seen
}

func TestAWatchThatBreaksMissesNothing(t *testing.T) {
	for name, compacts := range map[string]bool{"GoesOn": false, "FindsItsPlaceCompacted": true} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			cluster := etcdtest.Start(t, etcdtest.Options{})
			s, proxy, seen := watching(t, cluster.Members[0].Address, "a", "b")
			other := mustOpen(t, Config{Endpoints: cluster.Endpoints()})
			proxy.Silence()
			mustPut(t, other, "a", "2")
			for i := range 10 {
				mustPut(t, other, "b", fmt.Sprint(i))
			}
			mustPut(t, other, "b", "1")
			if compacts {
				client := cluster.Client()
				answer, err := client.Get(ctx, "x")
				if err == nil {
					_, err = client.Compact(ctx, answer.Header.Revision)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			proxy.Cut()
			proxy.Mend(t)
			eventually(t, "the store is back", func() bool {
				changed, err := s.Changed(ctx, seen)
				if err == nil && len(changed) != 2 {
					t.Fatalf("changed are %q", changed)
				}
				return err == nil
			})
			// It watches again, and knows what it did not see.
			eventually(t, "the watch is back", func() bool { return s.facts.reach(ctx, 0) })
			_, seen["a"], _ = s.GetVersion(ctx, "a")
			mustChange(t, s, seen, "b")
			mustPut(t, other, "a", "3")
			mustChange(t, s, seen, "a", "b")
		})
	}
}

func TestAClusterThatIsPutBackIsNotTakenForWhatItWas(t *testing.T) {
	ctx := context.Background()
	cluster := etcdtest.Start(t, etcdtest.Options{})
	member := cluster.Member(0)
	early := mustOpen(t, Config{Endpoints: cluster.Endpoints()})
	mustPut(t, early, "a", "old")
	member.Kill()
	backup := t.TempDir()
	if err := os.CopyFS(backup, os.DirFS(member.Data)); err != nil {
		t.Fatal(err)
	}
	cluster.Restart()
	s, _, _ := watching(t, member.Address, "a", "b")
	mustPut(t, s, "a", "new")
	_, version, err := s.GetVersion(ctx, "a")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int64{"a": version}
	mustChange(t, s, seen)

	member.Kill()
	if err := os.RemoveAll(member.Data); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(member.Data, os.DirFS(backup)); err != nil {
		t.Fatal(err)
	}
	cluster.Restart()
	eventually(t, "the store is back", func() bool {
		changed, err := s.Changed(ctx, seen)
		if err == nil && len(changed) != 1 {
			t.Fatalf("changed are %q", changed)
		}
		return err == nil
	})
	mustHold(t, s, "a", "old")
	_, seen["a"], _ = s.GetVersion(ctx, "a")
	eventually(t, "there is a watch of what is there now", func() bool {
		mustChange(t, s, seen)
		return s.facts.reach(ctx, 0)
	})
	mustPut(t, s, "a", "newer")
	mustChange(t, s, seen, "a")
}

func TestEndpointsOfTwoClustersAreNoticed(t *testing.T) {
	one, two := etcdtest.Start(t, etcdtest.Options{}), etcdtest.Start(t, etcdtest.Options{})
	s, err := Open(context.Background(), Config{Endpoints: append(one.Endpoints(), two.Endpoints()...)})
	for i := 0; err == nil && i < 100; i++ { // the client takes them in turn
		_, err = s.Get(context.Background(), "a")
		if errors.Is(err, store.ErrNotFound) {
			err = nil
		}
	}
	if !errors.Is(err, errClusters) && (err == nil || !errors.Is(err, store.ErrUnavailable)) {
		t.Errorf("got %v", err)
	}
	t.Log(err)
	if s != nil {
		_ = s.Close()
	}
}

func TestWhatIsKnownIsBounded(t *testing.T) {
	f := newFacts()
	f.begin(1)
	for i := range 3 * mostFacts {
		f.learn(fmt.Sprint(i), 1, 2)
		f.compare(map[string]int64{"hot": 7}) // asked for all the time
		if i == 0 {
			f.learn("hot", 7, 2)
		}
	}
	if n := len(f.young) + len(f.old); n > mostFacts {
		t.Errorf("%d facts are known", n)
	}
	if changed, unknown := f.compare(map[string]int64{"hot": 7, "0": 1}); len(changed) != 0 || len(unknown) != 1 || unknown[0] != "0" {
		t.Errorf("changed %q, unknown %q", changed, unknown)
	}
}

func TestWhatAWatchDidNotSeeIsNotKnown(t *testing.T) {
	seen := map[string]int64{"a": 5}
	known := func(f *facts) bool {
		_, unknown := f.compare(seen)
		return len(unknown) == 0
	}
	f := newFacts()
	f.learn("a", 5, 10)
	if known(f) {
		t.Error("known before there was a watch")
	}
	f.begin(10)
	f.learn("a", 5, 9)
	if known(f) {
		t.Error("known from before the watch")
	}
	f.learn("a", 5, 10)
	if !known(f) {
		t.Error("not known since the watch began")
	}
	f.event("a", 12, 12)
	f.learn("a", 5, 11) // an answer that was long under way
	if changed, _ := f.compare(seen); len(changed) != 1 {
		t.Error("an old answer undid an event")
	}
	f.progress(12)
	f.begin(f.end())
	if changed, _ := f.compare(seen); len(changed) != 1 {
		t.Error("forgotten, though the watch goes on where it was")
	}
	f.reset()
	f.event("a", 13, 13)
	f.progress(13)
	if known(f) || f.progressed() != 0 {
		t.Error("an event of the last watch counts")
	}
	f.begin(20)
	f.begin(30) // with a gap
	f.learn("a", 5, 25)
	if known(f) {
		t.Error("known from within the gap")
	}
}
