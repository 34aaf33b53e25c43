package main_test

import (
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
	"github.com/caddymfa/caddy-mfa/internal/pgtest"
)

func TestADatabaseIsNotCopiedOntoItselfUnderAnotherName(t *testing.T) {
	server := pgtest.New(t)
	e := edgetest.New(t)
	e.Full = true
	e.Env = []string{"MFA_DSN=" + pgtest.DSN(server.Address, pgtest.Superuser, server.Database())}
	e.Start(edgetest.Caddyfile)
	enrol(t, e, e.Token("alice", nil))
	e.Stop()
	one, other := `{"engine":"postgres","dsn":"{env.MFA_DSN}"}`, `{"engine":"postgres","dsn":"{env.MFA_DSN}","max_connections":3}`
	mfaCommand(t, e, "copy", "--from", "Caddyfile", "--to", one)
	wantRefused(t, e, []string{"copy", "--from", one, "--to", other, "--overwrite", "--yes"}, "the same store")
	served := caddyfile("store postgres {", "dsn {env.MFA_DSN}", "}")
	e.Start(served)
	wantMethods(t, e, e.Token("alice", nil), "GOOGLE_AUTH")
}
