package examples_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
	"github.com/caddymfa/caddy-mfa/internal/issuertest"
	"github.com/caddymfa/caddy-mfa/internal/pgtest"
	"github.com/caddymfa/caddy-mfa/mfa/seal"
)

func TestNodesShareAPostgreSQLDatabase(t *testing.T) {
	server, login := pgtest.New(t, "fsync=off"), issuertest.Start(t)
	server.Exec("postgres", "CREATE ROLE mfa LOGIN PASSWORD '"+pgtest.Password+"'", "CREATE DATABASE mfa OWNER mfa")
	bouncer := pgtest.NewBouncerFrom(t, server, read(t, "cluster-postgres/pgbouncer.ini"), "mfa")
	caddyfile := read(t, "cluster-postgres/Caddyfile")

	dsn := "MFA_DSN=" + pgtest.DSN(bouncer.Address, "mfa", "mfa")
	changes := []string{"https://login.example.com", login.URL, "/etc/caddy-mfa/mfa.key", "./mfa.key"}
	startTwoNodes(t, login, caddyfile, dsn, changes...).wantShared(func() {})

	// A node that was not given the key file of the others makes one of its
	// own, and stays out.
	stray := edgetest.New(t)
	stray.Full, stray.Env = true, []string{dsn}
	if _, _, err := seal.LoadOrCreate(filepath.Join(stray.Dir, "mfa.key")); err != nil {
		t.Fatal(err)
	}
	log := stray.StartRefused(here(t, stray, caddyfile, "example.com", changes...))
	if !strings.Contains(log, "the store was made with another key file") || strings.Contains(log, pgtest.Password) {
		t.Errorf("a node without the others' keys says\n%s", log)
	}
}
