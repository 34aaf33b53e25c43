// Package pgserver runs PostgreSQL and PgBouncer processes, for tests and
// measurements, in folders of their own and on loopback alone.
package pgserver

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Patience is how long a process may take for anything before that counts
// as a failure.
const Patience = 60 * time.Second

// Superuser is the user that owns the cluster. It authenticates as anybody
// does.
const Superuser = "postgres"

// Password is that of all users of the cluster.
const Password = "s3cret-of-pgserver"

// ErrNotInstalled is returned when there is no PostgreSQL, or no PgBouncer.
var ErrNotInstalled = errors.New("it is not installed")

// Server is a PostgreSQL server with a data folder of its own.
type Server struct {
	// Address is its host and port.
	Address string
	// Options are settings such as "fsync=off", for the next Start.
	Options []string

	programs string // folder
	folder   string
	port     string
	process  *process
}

// New makes a cluster, in a folder that Remove removes. It starts nothing.
func New(options ...string) (*Server, error) {
	programs, err := findPrograms()
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	folder, err := newFolder("pgserver-")
	if err != nil {
		return nil, err
	}
	s := &Server{Address: "127.0.0.1:" + port, Options: options, programs: programs, folder: folder, port: port}
	if err := s.initialize(); err != nil {
		s.Remove()
		return nil, err
	}
	return s, nil
}

func (s *Server) initialize() error {
	passwords := filepath.Join(s.folder, "password")
	if err := os.WriteFile(passwords, []byte(Password+"\n"), 0o644); err != nil {
		return err
	}
	cmd := asOther(exec.Command(s.Program("initdb"), "--pgdata", s.Data(), "--username", Superuser,
		"--pwfile", passwords, "--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale", "--no-sync"))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("making a cluster: %w\n%s", err, out)
	}
	return nil
}

// findPrograms returns the folder of the newest PostgreSQL there is.
func findPrograms() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // the pattern is well formed
	if path, err := exec.LookPath("initdb"); err == nil {
		found = append(found, path)
	}
	if len(found) == 0 {
		return "", fmt.Errorf("looking for PostgreSQL: %w", ErrNotInstalled)
	}
	return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })), nil
}

// version reads the major version from a path such as
// /usr/lib/postgresql/15/bin/initdb, 0 where there is none.
func version(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))) // 0 for other paths
	return n
}

// Start starts the server and waits until it takes connections.
func (s *Server) Start() error {
	args := []string{"-D", s.Data(), "-c", "listen_addresses=127.0.0.1", "-c", "port=" + s.port,
		"-c", "unix_socket_directories=", "-c", "max_connections=300", "-c", "shared_buffers=64MB"}
	for _, option := range s.Options {
		args = append(args, "-c", option)
	}
	var err error
	if s.process, err = start(s.Program("postgres"), args...); err != nil {
		return err
	}
	return s.process.await(func(ctx context.Context) error {
		conn, err := pgx.Connect(ctx, s.DSN(Superuser, "postgres"))
		if err != nil {
			return err
		}
		return conn.Close(ctx)
	})
}

// Kill ends the server and all its processes at once, as kill -9 does.
func (s *Server) Kill() error { return s.process.killAll() }

// Stop ends the server, without waiting for its clients.
func (s *Server) Stop() error {
	if s.process == nil {
		return nil
	}
	return s.process.stop(syscall.SIGQUIT)
}

// Remove removes the cluster. The server must have ended.
func (s *Server) Remove() error { return os.RemoveAll(s.folder) }

// Processes returns the IDs of all processes of the server.
func (s *Server) Processes() []int {
	pid := s.process.cmd.Process.Pid
	return append(childrenOf(pid), pid)
}

// DSN returns what user connects to database with.
func (s *Server) DSN(user, database string) string { return DSN(s.Address, user, database) }

// DSN returns what user connects to database with, at a server, pooler or
// proxy.
func DSN(address, user, database string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(user, Password), Host: address, Path: database, RawQuery: "sslmode=disable"}
	return u.String()
}

// Port is the port of Address.
func (s *Server) Port() string { return s.port }

// Data is the data folder.
func (s *Server) Data() string { return filepath.Join(s.folder, "data") }

// Program returns the path of one of PostgreSQL's programs, such as pgbench.
func (s *Server) Program(name string) string { return filepath.Join(s.programs, name) }

// Exec has the superuser make statements in database.
func (s *Server) Exec(database string, statements ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.DSN(Superuser, database))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}
