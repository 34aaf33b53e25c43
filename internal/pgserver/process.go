package pgserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a program that was started.
type process struct {
	cmd    *exec.Cmd
	output *bytes.Buffer // to be read once it has ended
	exited chan struct{}
}

func start(program string, args ...string) (*process, error) {
	p := &process{cmd: asOther(exec.Command(program, args...)), output: new(bytes.Buffer), exited: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	p.cmd.WaitDelay = time.Second // its children may hold the pipe
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait() // how it ended says nothing: it was told to
		close(p.exited)
	}()
	return p, nil
}

// await asks until ready returns no error any more.
func (p *process) await(ready func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.exited:
			return fmt.Errorf("%s ended at its start:\n%s", p.cmd.Path, p.output)
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready after %v: %w", p.cmd.Path, Patience, err)
		case <-ticker.C:
		}
	}
}

// stop sends signal and waits for the end.
func (p *process) stop(signal syscall.Signal) error {
	_ = p.cmd.Process.Signal(signal) // fails when it has ended already
	select {
	case <-p.exited:
		return nil
	case <-time.After(Patience):
		return errors.Join(fmt.Errorf("%s does not end: it is killed", p.cmd.Path), p.killAll())
	}
}

// killAll kills the process and its children, and waits until none is left.
func (p *process) killAll() error {
	children := childrenOf(p.cmd.Process.Pid)
	_ = p.cmd.Process.Kill() // fails when it has ended already
	for _, pid := range children {
		_ = syscall.Kill(pid, syscall.SIGKILL) // likewise
	}
	<-p.exited
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(Patience); slices.ContainsFunc(children, alive); <-ticker.C {
		if time.Now().After(deadline) {
			return fmt.Errorf("children of %s do not end", p.cmd.Path)
		}
	}
	return nil
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
func newFolder(pattern string) (string, error) {
	folder, err := os.MkdirTemp("", pattern)
	if err != nil {
		return "", err
	}
	return folder, Own(folder)
}

// Own gives a file to the user that the servers run as.
func Own(path string) error {
	if credential := other(); credential != nil {
		return os.Chown(path, int(credential.Uid), int(credential.Gid))
	}
	return nil
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

// other returns a user who is not root, or nil for who runs this program.
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
func freePort() (string, error) {
	for range 100 {
		port := strconv.Itoa(20000 + rand.IntN(12000))
		if listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port)); err == nil {
			_ = listener.Close()
			return port, nil
		}
	}
	return "", errors.New("no free port was found")
}
