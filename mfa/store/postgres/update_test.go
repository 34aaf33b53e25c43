package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/caddymfa/caddy-mfa/internal/faultproxy"
	"github.com/caddymfa/caddy-mfa/internal/pgtest"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

func TestManyUpdatesOfOneKeyLeaveTheConnectionsToOthers(t *testing.T) {
	server := pgtest.Shared(t)
	s := mustOpen(t, Config{DSN: server.DSN(pgtest.Superuser, server.Database()), MaxConnections: 2})
	began, finish := make(chan struct{}), make(chan struct{})
	var once sync.Once
	var updates sync.WaitGroup
	for i := range 30 {
		updates.Go(func() {
			err := s.Update(context.Background(), func(tx store.Tx) error {
				once.Do(func() { close(began) })
				<-finish
				return tx.Put("hammered", fmt.Append(nil, i))
			}, "hammered")
			if err != nil {
				t.Error(err)
			}
		})
	}
	<-began
	mustPut(t, s, "other", "1")
	mustHold(t, s, "other", "1")
	close(finish)
	updates.Wait()
}

func TestAnUpdateThatIsChangedUnderwayIsMadeAgain(t *testing.T) {
	server := pgtest.Shared(t)
	c := Config{DSN: server.DSN(pgtest.Superuser, server.Database())}
	mine, theirs := mustOpen(t, c), mustOpen(t, c)
	for _, change := range []func() error{
		func() error { return put(theirs, "a", "theirs") }, // there was none
		func() error { return put(theirs, "a", "theirs again") },
		func() error {
			return theirs.Update(context.Background(), func(tx store.Tx) error { return tx.Delete("a") }, "a")
		},
	} {
		var saw []string
		err := mine.Update(context.Background(), func(tx store.Tx) error {
			found, err := tx.Get("a")
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
			saw = append(saw, string(found))
			if len(saw) == 1 {
				if err := change(); err != nil {
					return err
				}
			}
			return tx.Put("a", []byte(fmt.Sprintf("mine after %q", found)))
		}, "a")
		if err != nil || len(saw) != 2 || saw[0] == saw[1] {
			t.Fatalf("it saw %q, %v", saw, err)
		}
		mustHold(t, mine, "a", fmt.Sprintf("mine after %q", saw[1]))
	}
}

func TestADeleteOfADocumentThatWasChangedIsMadeAgain(t *testing.T) {
	server := pgtest.Shared(t)
	c := Config{DSN: server.DSN(pgtest.Superuser, server.Database())}
	mine, theirs := mustOpen(t, c), mustOpen(t, c)
	mustPut(t, mine, "a", "1")
	calls := 0
	err := mine.Update(context.Background(), func(tx store.Tx) error {
		if calls++; calls == 1 {
			if err := put(theirs, "a", "2"); err != nil {
				return err
			}
		}
		return tx.Delete("a")
	}, "a")
	if err != nil || calls != 2 {
		t.Errorf("%d calls, %v", calls, err)
	}
	if _, err := mine.Get(context.Background(), "a"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("it is still there: %v", err)
	}
}

func TestAKeyWithoutADocumentIsLockedAndLeavesNoRow(t *testing.T) {
	server := pgtest.Shared(t)
	database := server.Database()
	c := Config{DSN: server.DSN(pgtest.Superuser, database)}
	mine, theirs := mustOpen(t, c), mustOpen(t, c)
	began := make(chan struct{})
	done := make(chan error, 1)
	err := mine.Update(context.Background(), func(tx store.Tx) error {
		select {
		case <-began:
		default:
			close(began)
			go func() {
				done <- theirs.Update(context.Background(), func(tx store.Tx) error {
					if _, err := tx.Get("b"); err != nil {
						return fmt.Errorf("theirs came first: %w", err)
					}
					return nil
				}, "b", "c")
			}()
		}
		return tx.Put("b", []byte("1"))
	}, "a", "b")
	if err != nil {
		t.Fatal(err)
	}
	// Theirs came after mine, or began before mine was sent and waited.
	if err := <-done; err != nil && !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
	var rows int
	if scan(t, server, database, "SELECT count(*) FROM caddy_mfa_documents", &rows); rows != 1 {
		t.Errorf("there are %d rows", rows)
	}
}

func TestANodeThatIsCutOffInTheMiddleOfAnUpdateHoldsNobodyUp(t *testing.T) {
	server := pgtest.Shared(t)
	database := server.Database()
	proxy := faultproxy.New(t, server.Address)
	cut := mustOpen(t, Config{DSN: pgtest.DSN(proxy.Address, pgtest.Superuser, database), Timeout: 1200 * time.Millisecond})
	others := mustOpen(t, Config{DSN: server.DSN(pgtest.Superuser, database), Timeout: 30 * time.Second})
	mustPut(t, others, "a", "before")
	err := cut.Update(context.Background(), func(tx store.Tx) error {
		proxy.Silence() // it holds the locks by now
		return errors.Join(tx.Put("a", []byte("cut")), tx.Put("b", []byte("cut")))
	}, "a", "b")
	if !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("the node that is cut off: %v", err)
	}
	err = others.Update(context.Background(), func(tx store.Tx) error {
		return errors.Join(tx.Put("a", []byte("others")), tx.Put("b", []byte("others")))
	}, "a", "b")
	if err != nil {
		t.Fatalf("the others: %v", err)
	}
	proxy.Mend(t)
	mustHold(t, cut, "a", "others")
	mustHold(t, cut, "b", "others")
}

