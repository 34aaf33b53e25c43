package postgres

import (
	"slices"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/pgtest"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

func TestAServerIsFollowedIntoALaterHistoryAlone(t *testing.T) {
	type step struct {
		asked, found  place // what was known when it was asked, and its answer
		said, refused string
	}
	at := func(cluster string, timeline uint64, table string, flushed int64) place {
		return place{cluster, timeline, table, flushed, 0}
	}
	for name, steps := range map[string][]step{
		"the same, further on": {
			{place{}, at("A", 1, "5.", 100), "", ""},
			{at("A", 1, "5.", 100), at("A", 1, "5.7", 200), "", ""}, // the table was made
			{at("A", 1, "5.7", 200), at("A", 1, "5.7", 200), "", ""},
		},
		"answers that overtake one another": {
			{place{}, at("A", 1, "5.7", 300), "", ""},
			{at("A", 1, "5.7", 100), at("A", 1, "5.7", 200), "", ""}, // asked before the 300 were known
		},
		"a copy of the files": {
			{place{}, at("A", 1, "5.7", 300), "", ""},
			{at("A", 1, "5.7", 300), at("A", 1, "5.7", 200), "earlier state", ""},
			{at("A", 1, "5.7", 200), at("A", 1, "5.7", 210), "", ""}, // once
		},
		"a copy of the files that was written to": {
			{place{}, place{"A", 1, "5.7", 300, 20}, "", ""},
			{place{"A", 1, "5.7", 300, 20}, place{"A", 1, "5.7", 400, 0}, "", ""},
			{place{"A", 1, "5.7", 400, 20}, place{"A", 1, "5.7", 500, 19}, "earlier state", ""},
		},
		"tables of a dump": {
			{place{}, at("A", 1, "5.7", 300), "", ""},
			{at("A", 1, "5.7", 300), at("A", 1, "5.9", 400), "were restored", ""},
		},
		"a promotion, and the primary of before": {
			{place{}, at("A", 1, "5.7", 300), "", ""},
			{at("A", 1, "5.7", 300), at("A", 2, "5.7", 200), "from timeline 1 to 2", ""},
			{at("A", 2, "5.7", 200), at("A", 1, "5.7", 400), "", "left for timeline 2"},
			{at("A", 2, "5.7", 200), at("A", 2, "5.7", 210), "", ""},
		},
		"another cluster, and the one of before": {
			{place{}, at("A", 3, "5.7", 300), "", ""},
			{at("A", 3, "5.7", 300), at("B", 1, "5.7", 200), "another cluster", ""},
			{at("B", 1, "5.7", 200), at("A", 3, "5.7", 400), "", "replaced by another"},
		},
		"a server that does not tell": {
			{place{}, place{}, "", ""},
			{place{}, place{}, "", ""},
		},
	} {
		heard := new(findings)
		h := history{report: heard.report}
		rounds := int64(0)
		for i, s := range steps {
			err := h.follow(s.asked, s.found)
			if (err == nil) != (s.refused == "") || err != nil && !strings.Contains(err.Error(), s.refused) {
				t.Errorf("%s, step %d: %v, want %q", name, i, err, s.refused)
			}
			said := heard.of(store.FindingHistory)
			if (said == "") != (s.said == "") || !strings.Contains(said, s.said) {
				t.Errorf("%s, step %d: said %q, want %q", name, i, said, s.said)
			}
			if s.said != "" {
				rounds++
			}
			if h.round() != rounds {
				t.Errorf("%s, step %d: %d changes, want %d", name, i, h.round(), rounds)
			}
		}
	}
}

func TestARestoreUnderARunningNodeIsNoticed(t *testing.T) {
	server := pgtest.New(t, "fsync=off")
	database := server.Database()
	heard := new(findings)
	s := mustOpen(t, Config{DSN: server.DSN(pgtest.Superuser, database), Report: heard.report})
	mustPut(t, s, "same", "1")
	mustPut(t, s, "a", "before")
	seen := func() map[string]int64 {
		return map[string]int64{"a": version(t, s, "a"), "same": version(t, s, "same")}
	}
	stopped := func(do func() error) {
		t.Helper()
		if err := server.Stop(); err != nil {
			t.Fatal(err)
		}
		if err := do(); err != nil {
			t.Fatal(err)
		}
		server.Start()
	}
	noticed := func(what, want string, held map[string]int64) {
		t.Helper()
		changed, err := s.Changed(t.Context(), held)
		if slices.Sort(changed); err != nil || !slices.Equal(changed, []string{"a", "same"}) {
			t.Errorf("%s: to be read anew is %v, %v", what, changed, err)
		}
		if texts := heard.of(store.FindingHistory); strings.Count(texts, "\n") != 1 || !strings.Contains(texts, want) {
			t.Errorf("%s: it says %q", what, texts)
		}
		mustHold(t, s, "a", "before")
		if changed, err := s.Changed(t.Context(), seen()); err != nil || len(changed) > 0 {
			t.Errorf("%s: asked again: %v, %v", what, changed, err)
		}
	}

	// A restart alone is none.
	stopped(func() error { return nil })
	if changed, err := s.Changed(t.Context(), seen()); err != nil || len(changed) > 0 {
		t.Errorf("after a restart: %v, %v", changed, err)
	}
	if texts := heard.of(store.FindingHistory); texts != "" {
		t.Errorf("of a restart it says %q", texts)
	}

	stopped(server.Keep)
	mustPut(t, s, "a", "ended")
	held := seen()
	if _, err := s.Changed(t.Context(), held); err != nil {
		t.Fatal(err)
	}
	stopped(server.Restore)
	noticed("a copy of the files", "earlier state", held)

	dump := server.Dump(database)
	mustPut(t, s, "a", "ended")
	held = seen()
	server.Load(database, dump)
	noticed("a dump", "were restored", held)
}
