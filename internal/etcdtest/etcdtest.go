// Package etcdtest runs real etcd clusters for tests: in temporary folders,
// on free ports of loopback, with members that can be killed, held up and
// started again one by one.
package etcdtest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

// patience is how long a cluster may take for anything before the test gives
// up. It bounds a failure; no test waits it out.
const patience = 60 * time.Second

// Options say how a cluster runs. The zero value is one member of the etcd
// that the system has installed, in the clear.
type Options struct {
	// Server is the program: System or Current.
	Server func(t testing.TB) string
	// Members is their number, 1 where it is 0.
	Members int
	// TLS are the files of a cluster that is encrypted.
	TLS *TLS
	// Flags are given to each member.
	Flags []string
}

// Cluster is a running cluster. It is stopped with the test.
type Cluster struct {
	// Members are in the order of their start.
	Members []*Member

	t testing.TB
}

// Member is one member of a cluster.
type Member struct {
	// Endpoint is the URL for clients, Address its host and port.
	Endpoint, Address string
	// Data is the folder that it keeps its state in.
	Data string

	t       testing.TB
	program string
	args    []string
	tls     *TLS
	process *exec.Cmd
	exited  chan struct{}
	log     string // path
	ended   bool   // on purpose
}

// Start starts a cluster and waits until it serves.
func Start(t testing.TB, o Options) *Cluster {
	t.Helper()
	if o.Server == nil {
		o.Server = System
	}
	program := o.Server(t)
	c := &Cluster{t: t}
	scheme := "http"
	if o.TLS != nil {
		scheme = "https"
	}
	var peers []string
	for i := range max(o.Members, 1) {
		address, peer := freeAddress(t), "http://"+freeAddress(t)
		name, folder := fmt.Sprintf("member-%d", i), t.TempDir()
		m := &Member{
			t: t, program: program, tls: o.TLS,
			Address: address, Endpoint: scheme + "://" + address,
			Data: filepath.Join(folder, "data"), log: filepath.Join(folder, "log"),
		}
		peers = append(peers, name+"="+peer)
		m.args = append([]string{
			"--name", name, "--data-dir", m.Data,
			"--listen-client-urls", m.Endpoint, "--advertise-client-urls", m.Endpoint,
			"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
			"--logger", "zap", "--log-level", "warn",
		}, o.Flags...)
		if o.TLS != nil {
			m.args = append(m.args, "--client-cert-auth", "--trusted-ca-file", o.TLS.CA,
				"--cert-file", o.TLS.Cert, "--key-file", o.TLS.Key)
		}
		c.Members = append(c.Members, m)
	}
	for _, m := range c.Members {
		m.args = append(m.args, "--initial-cluster-state", "new", "--initial-cluster-token", t.Name(), "--initial-cluster", strings.Join(peers, ","))
	}
	t.Cleanup(func() {
		for _, m := range c.Members {
			m.Kill()
			if log, err := os.ReadFile(m.log); t.Failed() && err == nil {
				t.Logf("log of %s:\n%.20000s", m.Endpoint, log)
			}
		}
	})
	for _, m := range c.Members {
		m.Start()
	}
	c.Await()
	return c
}

// Endpoints are the URLs of all members.
func (c *Cluster) Endpoints() []string {
	var all []string
	for _, m := range c.Members {
		all = append(all, m.Endpoint)
	}
	return all
}

// Kill ends all members at once, as kill -9 does.
func (c *Cluster) Kill() {
	for _, m := range c.Members {
		m.signal(syscall.SIGKILL)
	}
	for _, m := range c.Members {
		m.Kill()
	}
}

// Restart starts the members that do not run, and waits until they serve.
func (c *Cluster) Restart() {
	c.t.Helper()
	for _, m := range c.Members {
		if m.ended {
			m.Start()
		}
	}
	c.Await()
}

// Await waits until each member that runs answers with the agreement of a
// majority.
func (c *Cluster) Await() {
	c.t.Helper()
	for _, m := range c.Members {
		if !m.ended {
			m.await()
		}
	}
}

// Leader returns the member that leads, as those that run agree.
func (c *Cluster) Leader() *Member {
	c.t.Helper()
	var leader *Member
	c.poll("a leader", func() bool {
		for _, m := range c.Members {
			if m.ended {
				continue
			}
			if status, err := m.Status(); err == nil && status.Leader != 0 && status.Leader == status.Header.MemberId {
				leader = m
				return true
			}
		}
		return false
	})
	return leader
}

// Client returns a client of the whole cluster.
func (c *Cluster) Client() *clientv3.Client {
	c.t.Helper()
	return c.Members[0].client(c.Endpoints()...)
}

func (c *Cluster) poll(what string, done func() bool) {
	c.t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(patience); !done(); <-ticker.C {
		if time.Now().After(deadline) {
			c.t.Fatalf("after %v still not: %s", patience, what)
		}
	}
}

// Start starts the member, where it left off.
func (m *Member) Start() {
	m.t.Helper()
	log, err := os.OpenFile(m.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		m.t.Fatal(err)
	}
	defer log.Close() // the process has its own
	cmd := exec.Command(m.program, m.args...)
	cmd.Stdout, cmd.Stderr = log, log
	if runtime.GOARCH != "amd64" {
		cmd.Env = append(os.Environ(), "ETCD_UNSUPPORTED_ARCH="+runtime.GOARCH) // which 3.4 asks for
	}
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.process, m.exited, m.ended = cmd, make(chan struct{}), false
	go func(exited chan struct{}) {
		_ = cmd.Wait() // how it ended is in its log
		close(exited)
	}(m.exited)
}

// Kill ends the member at once, as kill -9 does, also while it is held up.
func (m *Member) Kill() {
	m.signal(syscall.SIGKILL)
	if m.process != nil {
		<-m.exited
	}
	m.ended = true
}

// Hold stops the member from doing anything: its connections stay and
// nobody answers on them. Resume lets it go on, believing what it believed.
func (m *Member) Hold() { m.signal(syscall.SIGSTOP) }

// Resume ends Hold.
func (m *Member) Resume() { m.signal(syscall.SIGCONT) }

func (m *Member) signal(s syscall.Signal) {
	if m.process != nil {
		_ = m.process.Process.Signal(s) // fails when it has ended
	}
}

func (m *Member) await() {
	m.t.Helper()
	client := m.client(m.Endpoint)
	defer client.Close()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(patience); ; <-ticker.C {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		_, err := client.MemberList(ctx)
		cancel()
		if err == nil {
			return
		}
		select {
		case <-m.exited:
			log, _ := os.ReadFile(m.log)
			m.t.Fatalf("etcd ended instead of serving:\n%s", log)
		default:
		}
		if time.Now().After(deadline) {
			m.t.Fatalf("%s does not serve: %v", m.Endpoint, err)
		}
	}
}

// Status asks the member how it is.
func (m *Member) Status() (*clientv3.StatusResponse, error) {
	client := m.client(m.Endpoint)
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return client.Status(ctx, m.Endpoint)
}

func (m *Member) client(endpoints ...string) *clientv3.Client {
	m.t.Helper()
	config := clientv3.Config{Endpoints: endpoints, Logger: zap.NewNop()}
	if m.tls != nil {
		config.TLS = m.tls.client(m.t)
	}
	client, err := clientv3.New(config)
	if err != nil {
		m.t.Fatal(err)
	}
	return client
}

func freeAddress(t testing.TB) string {
	t.Helper()
	return net.JoinHostPort("127.0.0.1", edgetest.FreePort(t))
}
