package postgres

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/internal/pgserver"
	"github.com/caddymfa/caddy-mfa/internal/pgtest"
	"github.com/caddymfa/caddy-mfa/internal/testtool"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// bouncerConfig is a PgBouncer with so many server connections.
func bouncerConfig(mode string, size int, more string) string {
	return fmt.Sprintf(`[databases]
* = host=db.internal port=5432

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = 6432
auth_type = scram-sha-256
auth_file = /etc/pgbouncer/userlist.txt
pool_mode = %s
default_pool_size = %d
max_client_conn = 1000
%s
`, mode, size, more)
}

// keepsStatements reports whether PgBouncer has max_prepared_statements,
// which it has from 1.21.
func keepsStatements(t *testing.T) bool {
	t.Helper()
	major, minor, err := pgserver.BouncerVersion()
	if errors.Is(err, pgserver.ErrNotInstalled) {
		testtool.Missing(t, "%v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return major > 1 || minor >= 21
}

// TestPoolersAreUsedAsTheDocumentedTableSays runs two nodes at once behind a
// PgBouncer in each of the modes that docs/stores.md has a row for.
func TestPoolersAreUsedAsTheDocumentedTableSays(t *testing.T) {
	server := pgtest.Shared(t)
	for _, row := range documentedModes(t) {
		t.Run(row.name, func(t *testing.T) {
			more := ""
			if row.prepared && row.mode != "session" {
				if !keepsStatements(t) {
					t.Skip("this PgBouncer cannot keep prepared statements")
				}
				more = "max_prepared_statements = 100"
			}
			bouncer := pgtest.NewBouncerFrom(t, server, bouncerConfig(row.mode, row.size, more))
			heard := new(findings)
			c := Config{
				DSN: pgtest.DSN(bouncer.Address, pgtest.Superuser, server.Database()), Timeout: 10 * time.Second, Report: heard.report,
			}
			if row.refused {
				if err := refused(t, c); errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "set pool_mode = transaction, or session") {
					t.Error(err)
				}
				return
			}
			stores := []*Store{mustOpen(t, c), mustOpen(t, c)}
			if said := heard.of(store.FindingPooler); (said != "") != row.warned {
				t.Errorf("it says %q", said)
			}
			var work sync.WaitGroup
			for i := range 60 {
				s, key := stores[i%2], fmt.Sprint("key-", i%10)
				work.Go(func() {
					err := errors.Join(put(s, key, "1"), s.Update(t.Context(), func(tx store.Tx) error { return tx.Put("b", nil) }, key, "b"))
					if _, reading := s.Get(t.Context(), key); err != nil || reading != nil {
						t.Error(err, reading)
					}
				})
			}
			work.Wait()
			for _, s := range stores {
				if got := s.prepared.Load(); got != row.prepared {
					t.Errorf("prepared is %v", got)
				}
				if _, err := s.Changed(t.Context(), map[string]int64{"a": 1}); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// documentedMode is a row of the table of docs/stores.md.
type documentedMode struct {
	name                      string
	mode                      string
	size                      int
	prepared, refused, warned bool
}

// documentedModes reads the rows: the mode, the size of the pool, whether
// PgBouncer keeps prepared statements, and what the node does.
func documentedModes(t *testing.T) (rows []documentedMode) {
	t.Helper()
	page, err := os.ReadFile("../../../docs/stores.md")
	if err != nil {
		t.Fatal(err)
	}
	pattern := regexp.MustCompile("(?m)^\\| `(session|transaction|statement)` \\| (\\d+) \\| (yes|no) \\| (.*) \\|$")
	for _, found := range pattern.FindAllStringSubmatch(string(page), -1) {
		row := documentedMode{
			name: strings.Join(found[1:4], " "), mode: found[1], prepared: found[3] == "yes",
			refused: strings.Contains(found[4], "refused"), warned: strings.Contains(found[4], "WARN"),
		}
		if _, err := fmt.Sscan(found[2], &row.size); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	if len(rows) < 7 {
		t.Fatalf("docs/stores.md has %d rows", len(rows))
	}
	return rows
}

// TestASecondNodeIsNotStarvedByTheFirst has one node use all connections that
// it may have of a pooler that keeps them apart, before the next one starts.
func TestASecondNodeIsNotStarvedByTheFirst(t *testing.T) {
	server := pgtest.Shared(t)
	bouncer := pgtest.NewBouncerFrom(t, server, bouncerConfig("session", 6, ""))
	c := Config{DSN: pgtest.DSN(bouncer.Address, pgtest.Superuser, server.Database()), Timeout: 10 * time.Second}
	busy := func(s *Store) {
		t.Helper()
		var work sync.WaitGroup
		for i := range 64 {
			work.Go(func() { mustPutErr(t, s, fmt.Sprint("key-", i)) })
		}
		work.Wait()
	}
	first := mustOpen(t, c)
	busy(first)
	second := mustOpen(t, c)
	busy(second)
	busy(first)
	if most := first.pool.Config().MaxConns; most != 3 {
		t.Errorf("the first holds %d connections", most)
	}
	if idle := first.pool.Config().MaxConnIdleTime; idle > sessionIdle {
		t.Errorf("it keeps them for %v", idle)
	}
}

func mustPutErr(t *testing.T, s store.Store, key string) {
	if err := put(s, key, "1"); err != nil {
		t.Error(err)
	}
}

func TestListeningThroughAPoolerIsRefused(t *testing.T) {
	server := pgtest.Shared(t)
	bouncer := pgtest.NewBouncer(t, server)
	database := server.Database()
	err := refused(t, Config{DSN: server.DSN(pgtest.Superuser, database), Listen: pgtest.DSN(bouncer.Address, pgtest.Superuser, database)})
	if errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "listen: it leads to a pooler") {
		t.Error(err)
	}
}
