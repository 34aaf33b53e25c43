package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/internal/faultproxy"
	"github.com/caddymfa/caddy-mfa/internal/pgtest"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// findings keeps what a store reports.
type findings struct {
	mu  sync.Mutex
	all []store.Finding
}

func (f *findings) report(found store.Finding) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = append(f.all, found)
}

// of returns the texts of a kind, and forgets them.
func (f *findings) of(kind store.FindingKind) (texts string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = slices.DeleteFunc(f.all, func(found store.Finding) bool {
		if found.Kind == kind {
			texts += found.Text + "\n"
		}
		return found.Kind == kind
	})
	return texts
}

// version returns the version of the document under key.
func version(t *testing.T, s *Store, key string) int64 {
	t.Helper()
	_, version, err := s.GetVersion(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return version
}

// within waits until f returns no error.
func within(t *testing.T, what string, f func() error) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
	}
}

// both is a DSN that names two servers.
func both(first, second, database string) string {
	return pgtest.DSN(first+","+second, pgtest.Superuser, database)
}

// TestAStandbyIsNotBelievedAndAFailoverIsNoticed leads one node from a
// primary to a standby whose replay is paused, and over its promotion.
func TestAStandbyIsNotBelievedAndAFailoverIsNoticed(t *testing.T) {
	primary := pgtest.New(t, "fsync=off")
	database := primary.Database()
	standby := pgtest.NewStandby(t, primary)
	proxy := faultproxy.New(t, primary.Address)
	heard := new(findings)
	s := mustOpen(t, Config{
		DSN:     both(proxy.Address, standby.Address, database),
		Timeout: 3 * time.Second, Report: heard.report,
	})
	mustPut(t, s, "a", "good")
	var position string
	scan(t, primary, database, "SELECT pg_current_wal_flush_lsn()::text", &position)
	within(t, "the standby follows", func() error {
		var reached bool
		scan(t, standby, database, "SELECT pg_last_wal_replay_lsn() >= '"+position+"'", &reached)
		if !reached {
			return errors.New("it is behind")
		}
		return nil
	})
	// It is not sent what comes now, and replays nothing.
	standby.Exec(database, "ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()")
	within(t, "nothing is streamed", func() error {
		var streams int
		if scan(t, primary, database, "SELECT count(*) FROM pg_stat_replication", &streams); streams > 0 {
			return errors.New("it is")
		}
		return nil
	})
	standby.Exec(database, "SELECT pg_wal_replay_pause()")
	old := version(t, s, "a")
	mustPut(t, s, "a", "ended")
	ended := version(t, s, "a")

	// A node with nothing but the standby does not start.
	err := refused(t, Config{DSN: standby.DSN(pgtest.Superuser, database)})
	if errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "have the DSN name the primary") {
		t.Errorf("a standby alone: %v", err)
	}
	if err := refused(t, Config{DSN: primary.DSN(pgtest.Superuser, database), Listen: standby.DSN(pgtest.Superuser, database)}); errors.Is(err, store.ErrUnavailable) || !strings.HasPrefix(err.Error(), "listen: ") {
		t.Errorf("listening at a standby: %v", err)
	}
	// One that names both skips the standby, whichever comes first.
	mustHold(t, mustOpen(t, Config{DSN: both(standby.Address, primary.Address, database)}), "a", "ended")

	proxy.Cut()
	for range 3 {
		if _, err := s.Get(t.Context(), "a"); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("reading with only a standby in reach: %v", err)
		}
		if changed, err := s.Changed(t.Context(), map[string]int64{"a": old}); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("comparing with only a standby in reach: %v, %v", changed, err)
		}
		if _, err := s.List(t.Context(), "", "", 10); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("listing with only a standby in reach: %v", err)
		}
		if err := s.Update(t.Context(), func(store.Tx) error { return nil }, "a"); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("deciding with only a standby in reach: %v", err)
		}
	}
	if texts := heard.of(store.FindingReplica); !strings.Contains(texts, "standby") {
		t.Errorf("of the standby it says %q", texts)
	}
	// With the primary down and a standby up it is an outage, not a mistake.
	if err := refused(t, Config{DSN: both(proxy.Address, standby.Address, database), Timeout: time.Second}); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("the primary is down: %v", err)
	}

	primary.Kill()
	standby.Promote()
	within(t, "the promoted standby", func() error { return put(s, "b", "after") })
	mustHold(t, s, "a", "good") // the last write is lost
	changed, err := s.Changed(t.Context(), map[string]int64{"a": ended, "b": version(t, s, "b")})
	if err != nil || !slices.Contains(changed, "a") || !slices.Contains(changed, "b") {
		t.Errorf("after the failover these are to be read anew: %v, %v", changed, err)
	}
	if texts := heard.of(store.FindingHistory); !strings.Contains(texts, "from timeline 1 to 2") {
		t.Errorf("of the failover it says %q", texts)
	}
	if changed, err := s.Changed(t.Context(), map[string]int64{"b": version(t, s, "b")}); err != nil || len(changed) != 0 {
		t.Errorf("asked once more: %v, %v", changed, err)
	}

	// The old primary comes back and believes that it still is one.
	primary.Start()
	proxy.Mend(t)
	s.pool.Reset()
	for range 5 {
		mustHold(t, s, "b", "after") // which it does not have
	}
	standby.Kill()
	for range 2 {
		if _, err := s.Get(t.Context(), "b"); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("reading from the primary of before: %v", err)
		}
	}
	if texts := heard.of(store.FindingReplica); !strings.Contains(texts, "was left for timeline 2") {
		t.Errorf("of the primary of before it says %q", texts)
	}
}

