// Package clustertest runs several Caddy processes on one store, as many
// nodes do, and tests what they promise together: with each engine that
// nodes can share, through HTTP, and while nodes, the engine and the network
// between them fail.
package clustertest

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
	"github.com/caddymfa/caddy-mfa/mfa/bearer"
	"github.com/caddymfa/caddy-mfa/mfa/seal"
)

// Engine is what nodes share: servers that a test has started, and what may
// stand between them and each node.
type Engine struct {
	// Store returns the option store of a node's Caddyfile, and environment
	// variables that it refers to. The engine's own limits of time should be
	// short.
	Store func(node int) (option string, env []string)

	// Secret is what no node may print: what it authenticates with.
	Secret string

	// Cut ends the connections of a node to the engine and refuses new ones;
	// Silence lets nothing of them through any more; Mend undoes both.
	Cut, Silence, Mend func(node int)

	// Crashes kill what the engine has of servers, by what is killed: all at
	// once and without a chance to finish anything. Each returns when what
	// was killed has been started again, or when the engine has to do without.
	Crashes map[string]func()
}

// nodes is how many there are.
const nodes = 3

// patience bounds a failure; no test waits it out.
const patience = 90 * time.Second

// publicURL is where people reach the cluster: what balances the load is not
// part of it.
const publicURL = "https://app.example.com"

// Cluster is several nodes on one engine.
type Cluster struct {
	Engine
	Nodes []*edgetest.Edge

	issuer *bearer.DevIssuer
	outbox string
	next   atomic.Uint64
	people atomic.Uint64
}

const caddyfile = `{
	admin {$ADMIN}
	mfa {
		bearer dev
		public_url ` + publicURL + `
		issuer Acme
		STORE
		magic_link {
			from "Acme <no-reply@example.com>"
			directory {$OUTBOX}
		}
	}
}
http://localhost:{$PORT} {
	bind 127.0.0.1
	mfa
	mfa_require /admin/*
	reverse_proxy {$UPSTREAM}
}
`

// withStore is the Caddyfile with an option store.
func withStore(option string) string {
	return strings.Replace(caddyfile, "STORE", strings.ReplaceAll(option, "\n", "\n\t\t"), 1)
}

// Start starts the nodes on e. They end with the test.
func Start(t *testing.T, e Engine) *Cluster {
	t.Helper()
	c := prepare(t, e, nodes)
	// All at once, on an engine that has never been used.
	for _, node := range c.Nodes {
		node.Launch()
	}
	for _, node := range c.Nodes {
		node.AwaitServing()
	}
	return c
}

// prepare makes n nodes on e that are ready to start.
func prepare(t *testing.T, e Engine, n int) *Cluster {
	t.Helper()
	shared := t.TempDir()
	c := &Cluster{Engine: e, outbox: filepath.Join(shared, "outbox")}
	// What an operator hands to every node.
	issuer := filepath.Join(shared, "dev-issuer.json")
	keys := filepath.Join(shared, "mfa.key")
	var err error
	if c.issuer, err = bearer.OpenDevIssuer(issuer); err != nil {
		t.Fatal(err)
	}
	if _, _, err := seal.LoadOrCreate(keys); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		node := edgetest.New(t)
		node.Full = true
		option, env := e.Store(i)
		node.Env = append(env, "OUTBOX="+c.outbox)
		for _, path := range []string{issuer, keys} {
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			node.Write(filepath.Join("data", filepath.Base(path)), string(content))
		}
		node.Write("Caddyfile", withStore(option))
		c.Nodes = append(c.Nodes, node)
	}
	t.Cleanup(func() {
		for i, node := range c.Nodes {
			if e.Secret != "" && strings.Contains(node.AllLogs(), e.Secret) {
				t.Errorf("node %d has printed what it authenticates with", i)
			}
		}
	})
	return c
}

// Any returns the next node, as what balances the load does.
func (c *Cluster) Any() int { return int(c.next.Add(1) % uint64(len(c.Nodes))) }

// Do sends a request to a node, and holds the answer against the API's
// document.
func (c *Cluster) Do(t *testing.T, node int, method, path, token string, body any) edgetest.Answer {
	t.Helper()
	r := c.Nodes[node].Request(method, path, token, body)
	answer, err := edgetest.Try(r)
	if err != nil {
		t.Fatalf("node %d: %v", node, err)
	}
	c.Nodes[node].Check(r, answer)
	return answer
}

// all sends the same request to every node at once, times times each, and
// counts the answers by status.
func (c *Cluster) all(t *testing.T, times int, method, path, token string, body any) map[int]int {
	t.Helper()
	type result struct {
		answer edgetest.Answer
		err    error
	}
	start := make(chan struct{})
	results := make(chan result, times*len(c.Nodes))
	for _, node := range c.Nodes {
		for range times {
			r := node.Request(method, path, token, body)
			go func() {
				<-start
				answer, err := edgetest.Try(r)
				results <- result{answer, err}
			}()
		}
	}
	close(start)
	count := make(map[int]int)
	for range cap(results) {
		r := <-results
		if r.err != nil {
			t.Error(r.err)
		}
		count[r.answer.Status]++
	}
	return count
}

// subject returns a name that nobody has yet.
func (c *Cluster) subject() string { return fmt.Sprintf("person-%d", c.people.Add(1)) }

// token signs a login's access token.
func (c *Cluster) token(subject string) (string, error) {
	return c.issuer.Sign(map[string]any{"sub": subject})
}

// opens reports whether the gate of a node lets the bearer of token pass.
// Only an answer of the upstream counts.
func (c *Cluster) opens(node int, token string) (bool, edgetest.Answer, error) {
	answer, err := edgetest.Try(c.Nodes[node].Request("GET", "/admin/x", token, nil))
	return err == nil && (answer.Status == http.StatusOK || strings.HasPrefix(answer.Body, "upstream")), answer, err
}
