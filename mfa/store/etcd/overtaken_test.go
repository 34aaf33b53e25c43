package etcd

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/internal/etcdtest"
	"github.com/caddymfa/caddy-mfa/internal/faultproxy"
)

// TestAnAnswerThatTheWatchOvertakesIsNotConfirmed has some answers come by a
// slow way, and the watch by a fast one.
func TestAnAnswerThatTheWatchOvertakesIsNotConfirmed(t *testing.T) {
	const keys = 24
	ctx := context.Background()
	cluster := etcdtest.Start(t, etcdtest.Options{})
	writer := mustOpen(t, Config{Endpoints: cluster.Endpoints()})
	for round := range 4 {
		// The watch may have come by the slow way: another store takes another.
		proxies := []*faultproxy.Proxy{faultproxy.New(t, cluster.Members[0].Address), faultproxy.New(t, cluster.Members[0].Address)}
		s := mustOpen(t, Config{Endpoints: []string{proxies[0].Address, proxies[1].Address}})
		if _, err := s.Changed(ctx, nil); err != nil { // which begins the watch
			t.Fatal(err)
		}
		eventually(t, "there is a watch", func() bool { return s.facts.reach(ctx, 0) })
		proxies[round%2].Slow(400 * time.Millisecond)
		var all sync.WaitGroup
		for i := range keys {
			key := fmt.Sprint("key/", round, "/", i)
			mustPut(t, writer, key, "before")
			all.Go(func() {
				var overtaken sync.WaitGroup
				overtaken.Go(func() {
					time.Sleep(100 * time.Millisecond) // the question has been answered, and the answer is under way
					if err := put(writer, key, "after"); err != nil {
						t.Error(err)
					}
				})
				value, version, err := s.GetVersion(ctx, key)
				overtaken.Wait()
				if err != nil {
					t.Error(err)
					return
				}
				changed, err := s.Changed(ctx, map[string]int64{key: version})
				if err != nil || string(value) == "before" && len(changed) != 1 {
					t.Errorf("%s was read %q, is %q now, and changed are %q, %v", key, value, "after", changed, err)
				}
			})
		}
		all.Wait()
	}
}
