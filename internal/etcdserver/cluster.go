// Package etcdserver runs real etcd clusters, for tests and measurements: in
// temporary folders, on free ports of loopback, with members that can be
// killed, held up and started again one by one.
package etcdserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// Patience is how long a cluster may take for anything before that counts as
// a failure. Nobody waits it out.
const Patience = 60 * time.Second

// Options say how a cluster runs. The zero value is one member of the etcd
// that the system has installed, in the clear.
type Options struct {
	// Program is System or Current, or nil for System.
	Program Program
	// Members is their number, 1 where it is 0.
	Members int
	// TLS are the files of a cluster that is encrypted.
	TLS *TLS
	// Flags are given to each member.
	Flags []string
}

// Cluster is a running cluster. Stop ends it.
type Cluster struct {
	// Members are in the order of their start.
	Members []*Member

	folder string
}

// Start starts a cluster and waits until it serves.
func Start(o Options) (*Cluster, error) {
	if o.Program == nil {
		o.Program = System
	}
	program, err := o.Program()
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "etcd-")
	if err != nil {
		return nil, err
	}
	c := &Cluster{folder: folder}
	if err := c.start(o, program); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

func (c *Cluster) start(o Options, program string) error {
	scheme := "http"
	if o.TLS != nil {
		scheme = "https"
	}
	var peers []string
	for i := range max(o.Members, 1) {
		address, err := freeAddress()
		if err != nil {
			return err
		}
		peer, err := freeAddress()
		if err != nil {
			return err
		}
		name := fmt.Sprintf("member-%d", i)
		m := &Member{
			program: program, tls: o.TLS, log: filepath.Join(c.folder, name+".log"),
			Address: address, Endpoint: scheme + "://" + address, Data: filepath.Join(c.folder, name),
		}
		m.args = append([]string{
			"--name", name, "--data-dir", m.Data,
			"--listen-client-urls", m.Endpoint, "--advertise-client-urls", m.Endpoint,
			"--listen-peer-urls", "http://" + peer, "--initial-advertise-peer-urls", "http://" + peer,
			"--logger", "zap", "--log-level", "warn",
		}, o.Flags...)
		if o.TLS != nil {
			m.args = append(m.args, "--client-cert-auth", "--trusted-ca-file", o.TLS.CA,
				"--cert-file", o.TLS.Cert, "--key-file", o.TLS.Key)
		}
		peers = append(peers, name+"=http://"+peer)
		c.Members = append(c.Members, m)
	}
	for _, m := range c.Members {
		m.args = append(m.args, "--initial-cluster-state", "new", "--initial-cluster-token", c.folder,
			"--initial-cluster", strings.Join(peers, ","))
		if err := m.Start(); err != nil {
			return err
		}
	}
	return c.Await()
}

// Stop kills all members and removes what they have written.
func (c *Cluster) Stop() error {
	c.Kill()
	return os.RemoveAll(c.folder)
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
		m.kill()
	}
	for _, m := range c.Members {
		m.Kill()
	}
}

// Restart starts the members that do not run, and waits until all serve.
func (c *Cluster) Restart() error {
	for _, m := range c.Members {
		if !m.running() {
			if err := m.Start(); err != nil {
				return err
			}
		}
	}
	return c.Await()
}

// Await waits until each member that runs answers with the agreement of a
// majority.
func (c *Cluster) Await() error {
	for _, m := range c.Members {
		if m.running() {
			if err := m.await(); err != nil {
				return err
			}
		}
	}
	return nil
}

// Leader waits until a member leads, by its own account, and returns it.
func (c *Cluster) Leader() (*Member, error) {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(Patience); ; <-ticker.C {
		for _, m := range c.Members {
			if !m.running() {
				continue
			}
			if status, err := m.status(); err == nil && status.Leader != 0 && status.Leader == status.Header.MemberId {
				return m, nil
			}
		}
		if time.Now().After(deadline) {
			return nil, errors.New("no member of etcd leads")
		}
	}
}

// Client returns a client of the whole cluster. The caller closes it.
func (c *Cluster) Client() (*clientv3.Client, error) {
	return c.Members[0].client(c.Endpoints()...)
}

// Logs returns what the members have written into their logs.
func (c *Cluster) Logs() string {
	var all strings.Builder
	for _, m := range c.Members {
		log, err := os.ReadFile(m.log)
		if err == nil {
			fmt.Fprintf(&all, "%s:\n%.20000s\n", m.Endpoint, log)
		}
	}
	return all.String()
}

func (m *Member) await() error {
	client, err := m.client(m.Endpoint)
	if err != nil {
		return err
	}
	defer client.Close()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(Patience); ; <-ticker.C {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		_, err := client.MemberList(ctx)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-m.exited:
			log, _ := os.ReadFile(m.log) // beside the error, not instead of it
			return fmt.Errorf("etcd ended instead of serving:\n%s", log)
		default:
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s does not serve: %w", m.Endpoint, err)
		}
	}
}

func (m *Member) status() (*clientv3.StatusResponse, error) {
	client, err := m.client(m.Endpoint)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return client.Status(ctx, m.Endpoint)
}

func (m *Member) client(endpoints ...string) (*clientv3.Client, error) {
	config := clientv3.Config{Endpoints: endpoints, Logger: zap.NewNop()}
	if m.tls != nil {
		var err error
		if config.TLS, err = m.tls.config(); err != nil {
			return nil, err
		}
	}
	return clientv3.New(config)
}
