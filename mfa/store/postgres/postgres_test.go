package postgres

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/internal/faultproxy"
	"github.com/caddymfa/caddy-mfa/internal/pgtest"
	"github.com/caddymfa/caddy-mfa/mfa/store"
	"github.com/caddymfa/caddy-mfa/mfa/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

func TestTheStoreKeepsTheContract(t *testing.T) {
	server := pgtest.Shared(t)
	conform(t, storetest.Engine{
		New: func(t *testing.T) func(t *testing.T) store.Store {
			config := Config{DSN: server.DSN(pgtest.Superuser, server.Database())}
			return func(t *testing.T) store.Store { return mustOpen(t, config) }
		},
		Faults: func(t *testing.T) storetest.Faults {
			server := pgtest.New(t)
			proxy := faultproxy.New(t, server.Address)
			config := Config{DSN: pgtest.DSN(proxy.Address, pgtest.Superuser, server.Database()), Timeout: 1500 * time.Millisecond}
			return storetest.Faults{
				Open:    func(t *testing.T) store.Store { return mustOpen(t, config) },
				Cut:     proxy.Cut,
				Silence: proxy.Silence,
				Mend:    func() { proxy.Mend(t) },
				Crash: func() {
					server.Kill()
					server.Start()
				},
			}
		},
	})
}

func TestTheStoreKeepsTheContractBehindPgBouncer(t *testing.T) {
	server := pgtest.Shared(t)
	bouncer := pgtest.NewBouncer(t, server)
	conform(t, storetest.Engine{
		New: func(t *testing.T) func(t *testing.T) store.Store {
			database := server.Database()
			config := Config{DSN: pgtest.DSN(bouncer.Address, pgtest.Superuser, database), Listen: server.DSN(pgtest.Superuser, database)}
			return func(t *testing.T) store.Store { return mustOpen(t, config) }
		},
	})
}

func TestTheStoreKeepsTheContractWhereTransactionsAreSerializable(t *testing.T) {
	server := pgtest.New(t, "fsync=off", "default_transaction_isolation=serializable")
	conform(t, storetest.Engine{
		New: func(t *testing.T) func(t *testing.T) store.Store {
			config := Config{DSN: server.DSN(pgtest.Superuser, server.Database())}
			return func(t *testing.T) store.Store { return mustOpen(t, config) }
		},
	})
}

func conform(t *testing.T, e storetest.Engine) {
	storetest.Run(t, e)
	t.Run("Shared", func(t *testing.T) { storetest.RunShared(t, e) })
}

// mustOpen opens a store and closes it at the end of the test, if the test
// has not.
func mustOpen(t testing.TB, c Config) *Store {
	t.Helper()
	s, err := Open(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}
