package pgtest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/caddymfa/caddy-mfa/internal/testtool"
)

// Bouncer is a PgBouncer that pools transactions.
type Bouncer struct {
	// Address is its host and port.
	Address string
}

// NewBouncer starts a PgBouncer before all databases of s, for the users
// that are named. Each client's transactions get whatever connection is free,
// out of few. It is stopped with the test.
func NewBouncer(t testing.TB, s *Server, users ...string) *Bouncer {
	t.Helper()
	program := testtool.Need(t, "pgbouncer", "/usr/sbin/pgbouncer")
	folder, port := newFolder(t, "pgbouncertest-"), freePort(t)
	list := ""
	for _, user := range append(users, Superuser) {
		list += fmt.Sprintf("%q %q\n", user, Password)
	}
	write := func(name, content string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	config := fmt.Sprintf(`[databases]
* = host=127.0.0.1 port=%s

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %s
unix_socket_dir =
auth_type = scram-sha-256
auth_file = %s
pool_mode = transaction
default_pool_size = 8
max_client_conn = 1000
server_login_retry = 1
`, s.Port(), port, write("users", list))
	b := &Bouncer{Address: "127.0.0.1:" + port}
	p := start(t, program, write("pgbouncer.ini", config))
	t.Cleanup(func() { p.stop(syscall.SIGINT) })
	p.await("it takes connections", func(ctx context.Context) error {
		conn, err := pgx.Connect(ctx, DSN(b.Address, Superuser, "postgres"))
		if err != nil {
			return err
		}
		return conn.Close(ctx)
	})
	return b
}
