package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// site is what a Caddy serves.
type site string

const (
	sitePlain   site = "plain"   // reverse_proxy alone, nothing of ours configured
	siteUngated site = "ungated" // mfa, then reverse_proxy
	siteGated   site = "gated"   // mfa, mfa_require, then reverse_proxy
)

// guardedPath is what requests are for unless their scenario names another
// path. On siteGated the gate guards it.
const guardedPath = "/admin/reports/2026"

// deployment is how a Caddy is run.
type deployment struct {
	site  site
	store string   // the option store, "" for the default
	env   []string // that the option refers to
}

// caddyfile is the configuration of a deployment.
func (d deployment) caddyfile(address, admin, upstream string) string {
	s := d.site
	global, handlers := "", ""
	if s != sitePlain {
		global = `
	mfa {
		bearer {
			jwks_file ./login.json
			issuer ` + loginIssuer + `
		}
		public_url http://` + address + `
		issuer bench
		` + d.store + `
	}`
		handlers = "\n\tmfa"
	}
	if s == siteGated {
		handlers += "\n\tmfa_require /admin/*"
	}
	return `{
	admin ` + admin + `
	persist_config off` + global + `
}
http://` + address + ` {
	bind 127.0.0.1` + handlers + `
	reverse_proxy ` + upstream + `
}
`
}

// build builds a Caddy, of the package source, into folder.
func build(ctx context.Context, folder, source string) (string, error) {
	list := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}")
	root, err := list.Output()
	if err != nil {
		return "", fmt.Errorf("finding the module: %w", err)
	}
	binary := filepath.Join(folder, "caddy")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, source)
	cmd.Dir = string(bytes.TrimSpace(root))
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w\n%s", source, err, out)
	}
	return binary, nil
}

// caddy is a Caddy process that serves one site.
type caddy struct {
	address string // host and port of the site
	admin   string // host and port of the admin API
	process *exec.Cmd
	client  *http.Client
}

// startCaddy runs binary in folder, which it makes, until it answers.
func startCaddy(ctx context.Context, binary, folder string, d deployment, l *login, upstream string, connections int) (*caddy, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	if err := l.writeKeys(filepath.Join(folder, "login.json")); err != nil {
		return nil, err
	}
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	c := &caddy{
		address: "localhost:" + ports[0],
		admin:   "localhost:" + ports[1],
		client: &http.Client{
			Timeout:   30 * time.Second,
			Transport: &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections, DisableCompression: true},
		},
	}
	if err := os.WriteFile(filepath.Join(folder, "Caddyfile"), []byte(d.caddyfile(c.address, c.admin, upstream)), 0o600); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(folder, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	c.process = exec.CommandContext(ctx, binary, "run")
	c.process.Dir = folder
	c.process.Stdout, c.process.Stderr = log, log
	c.process.Env = append(os.Environ(), "HOME="+folder, "XDG_CONFIG_HOME="+folder, "XDG_DATA_HOME="+folder)
	c.process.Env = append(c.process.Env, d.env...)
	if err := c.process.Start(); err != nil {
		return nil, fmt.Errorf("starting Caddy: %w", err)
	}
	if err := c.await(ctx); err != nil {
		c.stop()
		printed, _ := os.ReadFile(log.Name()) // beside the error, not instead of it
		return nil, fmt.Errorf("starting Caddy (%s): %w\n%s", d.site, err, printed)
	}
	return c, nil
}

// await waits until the site answers at all.
func (c *caddy) await(ctx context.Context) error {
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if _, err := c.get(ctx, "/", nil); err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return errors.New("it does not answer")
}

// stop ends the process and waits for its end.
func (c *caddy) stop() {
	c.client.CloseIdleConnections()
	_ = c.process.Process.Kill() // fails when it has ended already
	_ = c.process.Wait()         // it was killed: that is no news
}

func (c *caddy) pid() int { return c.process.Process.Pid }

// freePorts returns n ports that nothing listens on.
func freePorts(n int) ([]string, error) {
	var ports []string
	for range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("finding a port: %w", err)
		}
		defer listener.Close()
		_, port, err := net.SplitHostPort(listener.Addr().String())
		if err != nil {
			return nil, fmt.Errorf("finding a port: %w", err)
		}
		ports = append(ports, port)
	}
	return ports, nil
}
