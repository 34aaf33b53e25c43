// Package pgtest runs real PostgreSQL and PgBouncer processes for tests, in
// folders of their own and on loopback alone.
package pgtest

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/caddymfa/caddy-mfa/internal/testtool"
)

// patience is how long a process may take for anything before the test
// gives up. It bounds a failure; no test waits it out.
const patience = 60 * time.Second

// Superuser is the user that owns the cluster. It authenticates as anybody
// does.
const Superuser = "postgres"

// Password is that of all users of the cluster.
const Password = "s3cret-of-pgtest"

// Server is a PostgreSQL server with a data folder of its own.
type Server struct {
	// Address is its host and port.
	Address string

	t       testing.TB
	bin     string // folder of its programs
	data    string
	port    string
	options []string
	process *process
}

// New makes a cluster and starts a server on it, with options such as
// "fsync=off". It is stopped and removed with the test.
func New(t testing.TB, options ...string) *Server {
	t.Helper()
	bin := programs(t)
	folder := newFolder(t, "pgtest-")
	s := &Server{t: t, bin: bin, data: filepath.Join(folder, "data"), port: freePort(t), options: options}
	s.Address = "127.0.0.1:" + s.port
	passwords := filepath.Join(folder, "password")
	if err := os.WriteFile(passwords, []byte(Password+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := asOther(exec.Command(filepath.Join(bin, "initdb"), "--pgdata", s.data, "--username", Superuser,
		"--pwfile", passwords, "--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale", "--no-sync"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("making a cluster: %v\n%s", err, out)
	}
	t.Cleanup(s.Stop)
	s.Start()
	return s
}

// programs returns the folder of the newest PostgreSQL there is.
func programs(t testing.TB) string {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // the pattern is well formed
	if path, err := exec.LookPath("initdb"); err == nil {
		found = append(found, path)
	}
	if len(found) == 0 {
		testtool.Missing(t, "PostgreSQL is not installed")
	}
	return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) }))
}

// version reads the major version from a path such as
// /usr/lib/postgresql/15/bin/initdb, 0 where there is none.
func version(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))) // 0 for other paths
	return n
}

// Start starts the server and waits until it takes connections.
func (s *Server) Start() {
	s.t.Helper()
	args := []string{"-D", s.data, "-c", "listen_addresses=127.0.0.1", "-c", "port=" + s.port,
		"-c", "unix_socket_directories=", "-c", "max_connections=300", "-c", "shared_buffers=64MB"}
	for _, option := range s.options {
		args = append(args, "-c", option)
	}
	s.process = start(s.t, filepath.Join(s.bin, "postgres"), args...)
	s.process.await("it takes connections", func(ctx context.Context) error {
		conn, err := pgx.Connect(ctx, s.DSN(Superuser, "postgres"))
		if err != nil {
			return err
		}
		return conn.Close(ctx)
	})
}

// Kill ends the server and all its processes at once, as kill -9 does.
func (s *Server) Kill() {
	s.t.Helper()
	s.process.killAll()
}

// Stop ends the server, without waiting for its clients.
func (s *Server) Stop() { s.process.stop(syscall.SIGQUIT) }

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

// Program returns the path of one of PostgreSQL's programs, such as pgbench.
func (s *Server) Program(name string) string { return filepath.Join(s.bin, name) }

var databases struct {
	sync.Mutex
	made int
}

// Database makes an empty database and returns its name.
func (s *Server) Database() string {
	s.t.Helper()
	databases.Lock()
	databases.made++
	name := fmt.Sprintf("test%d", databases.made)
	databases.Unlock()
	s.Exec("postgres", "CREATE DATABASE "+name)
	return name
}

// Exec has the superuser make statements in database.
func (s *Server) Exec(database string, statements ...string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.DSN(Superuser, database))
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close(ctx)
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			s.t.Fatalf("%s: %v", statement, err)
		}
	}
}

