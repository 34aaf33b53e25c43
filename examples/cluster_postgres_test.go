package examples_test

import (
	"os"
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

	var nodes []*edgetest.Edge
	for i := range 2 {
		e := edgetest.New(t)
		e.Full = true
		e.Env = []string{"MFA_DSN=" + pgtest.DSN(bouncer.Address, "mfa", "mfa")}
		if i == 0 {
			wantValid(t, e, caddyfile)
		} else {
			// As step 3 of the README says.
			key, err := os.ReadFile(filepath.Join(nodes[0].Dir, "mfa.key"))
			if err != nil {
				t.Fatal(err)
			}
			e.Write("mfa.key", string(key))
		}
		// Both are reached as https://example.com, which is not here.
		e.Start(here(t, e, caddyfile, "example.com",
			"https://login.example.com", login.URL, "/etc/caddy-mfa/mfa.key", "./mfa.key"))
		nodes = append(nodes, e)
	}
	bearer := func(e *edgetest.Edge) string {
		return login.Token(claims("alice", map[string]any{"iss": login.URL, "aud": e.URL}))
	}
	setup := nodes[0].Do("POST", "/mfa/setup", bearer(nodes[0]), map[string]any{"mfaType": "GOOGLE_AUTH"}).Data(t)
	answer := nodes[1].Do("POST", "/mfa/verify-setup", bearer(nodes[1]),
		map[string]any{"mfaType": "GOOGLE_AUTH", "code": edgetest.Code(t, setup["secret"].(string))})
	answer.WantMessage(t, "MFA setup verified and enabled")
	wantShut(t, nodes[1], "/admin/users", bearer(nodes[1]))
	wantOpen(t, nodes[1], "/admin/users", answer.JSON["fullAccessToken"].(string))
	if status := nodes[0].Do("GET", "/mfa/status", bearer(nodes[0]), nil).Data(t); status["isEnabled"] != true {
		t.Errorf("the other node says %v", status)
	}

	// A node that was not given the key file of the others makes one of its
	// own, and stays out.
	stray := edgetest.New(t)
	stray.Full, stray.Env = true, nodes[0].Env
	if _, _, err := seal.LoadOrCreate(filepath.Join(stray.Dir, "mfa.key")); err != nil {
		t.Fatal(err)
	}
	log := stray.StartRefused(here(t, stray, caddyfile, "example.com",
		"https://login.example.com", login.URL, "/etc/caddy-mfa/mfa.key", "./mfa.key"))
	if !strings.Contains(log, "the store was made with another key file") || strings.Contains(log, pgtest.Password) {
		t.Errorf("a node without the others' keys says\n%s", log)
	}
}
