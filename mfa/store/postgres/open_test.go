package postgres

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/caddymfa/caddy-mfa/internal/faultproxy"
	"github.com/caddymfa/caddy-mfa/internal/pgtest"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// plain makes a user who owns nothing, with grants, and returns the
// database.
func plain(t *testing.T, server *pgtest.Server, user string, grants ...string) (database string) {
	t.Helper()
	database = server.Database()
	server.Exec(database, append([]string{"CREATE ROLE " + user + " LOGIN PASSWORD '" + pgtest.Password + "'"}, grants...)...)
	return database
}

// scan reads one value from the database.
func scan(t *testing.T, server *pgtest.Server, database, query string, into any) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server.DSN(pgtest.Superuser, database))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if err := conn.QueryRow(t.Context(), query).Scan(into); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

func put(s store.Store, key, value string) error {
	return s.Update(context.Background(), func(tx store.Tx) error { return tx.Put(key, []byte(value)) }, key)
}

func mustPut(t *testing.T, s store.Store, key, value string) {
	t.Helper()
	if err := put(s, key, value); err != nil {
		t.Fatal(err)
	}
}

func mustHold(t *testing.T, s store.Store, key, want string) {
	t.Helper()
	got, err := s.Get(context.Background(), key)
	if err != nil || string(got) != want {
		t.Fatalf("document %q is %.40q, %v; want %.40q", key, got, err, want)
	}
}

// refused opens a store that cannot be opened, and returns the error, which
// must not hold the password.
func refused(t *testing.T, c Config) error {
	t.Helper()
	s, err := Open(t.Context(), c)
	if err == nil {
		s.Close()
		t.Fatal("it opened")
	}
	if strings.Contains(err.Error(), pgtest.Password) {
		t.Errorf("the password is in the error: %v", err)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("the error has several lines: %v", err)
	}
	return err
}

func TestManyNodesMayStartOnAnEmptyDatabaseAtOnce(t *testing.T) {
	server := pgtest.Shared(t)
	for range 6 {
		database := server.Database()
		var nodes sync.WaitGroup
		begin := make(chan struct{})
		for range 40 {
			nodes.Go(func() {
				<-begin
				s, err := Open(context.Background(), Config{DSN: server.DSN(pgtest.Superuser, database)})
				if err != nil {
					t.Error(err)
					return
				}
				defer s.Close()
				if err := put(s, "a", "1"); err != nil {
					t.Error(err)
				}
			})
		}
		close(begin)
		nodes.Wait()
		var versions string
		scan(t, server, database, "SELECT string_agg(id || ':' || version, ' ') FROM caddy_mfa_schema", &versions)
		if versions != "1:1" {
			t.Errorf("the schema says %s", versions)
		}
	}
}

func TestWhatTwoNodesThatMakeTheSameTableMeetIsTriedAgain(t *testing.T) {
	// Which of these the later one meets depends on how close it is.
	for code, want := range map[string]bool{
		"23505": true,  // duplicate key value violates unique constraint "pg_type_typname_nsp_index"
		"42P07": true,  // relation "caddy_mfa_schema" already exists
		"42710": true,  // type "caddy_mfa_schema" already exists
		"40001": true,  // could not serialize access
		"42501": false, // permission denied for schema public
		"42601": false, // syntax error
	} {
		if got := meanwhile(&pgconn.PgError{Severity: "ERROR", Code: code}); got != want {
			t.Errorf("%s: %v", code, got)
		}
	}
}

