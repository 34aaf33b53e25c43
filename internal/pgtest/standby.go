package pgtest

import (
	"errors"
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/pgserver"
)

// NewStandby starts a streaming standby of s. It is stopped and removed with
// the test.
func NewStandby(t testing.TB, s *Server) *Server {
	t.Helper()
	server, err := pgserver.NewStandby(s.Server)
	check(t, err)
	standby := &Server{server, t}
	t.Cleanup(func() {
		if err := errors.Join(server.Stop(), server.Remove()); err != nil {
			t.Error(err)
		}
	})
	standby.Start()
	return standby
}

// Promote makes a standby the primary.
func (s *Server) Promote() {
	s.t.Helper()
	s.Exec("postgres", "DO $$ BEGIN IF NOT pg_promote() THEN RAISE 'it is not promoted'; END IF; END $$")
}

// Dump returns what pg_dump makes of database.
func (s *Server) Dump(database string) []byte {
	s.t.Helper()
	dump, err := s.Server.Dump(database)
	check(s.t, err)
	return dump
}

// Load makes the statements of a dump in database.
func (s *Server) Load(database string, dump []byte) {
	s.t.Helper()
	check(s.t, s.Server.Load(database, dump))
}
