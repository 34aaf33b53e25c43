package pgserver

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// Bouncer is a PgBouncer that pools transactions.
type Bouncer struct {
	// Address is its host and port.
	Address string

	folder  string
	process *process
}

// StartBouncer starts a PgBouncer before all databases of s, for the users
// that are named and the superuser. Each transaction gets whatever
// connection is free, out of few.
func StartBouncer(s *Server, users ...string) (*Bouncer, error) {
	program := "/usr/sbin/pgbouncer"
	if path, err := exec.LookPath("pgbouncer"); err == nil {
		program = path
	} else if _, err := os.Stat(program); err != nil {
		return nil, fmt.Errorf("looking for PgBouncer: %w", ErrNotInstalled)
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	folder, err := newFolder("pgbouncer-")
	if err != nil {
		return nil, err
	}
	b := &Bouncer{Address: "127.0.0.1:" + port, folder: folder}
	list := ""
	for _, user := range append(users, Superuser) {
		list += fmt.Sprintf("%q %q\n", user, Password)
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
`, s.Port(), port, filepath.Join(folder, "users"))
	for name, content := range map[string]string{"users": list, "pgbouncer.ini": config} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o644); err != nil {
			return nil, err
		}
	}
	if b.process, err = start(program, filepath.Join(folder, "pgbouncer.ini")); err != nil {
		return nil, err
	}
	return b, b.process.await(connects(DSN(b.Address, Superuser, "postgres")))
}

// Stop ends it and removes its folder.
func (b *Bouncer) Stop() error {
	if err := b.process.stop(syscall.SIGINT); err != nil {
		return err
	}
	return os.RemoveAll(b.folder)
}
