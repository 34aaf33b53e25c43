package etcdserver

import (
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
)

// Member is one member of a cluster.
type Member struct {
	// Endpoint is the URL for clients, Address its host and port.
	Endpoint, Address string
	// Data is the folder that it keeps its state in.
	Data string

	program string
	args    []string
	tls     *TLS
	log     string // path
	process *exec.Cmd
	exited  chan struct{}
}

// Start starts the member, where it left off.
func (m *Member) Start() error {
	log, err := os.OpenFile(m.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the process has its own
	cmd := exec.Command(m.program, m.args...)
	cmd.Stdout, cmd.Stderr = log, log
	if runtime.GOARCH != "amd64" {
		cmd.Env = append(os.Environ(), "ETCD_UNSUPPORTED_ARCH="+runtime.GOARCH) // which 3.4 asks for
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	m.process, m.exited = cmd, make(chan struct{})
	go func(exited chan struct{}) {
		_ = cmd.Wait() // how it ended is in its log
		close(exited)
	}(m.exited)
	return nil
}

// Kill ends the member at once, as kill -9 does, also while it is held up.
func (m *Member) Kill() {
	if m.process != nil {
		m.kill()
		<-m.exited
	}
}

// Hold stops the member from doing anything: its connections stay and
// nobody answers on them. Resume lets it go on, believing what it believed.
func (m *Member) Hold() { m.signal(syscall.SIGSTOP) }

// Resume ends Hold.
func (m *Member) Resume() { m.signal(syscall.SIGCONT) }

// PID is the process's.
func (m *Member) PID() int { return m.process.Process.Pid }

func (m *Member) kill() { m.signal(syscall.SIGKILL) }

func (m *Member) signal(s syscall.Signal) {
	if m.process != nil {
		_ = m.process.Process.Signal(s) // fails when it has ended
	}
}

// running reports whether the member was started and has not ended.
func (m *Member) running() bool {
	if m.process == nil {
		return false
	}
	select {
	case <-m.exited:
		return false
	default:
		return true
	}
}

// freeAddress returns an address that nothing listens on. Its port is below
// those that the system gives to outgoing connections.
func freeAddress() (string, error) {
	for range 100 {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(20000+rand.IntN(12000)))
		if listener, err := net.Listen("tcp", address); err == nil {
			_ = listener.Close()
			return address, nil
		}
	}
	return "", errors.New("no free port was found")
}
