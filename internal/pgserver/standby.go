package pgserver

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// NewStandby makes a streaming standby of s, which must run, in a folder that
// Remove removes. It starts nothing.
func NewStandby(s *Server) (*Server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	folder, err := newFolder("pgserver-")
	if err != nil {
		return nil, err
	}
	standby := &Server{Address: "127.0.0.1:" + port, Options: s.Options, programs: s.programs, folder: folder, port: port}
	cmd := asOther(exec.Command(s.Program("pg_basebackup"), "--dbname", s.DSN(Superuser, ""), "--pgdata", standby.Data(),
		"--write-recovery-conf", "--wal-method", "stream", "--checkpoint", "fast", "--no-sync"))
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("making a standby: %w\n%s", err, out), standby.Remove())
	}
	return standby, nil
}

// Hold stops all processes of the server, so that it answers nothing, until
// Resume.
func (s *Server) Hold() error { return s.signal(syscall.SIGSTOP) }

// Resume undoes Hold.
func (s *Server) Resume() error { return s.signal(syscall.SIGCONT) }

func (s *Server) signal(signal syscall.Signal) error {
	for _, pid := range s.Processes() {
		if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	return nil
}

// Keep copies the data folder, for Restore. The server must have ended.
func (s *Server) Keep() error { return s.copyData(s.Data(), s.kept()) }

// Restore puts what Keep has copied in the place of the data. The server
// must have ended.
func (s *Server) Restore() error { return s.copyData(s.kept(), s.Data()) }

func (s *Server) kept() string { return filepath.Join(s.folder, "kept") }

func (s *Server) copyData(from, to string) error {
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		return fmt.Errorf("copying the data: %w\n%s", err, out)
	}
	return nil
}

// Dump returns what pg_dump makes of database, with statements that drop what
// is there.
func (s *Server) Dump(database string) ([]byte, error) {
	return asOther(exec.Command(s.Program("pg_dump"), "--clean", "--dbname", s.DSN(Superuser, database))).Output()
}

// Load has psql make the statements of a dump in database.
func (s *Server) Load(database string, dump []byte) error {
	cmd := asOther(exec.Command(s.Program("psql"), "--quiet", "--no-psqlrc", "--set", "ON_ERROR_STOP=1", "--dbname", s.DSN(Superuser, database)))
	cmd.Stdin = bytes.NewReader(dump)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("loading a dump: %w\n%s", err, out)
	}
	return nil
}