func TestAStandbyIsAnOutageUntilItIsPromoted(t *testing.T) {
	server := pgtest.Shared(t)
	database := plain(t, server, "standby", "GRANT CREATE ON SCHEMA public TO standby")
	s := mustOpen(t, Config{DSN: server.DSN("standby", database)})
	mustPut(t, s, "a", "1")
	// What a standby answers to a write.
	server.Exec(database, "ALTER ROLE standby SET default_transaction_read_only = on",
		"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'standby'")
	for range 2 {
		if err := put(s, "a", "2"); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("writing to a standby: %v", err)
		}
		// What it says may be old.
		if _, err := s.Get(t.Context(), "a"); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("reading from a standby: %v", err)
		}
	}
	server.Exec(database, "ALTER ROLE standby RESET default_transaction_read_only")
	// A session keeps what it began with: the store must not keep those.
	deadline := time.Now().Add(30 * time.Second)
	for err := put(s, "a", "3"); err != nil; err = put(s, "a", "3") {
		if !errors.Is(err, store.ErrUnavailable) || time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	mustHold(t, s, "a", "3")
}

func TestDamageThatTheServerFindsIsCorruption(t *testing.T) {
	for code, want := range map[string]error{"XX001": store.ErrCorrupt, "XX002": store.ErrCorrupt, "53100": store.ErrUnavailable} {
		err := failure("reading", &pgconn.PgError{Severity: "ERROR", Code: code, Message: "found"})
		if !errors.Is(err, want) {
			t.Errorf("%s: %v", code, err)
		}
	}
	// A context of our own that ended is no context of the caller's.
	if err := failure("reading", context.DeadlineExceeded); errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("a server that is too slow: %v", err)
	}
}

func TestListeningComesBackAfterACrash(t *testing.T) {
	server := pgtest.New(t)
	dsn := server.DSN(pgtest.Superuser, server.Database())
	c := Config{DSN: dsn, Listen: dsn}
	mine, theirs := mustOpen(t, c), mustOpen(t, c)
	server.Kill()
	server.Start()
	select { // what was told before
	case <-mine.Written():
	default:
	}
	within := time.After(60 * time.Second)
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	for heard := 0; heard < 3; { // the first may be of the connection alone
		select {
		case <-mine.Written():
			heard++
		case <-again.C:
			if err := put(theirs, "a", "1"); err != nil && !errors.Is(err, store.ErrUnavailable) {
				t.Fatal(err)
			}
		case <-within:
			t.Fatalf("heard %d times", heard)
		}
	}
}

func TestStatementsArePreparedWhereSessionsLast(t *testing.T) {
	server := pgtest.Shared(t)
	bouncer := pgtest.NewBouncer(t, server)
	for name, row := range map[string]struct {
		address  string
		prepared bool
	}{
		"server": {server.Address, true},
		"pooler": {bouncer.Address, false},
	} {
		c := Config{DSN: pgtest.DSN(row.address, pgtest.Superuser, server.Database())}
		stores := []*Store{mustOpen(t, c), mustOpen(t, c)}
		var work sync.WaitGroup
		for i := range 200 {
			work.Go(func() {
				key := fmt.Sprint("key-", i%20)
				s := stores[i%2]
				if err := put(s, key, "1"); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				err := s.Update(context.Background(), func(tx store.Tx) error { return tx.Put("b", nil) }, key, "b")
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
				if _, err := s.Get(context.Background(), key); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		work.Wait()
		for _, s := range stores {
			if got := s.prepared.Load(); got != row.prepared {
				t.Errorf("%s: prepared is %v", name, got)
			}
		}
	}
}

func TestAServerWithoutRoomForConnectionsCostsNoneThatThereAre(t *testing.T) {
	server := pgtest.Shared(t)
	database := plain(t, server, "crowded", "GRANT CREATE ON SCHEMA public TO crowded", "ALTER ROLE crowded CONNECTION LIMIT 1")
	s := mustOpen(t, Config{DSN: server.DSN("crowded", database), MaxConnections: 4, Timeout: 10 * time.Second})
	mustPut(t, s, "a", "1")
	pid := func() (pid int) {
		scan(t, server, database, "SELECT coalesce(max(pid), 0) FROM pg_stat_activity WHERE usename = 'crowded'", &pid)
		return pid
	}
	before := pid()
	var work sync.WaitGroup
	for i := range 20 {
		work.Go(func() {
			err := put(s, fmt.Sprint("key-", i), "1")
			if err != nil && !errors.Is(err, store.ErrUnavailable) {
				t.Error(err)
			}
		})
	}
	work.Wait()
	mustHold(t, s, "a", "1")
	if after := pid(); before == 0 || after != before {
		t.Errorf("the connection was dropped for a new one: %d, then %d", before, after)
	}
}
