// Package pgtest gives tests PostgreSQL and PgBouncer processes of their
// own.
package pgtest

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/pgserver"
	"github.com/caddymfa/caddy-mfa/internal/testtool"
)

// Users and passwords, as in package pgserver.
const (
	Superuser = pgserver.Superuser
	Password  = pgserver.Password
)

// Server is a PostgreSQL server of a test, which ends when a call of it
// fails.
type Server struct {
	*pgserver.Server
	t testing.TB
}

// New starts a server on a new cluster, with options such as "fsync=off".
// It is stopped and removed with the test.
func New(t testing.TB, options ...string) *Server {
	t.Helper()
	server, err := pgserver.New(options...)
	check(t, err)
	s := &Server{server, t}
	t.Cleanup(func() {
		if err := errors.Join(server.Stop(), server.Remove()); err != nil {
			t.Error(err)
		}
	})
	s.Start()
	return s
}

// shared is the server of Shared, once a test has asked for it.
var shared struct {
	sync.Mutex
	server *pgserver.Server
}

// Shared returns a server that all tests of a package share, which run in
// turn: it must be left as it is. Crashes undo its commits. It is stopped by
// Main, which the package's TestMain calls.
func Shared(t testing.TB) *Server {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil {
		server, err := pgserver.New("fsync=off")
		check(t, err)
		if err := server.Start(); err != nil {
			t.Fatal(errors.Join(err, server.Stop(), server.Remove()))
		}
		shared.server = server
	}
	return &Server{shared.server, t}
}

// Main runs the tests of a package and stops the server that they share.
func Main(m *testing.M) int {
	code := m.Run()
	if shared.server != nil {
		if err := errors.Join(shared.server.Stop(), shared.server.Remove()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	return code
}

func check(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, pgserver.ErrNotInstalled) {
		testtool.Missing(t, "%v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Start starts the server again, and waits until it takes connections.
func (s *Server) Start() {
	s.t.Helper()
	check(s.t, s.Server.Start())
}

// Kill ends the server and all its processes at once, as kill -9 does.
func (s *Server) Kill() {
	s.t.Helper()
	check(s.t, s.Server.Kill())
}

// DSN returns what user connects to database with, at a server, pooler or
// proxy.
func DSN(address, user, database string) string { return pgserver.DSN(address, user, database) }

var databases atomic.Int64

// Database makes an empty database and returns its name.
func (s *Server) Database() string {
	s.t.Helper()
	name := fmt.Sprintf("test%d", databases.Add(1))
	s.Exec("postgres", "CREATE DATABASE "+name)
	return name
}

// Exec has the superuser make statements in database.
func (s *Server) Exec(database string, statements ...string) {
	s.t.Helper()
	check(s.t, s.Server.Exec(database, statements...))
}

// NewBouncer starts a PgBouncer before all databases of s, in transaction
// mode, for the superuser. It is stopped with the test.
func NewBouncer(t testing.TB, s *Server) *pgserver.Bouncer {
	t.Helper()
	return NewBouncerFrom(t, s, "")
}

// NewBouncerFrom is NewBouncer with a configuration, as
// pgserver.StartBouncer takes it, and further users.
func NewBouncerFrom(t testing.TB, s *Server, config string, users ...string) *pgserver.Bouncer {
	t.Helper()
	b, err := pgserver.StartBouncer(s.Server, config, users...)
	check(t, err)
	t.Cleanup(func() {
		if err := b.Stop(); err != nil {
			t.Error(err)
		}
	})
	return b
}