func TestAnOlderSchemaIsMigratedAndANewerOneIsRefused(t *testing.T) {
	server := pgtest.Shared(t)
	database := server.Database()
	c := Config{DSN: server.DSN(pgtest.Superuser, database)}
	// A node that was killed between its first statements leaves this.
	server.Exec(database, sqlVersions)
	mustPut(t, mustOpen(t, c), "a", "1")

	server.Exec(database, "DROP TABLE caddy_mfa_documents", "UPDATE caddy_mfa_schema SET version = 0")
	var nodes sync.WaitGroup
	for range 20 {
		nodes.Go(func() {
			s, err := Open(context.Background(), c)
			if err != nil {
				t.Error(err)
				return
			}
			s.Close()
		})
	}
	nodes.Wait()
	mustPut(t, mustOpen(t, c), "a", "2")

	server.Exec(database, "UPDATE caddy_mfa_schema SET version = 99")
	if err := refused(t, c); errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "upgrade this node") {
		t.Errorf("a schema of the future: %v", err)
	}
	var version int
	if scan(t, server, database, "SELECT version FROM caddy_mfa_schema", &version); version != 99 {
		t.Errorf("it was made version %d", version)
	}
}

func TestAUserWhoMayMakeNoTablesUsesThoseThatAreThere(t *testing.T) {
	server := pgtest.Shared(t)
	database := plain(t, server, "app")
	c := Config{DSN: server.DSN("app", database)}
	if err := refused(t, c); errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "docs/stores.md") {
		t.Errorf("without tables: %v", err)
	}
	server.Exec(database, documentedSQL(t)...)
	s := mustOpen(t, c)
	mustPut(t, s, "a", "1")
	mustPut(t, s, "a", "2")
	mustHold(t, s, "a", "2")
	err := s.Update(t.Context(), func(tx store.Tx) error { return errors.Join(tx.Delete("a"), tx.Put("b", nil)) }, "a", "b", "c")
	if err != nil {
		t.Error(err)
	}
}

func TestWhatWaitingDoesNotMendIsNoOutage(t *testing.T) {
	server := pgtest.Shared(t)
	database := plain(t, server, "waiting")
	for name, row := range map[string]struct {
		dsn, want string
	}{
		"another password":     {strings.Replace(server.DSN("waiting", database), pgtest.Password, "wrong-"+pgtest.Password[:3], 1), "password authentication failed"},
		"no such user":         {server.DSN("nobody", database), "password authentication failed"},
		"no such database":     {server.DSN("waiting", "nowhere"), `database "nowhere" does not exist`},
		"no TLS at the server": {strings.Replace(server.DSN("waiting", database), "disable", "require", 1), "server refused TLS"},
	} {
		err := refused(t, Config{DSN: row.dsn})
		if errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	server.Exec(database, "ALTER ROLE waiting SET synchronous_commit = off")
	if err := refused(t, Config{DSN: server.DSN("waiting", database)}); !strings.Contains(err.Error(), "synchronous_commit") {
		t.Errorf("writes that a crash undoes: %v", err)
	}
}

func TestAServerThatIsDownIsAnOutage(t *testing.T) {
	server := pgtest.Shared(t)
	database := server.Database()
	proxy := faultproxy.New(t, server.Address)
	c := Config{DSN: pgtest.DSN(proxy.Address, pgtest.Superuser, database), Timeout: 1100_000_000}
	proxy.Cut()
	if err := refused(t, c); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("nobody listens: %v", err)
	}
	proxy.Mend(t)
	proxy.Silence()
	if err := refused(t, c); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("nobody answers: %v", err)
	}
	proxy.Mend(t)
	mustPut(t, mustOpen(t, c), "a", "1")

	c.DSN = strings.Replace(c.DSN, "127.0.0.1", "no-such-host.invalid", 1)
	if err := refused(t, c); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("a name that is not known: %v", err)
	}
}

func TestTheServerIsVerifiedOverTLS(t *testing.T) {
	server := pgtest.New(t, "fsync=off")
	authority := server.EnableTLS()
	database := server.Database()
	verified := strings.Replace(server.DSN(pgtest.Superuser, database), "sslmode=disable", "sslmode=verify-full&sslrootcert="+authority, 1)
	mustPut(t, mustOpen(t, Config{DSN: verified}), "a", "1")

	unknown := strings.Replace(verified, "&sslrootcert="+authority, "", 1)
	if err := refused(t, Config{DSN: unknown}); errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an authority that is not known: %v", err)
	}
}
