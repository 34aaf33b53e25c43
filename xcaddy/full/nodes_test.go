package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
	"github.com/caddymfa/caddy-mfa/internal/etcdtest"
	"github.com/caddymfa/caddy-mfa/internal/pgtest"
)

func TestMain(m *testing.M) { os.Exit(edgetest.Main(m)) }

// over is a configuration of a node over a store. All nodes have one public
// URL, wherever they listen.
func over(store string) string {
	return strings.NewReplacer(
		"public_url http://localhost:{$PORT}", "public_url http://localhost:8080",
		"issuer Acme\n", "issuer Acme\nbackup_codes 50\n"+store+"\n",
		"\tmfa\n\treverse", "\tmfa\n\tmfa_require /admin/*\n\treverse",
	).Replace(edgetest.Caddyfile)
}

const overPostgres = "store postgres {\ndsn {env.MFA_DSN}\n}"

// first prepares the first node.
func first(t *testing.T, server *pgtest.Server) *edgetest.Edge {
	t.Helper()
	e := edgetest.New(t)
	e.Full = true
	e.Env = []string{"MFA_DSN=" + server.DSN(pgtest.Superuser, "postgres")}
	return e
}

// node prepares a further node with the files of the first.
func node(t *testing.T, first *edgetest.Edge) *edgetest.Edge {
	t.Helper()
	e := edgetest.New(t)
	e.Full, e.Env = true, first.Env
	for _, name := range []string{"mfa.key", "dev-issuer.json"} {
		give(t, first, e, filepath.Join("data", name))
	}
	return e
}

// give copies a file from one node to another.
func give(t *testing.T, from, to *edgetest.Edge, name string) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(from.Dir, name))
	if err != nil {
		t.Fatal(err)
	}
	to.Write(name, string(content))
}

// person is somebody with an authenticator app, who shows backup codes.
type person struct {
	token, full string
	codes       []string
}

func enrolled(t *testing.T, e *edgetest.Edge, subject string) *person {
	t.Helper()
	p := &person{token: e.Token(subject, nil)}
	setup := e.Do("POST", "/mfa/setup", p.token, map[string]any{"mfaType": "GOOGLE_AUTH"}).Data(t)
	for _, code := range setup["backupCodes"].([]any) {
		p.codes = append(p.codes, code.(string))
	}
	answer := e.Do("POST", "/mfa/verify-setup", p.token, map[string]any{"mfaType": "GOOGLE_AUTH", "code": edgetest.Code(t, setup["secret"].(string))})
	answer.WantMessage(t, "MFA setup verified and enabled")
	p.full = answer.JSON["fullAccessToken"].(string)
	return p
}

// login shows the next code.
func (p *person) login(e *edgetest.Edge) edgetest.Answer {
	code := p.codes[0]
	p.codes = p.codes[1:]
	return e.Do("POST", "/mfa/verify-login", p.token, map[string]any{"mfaType": "GOOGLE_AUTH", "code": code})
}

func (p *person) wantLogin(t *testing.T, nodes ...*edgetest.Edge) {
	t.Helper()
	for _, e := range nodes {
		p.login(e).WantMessage(t, "MFA verification successful")
		if answer := e.Do("GET", "/admin/x", p.full, nil); answer.Status != 200 {
			t.Errorf("the gate answers %d %s", answer.Status, answer.Body)
		}
	}
}

func command(t *testing.T, e *edgetest.Edge, args ...string) string {
	t.Helper()
	stdout, stderr, err := e.Command(append([]string{"mfa"}, args...)...)
	if err != nil {
		t.Fatalf("%q: %v: %s", args, err, stderr)
	}
	return stdout
}

