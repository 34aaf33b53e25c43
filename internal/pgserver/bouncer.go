package pgserver

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// Bouncer is a PgBouncer that pools transactions.
type Bouncer struct {
	// Address is its host and port.
	Address string

	folder  string
	process *process
}

// transactionMode is the configuration of a PgBouncer before all databases,
// where each transaction gets whatever connection is free, out of few.
const transactionMode = `[databases]
* = host=db.internal port=5432

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = 6432
auth_type = scram-sha-256
auth_file = /etc/pgbouncer/userlist.txt
pool_mode = transaction
default_pool_size = 8
max_client_conn = 1000
server_login_retry = 1
`

// StartBouncer starts a PgBouncer before s, for the users that are named and
// the superuser. In its configuration, "" for one in transaction mode,
// db.internal, port 6432 and /etc/pgbouncer/userlist.txt are replaced by what
// there is.
func StartBouncer(s *Server, config string, users ...string) (*Bouncer, error) {
	program, err := findBouncer()
	if err != nil {
		return nil, err
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
	config = strings.NewReplacer("host=db.internal port=5432", "host=127.0.0.1 port="+s.Port(), "6432", port,
		"/etc/pgbouncer/userlist.txt", filepath.Join(folder, "users")).Replace(cmp.Or(config, transactionMode)) +
		"\nunix_socket_dir =\n"
	for name, content := range map[string]string{"users": list, "pgbouncer.ini": config} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o644); err != nil {
			return nil, err
		}
	}
	if b.process, err = start(program, filepath.Join(folder, "pgbouncer.ini")); err != nil {
		return nil, err
	}
	return b, b.process.await(func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", b.Address)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// Stop ends it and removes its folder.
func (b *Bouncer) Stop() error {
	if err := b.process.stop(syscall.SIGINT); err != nil {
		return err
	}
	return os.RemoveAll(b.folder)
}

// BouncerVersion returns the version of the PgBouncer that StartBouncer
// starts.
func BouncerVersion() (major, minor int, err error) {
	program, err := findBouncer()
	if err != nil {
		return 0, 0, err
	}
	out, err := exec.Command(program, "--version").Output()
	if err != nil {
		return 0, 0, err
	}
	if _, err := fmt.Sscanf(string(out), "PgBouncer %d.%d", &major, &minor); err != nil {
		return 0, 0, fmt.Errorf("reading the version of PgBouncer: %w", err)
	}
	return major, minor, nil
}

func findBouncer() (string, error) {
	if path, err := exec.LookPath("pgbouncer"); err == nil {
		return path, nil
	}
	const program = "/usr/sbin/pgbouncer"
	if _, err := os.Stat(program); err != nil {
		return "", fmt.Errorf("looking for PgBouncer: %w", ErrNotInstalled)
	}
	return program, nil
}
