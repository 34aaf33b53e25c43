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
		_, unknown, _ := s.facts.compare(seen, 0, 0)
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

// learn is an answer to a question that nothing came in between.
func (f *facts) learn(key string, version, at int64) (suspect bool) {
	q := f.ask(key)
	defer q.end()
	return q.learnAt(key, version, at)
}

// learnAt is an answer of a cluster whose head is the last one that the watch
// has told of.
func (q *question) learnAt(key string, version, at int64) (suspect bool) {
	last := q.facts.heads().chain
	for last.revision > at {
		last = q.facts.recent[last.count-1]
	}
	last.newest = at
	_, suspect = q.learn(key, version, last)
	return suspect
}

// event is an answer of the watch about one write.
func (f *facts) event(key string, version, at int64) bool {
	count := f.heads().chain.count + 1
	return f.take(delivery{changes: []change{{key, version, at}}, heads: []head{{fmt.Sprint(at), at, count, at}}, reached: at})
}

func TestWhatIsKnownIsBounded(t *testing.T) {
	f := newFacts()
	f.begin(1, head{newest: 1})
	for i := range 3 * mostFacts {
		f.learn(fmt.Sprint(i), 1, 2)
		f.compare(map[string]int64{"hot": 7}, 0, 0) // asked for all the time
		if i == 0 {
			f.learn("hot", 7, 2)
		}
	}
	if n := len(f.young) + len(f.old); n > mostFacts {
		t.Errorf("%d facts are known", n)
	}
	if changed, unknown, _ := f.compare(map[string]int64{"hot": 7, "0": 1}, 0, 0); len(changed) != 0 || len(unknown) != 1 || unknown[0] != "0" {
		t.Errorf("changed %q, unknown %q", changed, unknown)
	}
	if len(f.asked) != 0 {
		t.Errorf("%d questions are remembered that are over", len(f.asked))
	}
}

func TestWhatAWatchDidNotSeeIsNotKnown(t *testing.T) {
	seen := map[string]int64{"a": 5}
	known := func(f *facts) bool {
		_, unknown, _ := f.compare(seen, 0, f.history)
		return len(unknown) == 0
	}
	changed := func(f *facts) bool {
		changed, _, _ := f.compare(seen, 0, f.history)
		return len(changed) == 1
	}
	f := newFacts()
	f.learn("a", 5, 10)
	if known(f) {
		t.Error("known before there was a watch")
	}
	f.begin(10, head{newest: 10})
	f.learn("a", 5, 9)
	if known(f) {
		t.Error("known from before the watch")
	}
	f.learn("a", 5, 10)
	if !known(f) {
		t.Error("not known since the watch began")
	}
	late := f.ask("a")
	f.event("a", 12, 12)
	late.learnAt("a", 5, 11) // an answer that was long under way
	late.end()
	if !changed(f) {
		t.Error("an old answer undid an event")
	}
	reached, heads := f.end()
	f.begin(reached, heads.chain)
	if !changed(f) {
		t.Error("forgotten, though the watch goes on where it was")
	}
	f.reset()
	f.event("a", 13, 13)
	if known(f) || f.progressed() != 0 {
		t.Error("an event of the last watch counts")
	}
	f.begin(20, head{newest: 20})
	f.begin(30, head{newest: 30}) // with a gap
	f.learn("a", 5, 25)
	if known(f) {
		t.Error("known from within the gap")
	}
}

func TestAnAnswerThatAnEventOvertakesIsNotKept(t *testing.T) {
	f := newFacts()
	f.begin(10, head{newest: 10})
	first, second := f.ask("a"), f.ask("a", "b")
	f.event("a", 11, 11) // nobody knows a yet
	f.event("c", 12, 12)
	if first.learnAt("a", 5, 10) || second.learnAt("b", 6, 10) {
		t.Error("an answer that an event overtook is taken for one of a cluster that was put back")
	}
	first.end()
	if changed, unknown, _ := f.compare(map[string]int64{"a": 5, "b": 6}, 12, 0); len(changed) != 1 || changed[0] != "a" || len(unknown) != 0 {
		t.Errorf("changed %q, unknown %q; want a to be changed and b to be known", changed, unknown)
	}
	second.end()
	// Who asks later than the watch has come is answered no earlier state.
	if !f.learn("a", 5, 11) {
		t.Error("an answer from before what was seen when it was asked for is no reason for doubt")
	}
	if _, _, ok := f.compare(nil, 13, 0); ok {
		t.Error("compared before all events have come")
	}
	// Questions from before everything was forgotten are of no use.
	old := f.ask("a")
	f.reset()
	f.begin(13, head{newest: 13})
	old.learnAt("a", 5, 14)
	old.end()
	if _, unknown, _ := f.compare(map[string]int64{"a": 5}, 13, 0); len(unknown) != 1 {
		t.Error("learnt over a gap")
	}
	if len(f.asked) != 0 {
		t.Errorf("%d questions are remembered that are over", len(f.asked))
	}
}

func TestAWatchThatLeavesOutAWriteIsNoticed(t *testing.T) {
	f := newFacts()
	f.begin(10, head{name: "x/3", revision: 8, count: 3, newest: 10})
	if !f.event("a", 11, 11) {
		t.Fatal("the next write is taken for another")
	}
	if f.take(delivery{heads: []head{{name: "x/6", revision: 13, count: 6, newest: 13}}, reached: 13}) {
		t.Error("a write that was left out is not noticed")
	}
	if f.progressed() != 11 {
		t.Errorf("the watch counts as having come to %d", f.progressed())
	}
}

func TestAHistoryIsToldFromAnother(t *testing.T) {
	mark := head{name: "x/3", revision: 8, count: 3, newest: 10}
	same, later, other := mark, head{"y/1", 11, 4, 12}, head{"y/1", 8, 3, 12}
	for name, c := range map[string]struct {
		now  head
		then *head
		want sameness
	}{
		"nothing was written":                        {same, &same, ofSameHistory},
		"something was written":                      {later, &same, ofSameHistory},
		"the revision is behind":                     {head{"x/2", 7, 2, 9}, nil, ofOtherHistory},
		"another write was made in its place":        {other, &other, ofOtherHistory},
		"the write is gone":                          {head{newest: 12}, &head{newest: 10}, ofOtherHistory},
		"it is compacted, and still the last one":    {same, nil, ofSameHistory},
		"it is compacted, and another stands there":  {other, nil, ofOtherHistory},
		"it is compacted, and something was written": {later, nil, ofUnknownHistory},
	} {
		if got := compareHeads(mark, c.now, c.then); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	if compareHeads(head{newest: 5}, head{"x/1", 6, 1, 6}, &head{newest: 5}) != ofSameHistory {
		t.Error("the first write is taken for another history")
	}
}