func TestTheSealingKeyIsRotatedOverNodes(t *testing.T) {
	server := pgtest.New(t, "fsync=off")
	a := first(t, server)
	a.Start(over(overPostgres))
	b, late := node(t, a), node(t, a)
	b.Start(over(overPostgres))
	alice := enrolled(t, a, "alice")
	alice.wantLogin(t, a, b)

	stdout, stderr, err := a.Command("mfa", "keys", "rotate", "--sealing", "--address", a.Admin())
	if err == nil || !strings.Contains(stderr, "copy this node's key file to") || strings.Count(stdout, "(process ") != 2 {
		t.Errorf("b lacks the key: %v\n%s%s", err, stdout, stderr)
	}
	alice.wantLogin(t, a, b)
	give(t, a, b, "data/mfa.key")
	b.AwaitLog("read the key file again")
	var result struct {
		InUse    bool `json:"in_use"`
		Resealed int
	}
	if err := json.Unmarshal([]byte(command(t, a, "keys", "rotate", "--sealing", "--json", "--address", a.Admin())), &result); err != nil {
		t.Fatal(err)
	}
	if !result.InUse || result.Resealed < 2 {
		t.Errorf("rotated: %+v", result)
	}
	alice.wantLogin(t, a, b)
	b.AwaitLog("other sealing keys are in use")
	alice.wantLogin(t, a, b)

	// A node that was down all the while.
	if log := late.StartRefused(over(overPostgres)); !strings.Contains(log, "another key file") {
		t.Errorf("a node without the key in use:\n%s", log)
	}
	give(t, b, late, "data/mfa.key")
	late.Start("")
	alice.wantLogin(t, late, a, b)
}

func TestAStoreIsMovedToEveryOtherEngineAndBackWhileNodesServe(t *testing.T) {
	server := pgtest.New(t, "fsync=off")
	cluster := etcdtest.Start(t, etcdtest.Options{})
	overEtcd := "store etcd {\nendpoints " + cluster.Members[0].Endpoint + "\n}"
	a := first(t, server)
	a.Start(over(overPostgres))
	b := node(t, a)
	b.Start(over(overPostgres))
	alice := enrolled(t, a, "alice")
	enrolled(t, b, "bob")
	alice.wantLogin(t, a, b)
	a.Write("postgres.Caddyfile", over(overPostgres))
	a.Write("etcd.Caddyfile", over(overEtcd))

	// From under two nodes that serve.
	out := command(t, a, "copy", "--from", "postgres.Caddyfile", "--to", "etcd.Caddyfile", "--close")
	if !strings.Contains(out, "The source is closed") {
		t.Errorf("the copy prints\n%s", out)
	}
	for _, e := range []*edgetest.Edge{a, b} {
		code := alice.codes[0]
		alice.login(e).WantError(t, 503, "unavailable", "")
		alice.codes = append([]string{code}, alice.codes...)
		if answer := e.Do("GET", "/admin/x", alice.full, nil); answer.Status != 503 {
			t.Errorf("the gate answers %d over a store that was moved", answer.Status)
		}
	}
	if log := node(t, a).StartRefused(over(overPostgres)); !strings.Contains(log, "closed by a copy to another store") {
		t.Errorf("a node starts over a store that was moved:\n%s", log)
	}
	if err := b.Reload(over(overEtcd)); err != nil {
		t.Fatal(err)
	}
	alice.wantLogin(t, b)

	// On to a file, and back to where it came from: the node that was left
	// there goes on by itself.
	b.Stop()
	command(t, a, "copy", "--from", `{"engine":"etcd","endpoints":["`+cluster.Members[0].Endpoint+`"]}`, "--to", "bolt:moved.db", "--close")
	command(t, a, "copy", "--from", "bolt:moved.db", "--to", `{"engine":"postgres","dsn":"{env.MFA_DSN}"}`, "--overwrite", "--yes")
	a.AwaitLog("the sealing keys are in step again")
	alice.wantLogin(t, a)
	edgetest.Eventually(t, 30*time.Second, "bob is there", func() bool {
		return a.Do("GET", "/mfa/status", a.Token("bob", nil), nil).Data(t)["isEnabled"] == true
	})
	if b.Start(over(overPostgres)); !strings.Contains(b.Log(), "serving initial configuration") {
		t.Error("b does not serve")
	}
	alice.wantLogin(t, b)
}
