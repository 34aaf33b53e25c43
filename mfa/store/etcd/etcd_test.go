package etcd

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/internal/etcdtest"
	"github.com/caddymfa/caddy-mfa/mfa/store"
	"github.com/caddymfa/caddy-mfa/mfa/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(etcdtest.Main(m)) }

// clusters are the kinds of cluster that the store is tested with.
var clusters = []struct {
	name    string
	options etcdtest.Options
}{
	{"System", etcdtest.Options{Server: etcdtest.System}},
	{"SystemThreeMembers", etcdtest.Options{Server: etcdtest.System, Members: 3}},
	{"Current", etcdtest.Options{Server: etcdtest.Current}},
	{"CurrentThreeMembers", etcdtest.Options{Server: etcdtest.Current, Members: 3}},
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
			storetest.Run(t, e)
			t.Run("Shared", func(t *testing.T) { storetest.RunShared(t, e) })
		})
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