// process is a program that a test has started.
type process struct {
	t      testing.TB
	cmd    *exec.Cmd
	output *bytes.Buffer // to be read once it has ended
	exited chan struct{}
}

func start(t testing.TB, program string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: asOther(exec.Command(program, args...)), output: new(bytes.Buffer), exited: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	p.cmd.WaitDelay = time.Second // its children may hold the pipe
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ended says nothing: it was told to
		close(p.exited)
	}()
	return p
}

// await asks until ready says that there is no error any more.
func (p *process) await(what string, ready func(ctx context.Context) error) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return
		}
		select {
		case <-p.exited:
			p.t.Fatalf("%s ended before %s:\n%s", p.cmd.Path, what, p.output)
		case <-ctx.Done():
			p.t.Fatalf("%s: after %v still not: %s: %v", p.cmd.Path, patience, what, err)
		case <-ticker.C:
		}
	}
}

// stop sends signal and waits for the end.
func (p *process) stop(signal syscall.Signal) {
	_ = p.cmd.Process.Signal(signal) // fails when it has ended already
	select {
	case <-p.exited:
	case <-time.After(patience):
		p.t.Errorf("%s does not end: it is killed", p.cmd.Path)
		p.killAll()
	}
}

// killAll kills the process and its children, and waits until none is left.
func (p *process) killAll() {
	p.t.Helper()
	children := childrenOf(p.cmd.Process.Pid)
	_ = p.cmd.Process.Kill() // fails when it has ended already
	for _, pid := range children {
		_ = syscall.Kill(pid, syscall.SIGKILL) // likewise
	}
	<-p.exited
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(patience); slices.ContainsFunc(children, alive); <-ticker.C {
		if time.Now().After(deadline) {
			p.t.Fatalf("children of %s do not end", p.cmd.Path)
		}
	}
}

// childrenOf returns the processes whose parent is pid.
func childrenOf(pid int) (children []int) {
	all, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is well formed
	for _, path := range all {
		if state, parent := status(path); state != "" && parent == pid {
			child, _ := strconv.Atoi(filepath.Base(filepath.Dir(path))) // by the pattern
			children = append(children, child)
		}
	}
	return children
}

// alive reports whether a process is still there, and no mere entry that
// its parent has not taken notice of.
func alive(pid int) bool {
	state, _ := status(fmt.Sprintf("/proc/%d/stat", pid))
	return state != "" && state != "Z" && state != "X"
}

// status reads the state and the parent from /proc/<pid>/stat; the state is
// "" when there is no such process.
func status(path string) (state string, parent int) {
	stat, err := os.ReadFile(path)
	if err != nil {
		return "", 0
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:])) // behind the name
	parent, _ = strconv.Atoi(fields[1])                                       // it is a number
	return fields[0], parent
}

// newFolder makes a folder that the servers' user can write to.
func newFolder(t testing.TB, pattern string) string {
	t.Helper()
	folder, err := os.MkdirTemp("", pattern) // that of the test is closed to others
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(folder); err != nil {
			t.Error(err)
		}
	})
	if credential := other(); credential != nil {
		if err := os.Chown(folder, int(credential.Uid), int(credential.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// asOther has cmd run as somebody else than root, whom neither PostgreSQL
// nor PgBouncer serves.
func asOther(cmd *exec.Cmd) *exec.Cmd {
	cmd.Dir = "/"
	if credential := other(); credential != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
	}
	return cmd
}

// other returns a user who is not root, or nil for who runs the test.
var other = sync.OnceValue(func() *syscall.Credential {
	if os.Geteuid() != 0 {
		return nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err == nil && err2 == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		}
	}
	return nil
})

// freePort returns a port that nothing listens on, below those that the
// system gives to outgoing connections.
func freePort(t testing.TB) string {
	t.Helper()
	for range 100 {
		port := strconv.Itoa(20000 + rand.IntN(12000))
		if listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port)); err == nil {
			_ = listener.Close()
			return port
		}
	}
	t.Fatal("no free port was found")
	return ""
}
