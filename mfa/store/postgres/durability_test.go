package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/pgtest"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

func TestWhatACrashWouldUndoIsRefusedOrSaid(t *testing.T) {
	server := pgtest.New(t, "fsync=off", "full_page_writes=off")
	database := server.Database()
	heard := new(findings)
	c := Config{DSN: server.DSN(pgtest.Superuser, database), Report: heard.report}
	s := mustOpen(t, c)
	mustPut(t, s, "a", "1")
	if texts := heard.of(store.FindingDurability); !strings.Contains(texts, "turn fsync and full_page_writes on") || strings.Count(texts, "\n") != 1 {
		t.Errorf("of the settings it says %q", texts)
	}
	changed := func() error { _, err := s.Changed(context.Background(), nil); return err }

	// While it runs: the tables, and a setting.
	server.Exec(database, "ALTER TABLE caddy_mfa_documents SET UNLOGGED")
	if err := changed(); err != nil {
		t.Error(err)
	}
	if texts := heard.of(store.FindingDurability); !strings.Contains(texts, "ALTER TABLE caddy_mfa_documents SET LOGGED") {
		t.Errorf("of the table it says %q", texts)
	}
	if err := refused(t, c); errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "UNLOGGED") {
		t.Errorf("an UNLOGGED table: %v", err)
	}
	server.Exec(database, "ALTER TABLE caddy_mfa_documents SET LOGGED", "ALTER SYSTEM SET synchronous_commit = off", "SELECT pg_reload_conf()")
	within(t, "synchronous_commit is off", func() error {
		if err := changed(); !errors.Is(err, store.ErrUnavailable) {
			return fmt.Errorf("comparing: %v", err)
		}
		return nil
	})
	if err := put(s, "a", "2"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("writing: %v", err)
	}
	if texts := heard.of(store.FindingDurability); !strings.Contains(texts, "synchronous_commit") {
		t.Errorf("of synchronous_commit it says %q", texts)
	}
	server.Exec(database, "ALTER SYSTEM RESET synchronous_commit", "SELECT pg_reload_conf()")
	within(t, "it is on again", changed)
	mustPut(t, s, "a", "3")
}

func TestSynchronousCommitThatIsOffIsRefusedWhereverItIsSet(t *testing.T) {
	server := pgtest.Shared(t)
	database := plain(t, server, "hasty", "GRANT CREATE ON SCHEMA public TO hasty")
	dsn := server.DSN("hasty", database)
	for _, where := range []string{"ROLE hasty", "DATABASE " + database, "ROLE hasty IN DATABASE " + database} {
		server.Exec(database, "ALTER "+where+" SET synchronous_commit = off")
		if err := refused(t, Config{DSN: dsn}); errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "turn synchronous_commit on") {
			t.Errorf("of %s: %v", where, err)
		}
		server.Exec(database, "ALTER "+where+" RESET synchronous_commit")
	}
	if err := refused(t, Config{DSN: dsn + "&synchronous_commit=off"}); errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "turn synchronous_commit on") {
		t.Errorf("in the DSN: %v", err)
	}
	// Tables of the connection alone.
	server.Exec(database, "ALTER ROLE hasty SET search_path = pg_temp, public")
	if err := refused(t, Config{DSN: dsn}); errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "pg_temp") {
		t.Errorf("temporary tables: %v", err)
	}
}