func TestATargetThatLetsStandbysInIsRefused(t *testing.T) {
	for target, ok := range map[string]bool{
		"any": false, "standby": false, "prefer-standby": false, "read-only": false, "read-write": true, "primary": true,
	} {
		dsn := "postgres://mfa@db-1,db-2/mfa?target_session_attrs=" + target
		for name, c := range map[string]Config{"dsn": {DSN: dsn}, "listen": {DSN: "postgres://mfa@db/mfa", Listen: dsn}} {
			err := c.Check()
			if (err == nil) != ok || err != nil && !strings.HasPrefix(err.Error(), name+": target_session_attrs lets a standby in") {
				t.Errorf("%s with %s: %v", name, target, err)
			}
		}
	}
	t.Setenv("PGTARGETSESSIONATTRS", "standby")
	if err := (Config{DSN: "postgres://mfa@db/mfa"}).Check(); err == nil {
		t.Error("from the environment it is taken")
	}
}

// TestAServerThatStopsTakingWritesIsNoticedOnConnectionsThatThereAre changes
// what the server is without ending a connection.
func TestAServerThatStopsTakingWritesIsNoticedOnConnectionsThatThereAre(t *testing.T) {
	server := pgtest.New(t, "fsync=off")
	s := mustOpen(t, Config{DSN: server.DSN(pgtest.Superuser, server.Database())})
	mustPut(t, s, "a", "1")
	seen := map[string]int64{"a": version(t, s, "a")}
	set := func(value string) {
		t.Helper()
		server.Exec("postgres", "SET default_transaction_read_only = off", "ALTER SYSTEM SET default_transaction_read_only = "+value, "SELECT pg_reload_conf()")
	}
	// Each kind of read finds it out on its own: once one has, there are no
	// connections left.
	for what, read := range map[string]func() error{
		"Get":           func() error { _, err := s.Get(context.Background(), "a"); return err },
		"Get of none":   func() error { _, err := s.Get(context.Background(), "none"); return err },
		"List of none":  func() error { _, err := s.List(context.Background(), "none", "", 1); return err },
		"Changed":       func() error { _, err := s.Changed(context.Background(), seen); return err },
		"a mere Update": func() error { return s.Update(context.Background(), func(store.Tx) error { return nil }, "a") },
		"Time":          func() error { _, _, err := s.Time(context.Background()); return err },
	} {
		set("on")
		within(t, what, func() error {
			if err := read(); !errors.Is(err, store.ErrUnavailable) {
				return fmt.Errorf("it answers: %v", err)
			}
			return nil
		})
		set("off")
		within(t, "it is back", func() error { _, err := s.Changed(context.Background(), seen); return err })
		mustHold(t, s, "a", "1")
	}
}

// TestConnectionsThatARestartHasEndedFailNoRead fills a pool, restarts the
// server and reads on many connections at once.
func TestConnectionsThatARestartHasEndedFailNoRead(t *testing.T) {
	server := pgtest.New(t, "fsync=off")
	s := mustOpen(t, Config{DSN: server.DSN(pgtest.Superuser, server.Database()), MaxConnections: 8})
	mustPut(t, s, "a", "1")
	readAll := func() {
		t.Helper()
		var readers sync.WaitGroup
		for range 32 {
			readers.Go(func() {
				for range 5 {
					if _, err := s.Get(context.Background(), "a"); err != nil {
						t.Error(err)
					}
					if _, err := s.Changed(context.Background(), map[string]int64{"a": 1}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		readers.Wait()
	}
	for range 3 {
		readAll()
		server.Kill()
		server.Start()
		mustPut(t, s, "b", "1")
	}
	readAll()
}
