// Package etcdtest runs etcd clusters for tests. They end with the test; one
// whose program is missing skips it.
package etcdtest

import (
	"errors"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/caddymfa/caddy-mfa/internal/etcdserver"
	"github.com/caddymfa/caddy-mfa/internal/testtool"
)

// Options say how a cluster runs.
type Options = etcdserver.Options

// Programs are the versions of etcd that tests run with, by name.
var Programs = map[string]etcdserver.Program{"System": etcdserver.System, "Current": etcdserver.Current}

// Cluster is a running cluster.
type Cluster struct {
	*etcdserver.Cluster
	t testing.TB
}

// Member is one member of it.
type Member struct {
	*etcdserver.Member
	t testing.TB
}

// Start starts a cluster and waits until it serves.
func Start(t testing.TB, o Options) *Cluster {
	t.Helper()
	c, err := etcdserver.Start(o)
	if errors.Is(err, etcdserver.ErrNotInstalled) {
		testtool.Missing(t, "%v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("logs of etcd:\n%s", c.Logs())
		}
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return &Cluster{c, t}
}

// Member returns one of the members.
func (c *Cluster) Member(i int) *Member { return &Member{c.Members[i], c.t} }

// Start starts the member, where it left off.
func (m *Member) Start() {
	m.t.Helper()
	if err := m.Member.Start(); err != nil {
		m.t.Fatal(err)
	}
}

// Restart starts the members that do not run, and waits until all serve.
func (c *Cluster) Restart() {
	c.t.Helper()
	if err := c.Cluster.Restart(); err != nil {
		c.t.Fatal(err)
	}
}

// Await waits until each member that runs answers.
func (c *Cluster) Await() {
	c.t.Helper()
	if err := c.Cluster.Await(); err != nil {
		c.t.Fatal(err)
	}
}

// Leader waits until a member leads, and returns it.
func (c *Cluster) Leader() *Member {
	c.t.Helper()
	m, err := c.Cluster.Leader()
	if err != nil {
		c.t.Fatal(err)
	}
	return &Member{m, c.t}
}

// Client returns a client of the whole cluster.
func (c *Cluster) Client() *clientv3.Client {
	c.t.Helper()
	client, err := c.Cluster.Client()
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = client.Close() })
	return client
}

// NewTLS makes the files of one side of encrypted connections.
func NewTLS(t testing.TB) *etcdserver.TLS {
	t.Helper()
	files, err := etcdserver.NewTLS(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// Main runs the tests of a package and removes what was built for them.
func Main(m *testing.M) int {
	code := m.Run()
	etcdserver.Clean()
	return code
}
