package etcdserver

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// Save writes a snapshot of the cluster into a file, as operators do.
func (c *Cluster) Save(path string) error {
	return etcdctl("snapshot", "save", path, "--endpoints", c.Members[0].Endpoint)
}

// PutBack kills all members and restores each from a snapshot, under the name
// and the addresses that it had: the cluster has the same ID then. The members
// are started again, and it waits until they serve.
func (c *Cluster) PutBack(path string) error {
	c.Kill()
	for _, m := range c.Members {
		if err := os.RemoveAll(m.Data); err != nil {
			return err
		}
		args := []string{"snapshot", "restore", path, "--data-dir", m.Data}
		for _, flag := range []string{"--name", "--initial-cluster", "--initial-cluster-token", "--initial-advertise-peer-urls"} {
			args = append(args, flag, m.flag(flag))
		}
		if err := etcdctl(args...); err != nil {
			return err
		}
	}
	for _, m := range c.Members {
		if err := m.Start(); err != nil {
			return err
		}
	}
	return c.Await()
}

// flag returns the value of one of the member's flags.
func (m *Member) flag(name string) string {
	for i, arg := range m.args {
		if arg == name {
			return m.args[i+1]
		}
	}
	return ""
}

// etcdctl runs the client of the etcd that is installed.
func etcdctl(args ...string) error {
	path, err := exec.LookPath("etcdctl")
	if err != nil {
		return fmt.Errorf("looking for etcdctl: %w", ErrNotInstalled)
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), "ETCDCTL_API=3")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("etcdctl %s: %w: %s", args[:2], err, strings.TrimSpace(string(out)))
	}
	return nil
}
