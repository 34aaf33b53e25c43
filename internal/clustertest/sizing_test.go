package clustertest

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/caddymfa/caddy-mfa/internal/pgtest"
)

// TestAPersonTakesAsMuchRoomAndAsManyWritesAsIsDocumented holds what
// docs/stores.md says of sizing against what the database sees.
func TestAPersonTakesAsMuchRoomAndAsManyWritesAsIsDocumented(t *testing.T) {
	server := pgtest.New(t, "fsync=off")
	database := server.Database()
	dsn := server.DSN(pgtest.Superuser, database)
	c := Start(t, Engine{Store: func(int) (string, []string) {
		return "store postgres {\n\tdsn {env.MFA_DSN}\n}", []string{"MFA_DSN=" + dsn}
	}})
	server.Exec(database,
		"CREATE TABLE writes (n bigint GENERATED ALWAYS AS IDENTITY, key text, bytes int)",
		`CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			INSERT INTO writes (key, bytes) VALUES (convert_from(NEW.key, 'UTF8'), octet_length(NEW.value)); RETURN NEW;
		END $$`,
		"CREATE TRIGGER note AFTER INSERT OR UPDATE ON caddy_mfa_documents FOR EACH ROW EXECUTE FUNCTION note()")
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	c.enrolled(t) // makes what all share
	step := func(what string, writes, bytes int, do func()) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), "TRUNCATE writes"); err != nil {
			t.Fatal(err)
		}
		do()
		var n, largest int
		var keys string
		err := conn.QueryRow(t.Context(), "SELECT count(*), coalesce(max(bytes), 0), coalesce(string_agg(split_part(key, '/', 1), ' '), '') FROM writes").
			Scan(&n, &largest, &keys)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d writes (%s), of %d bytes at most", what, n, keys, largest)
		if n != writes || largest > bytes || strings.Trim(keys, "user ") != "" {
			t.Errorf("%s: %d writes of %s, of %d bytes at most; documented are %d of %d", what, n, keys, largest, writes, bytes)
		}
	}
	p := c.newPerson(t)
	step("beginning a setup", 1, 1100, func() { p.setup(t, c, 0) })
	step("confirming it", 1, 1350, func() {
		answer := c.Do(t, 1, "POST", "/mfa/verify-setup", p.token, proof(p.code(t, 0)))
		p.access = answer.JSON["fullAccessToken"].(string)
	})
	var refresh any
	step("signing in", 1, 1650, func() { refresh = p.login(t, c, 2, p.code(t, 1)).JSON["refreshToken"] })
	step("a wrong code", 1, 1650, func() { p.login(t, c, 0, "AAAA-AAAA-AAAA") })
	step("refreshing", 1, 1700, func() {
		c.Do(t, 1, "POST", "/mfa/refresh", p.token, map[string]any{"refreshToken": refresh})
	})
	step("a request at a gate", 0, 0, func() { c.wantOpen(t, p.access) })
	step("nine sessions more", 9, 3800, func() {
		for _, code := range p.backup[:9] {
			p.login(t, c, c.Any(), code)
		}
	})
	var size, rows int64
	err = conn.QueryRow(t.Context(), "SELECT pg_total_relation_size('caddy_mfa_documents'), count(*) FROM caddy_mfa_documents").Scan(&size, &rows)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d documents take %d bytes, with the index and what earlier versions have left", rows, size)
}
