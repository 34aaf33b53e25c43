package etcd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/internal/etcdserver"
	"github.com/caddymfa/caddy-mfa/internal/etcdtest"
	"github.com/caddymfa/caddy-mfa/internal/faultproxy"
	"github.com/caddymfa/caddy-mfa/mfa/store"
	"github.com/caddymfa/caddy-mfa/mfa/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(etcdtest.Main(m)) }

// clusters are the kinds of cluster that the store is tested with.
var clusters = []struct {
	name    string
	options etcdtest.Options
}{
	{"System", etcdtest.Options{Program: etcdserver.System}},
	{"SystemThreeMembers", etcdtest.Options{Program: etcdserver.System, Members: 3}},
	{"Current", etcdtest.Options{Program: etcdserver.Current}},
	{"CurrentThreeMembers", etcdtest.Options{Program: etcdserver.Current, Members: 3}},
}

func TestTheStoreKeepsTheContract(t *testing.T) {
	for _, kind := range clusters {
		t.Run(kind.name, func(t *testing.T) {
			cluster := sync.OnceValue(func() *etcdtest.Cluster { return etcdtest.Start(t, kind.options) })
			e := storetest.Engine{
				New: func(t *testing.T) func(t *testing.T) store.Store {
					prefix := newPrefix()
					return func(t *testing.T) store.Store {
						return mustOpen(t, Config{Endpoints: cluster().Endpoints(), Prefix: prefix})
					}
				},
			}
			if kind.options.Members > 1 { // where there is more to go wrong
				e.Faults = func(t *testing.T) storetest.Faults { return faults(t, kind.options) }
			}
			storetest.Run(t, e)
			t.Run("Shared", func(t *testing.T) { storetest.RunShared(t, e) })
		})
	}
}

// faults starts a cluster of its own behind proxies.
func faults(t *testing.T, options etcdtest.Options) storetest.Faults {
	cluster := etcdtest.Start(t, options)
	var proxies []*faultproxy.Proxy
	var endpoints []string
	for _, m := range cluster.Members {
		proxy := faultproxy.New(t, m.Address)
		proxies = append(proxies, proxy)
		endpoints = append(endpoints, proxy.Address)
	}
	all := func(do func(*faultproxy.Proxy)) func() {
		return func() {
			for _, proxy := range proxies {
				do(proxy)
			}
		}
	}
	return storetest.Faults{
		Open: func(t *testing.T) store.Store {
			return mustOpen(t, Config{Endpoints: endpoints, Timeout: 1500 * time.Millisecond})
		},
		Cut:     all((*faultproxy.Proxy).Cut),
		Silence: all((*faultproxy.Proxy).Silence),
		Mend:    all(func(proxy *faultproxy.Proxy) { proxy.Mend(t) }),
		Crash: func() {
			cluster.Kill()
			cluster.Restart()
		},
	}
}

var prefixes atomic.Int64

// newPrefix returns a prefix that no other test uses. Some are awkward on
// purpose.
func newPrefix() string {
	n := prefixes.Add(1)
	return fmt.Sprintf([]string{"mfa-%d", "/mfa/%d", "é%%\x00\xf4\x8f\xbf\xbf-%d"}[n%3], n)
}

// mustOpen opens a store and closes it at the end of the test, if the test
// has not.
func mustOpen(t testing.TB, config Config) *Store {
	t.Helper()
	if config.Timeout == 0 {
		config.Timeout = 20 * time.Second // of a machine that others use
	}
	s, err := Open(context.Background(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func put(s *Store, key, value string) error {
	return s.Update(context.Background(), func(tx store.Tx) error { return tx.Put(key, []byte(value)) }, key)
}

func mustPut(t testing.TB, s *Store, key, value string) {
	t.Helper()
	if err := put(s, key, value); err != nil {
		t.Fatal(err)
	}
}

func mustHold(t testing.TB, s *Store, key, want string) {
	t.Helper()
	got, err := s.Get(context.Background(), key)
	if err != nil || string(got) != want {
		t.Fatalf("document %q is %.40q, %v; want %.40q", key, got, err, want)
	}
}

func mustChange(t testing.TB, s *Store, seen map[string]int64, want ...string) {
	t.Helper()
	got, err := s.Changed(context.Background(), seen)
	slices.Sort(got)
	if err != nil || !slices.Equal(got, want) {
		t.Fatalf("changed are %q, %v; want %q", got, err, want)
	}
}

// eventually asks until done says yes.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(time.Minute); !done(); <-ticker.C {
		if time.Now().After(deadline) {
			t.Fatalf("still not: %s", what)
		}
	}
}

func TestManyNodesThatCountTheSameAllGetTheirTurn(t *testing.T) {
	config := Config{Endpoints: etcdtest.Start(t, etcdtest.Options{}).Endpoints()}
	const nodes, each = 40, 5
	var all sync.WaitGroup
	for range nodes {
		s := mustOpen(t, config)
		all.Go(func() {
			for range each {
				err := s.Update(context.Background(), func(tx store.Tx) error {
					count, err := tx.Get("count")
					if err != nil && !errors.Is(err, store.ErrNotFound) {
						return err
					}
					return tx.Put("count", append(count, 'I'))
				}, "count")
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	mustHold(t, mustOpen(t, config), "count", strings.Repeat("I", nodes*each))
}
