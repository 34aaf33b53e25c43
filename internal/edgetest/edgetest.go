// Package edgetest runs the real binary for tests: built once, started in
// a folder of its own in front of a recording upstream, driven over HTTP
// and the command line, stopped, killed and started again.
package edgetest

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/internal/openapitest"
	"github.com/caddymfa/caddy-mfa/mfa/bearer"
)

// patience is how long the binary may take for anything before the test
// gives up. It bounds a failure; no test waits it out.
const patience = 60 * time.Second

// Edge is one Caddy in a folder of its own. Its Caddyfiles find the
// variables {$PORT}, {$ADMIN} and {$UPSTREAM} (host and port) set.
type Edge struct {
	// URL is http://localhost:PORT.
	URL string
	// Dir is the folder that Caddy runs in.
	Dir string
	// Port is the port of URL.
	Port string
	// Upstream records what came through.
	Upstream *Upstream
	// Env holds further variables, as "name=value", for the next start.
	Env []string
	// Prefix is that of the API's routes, "" for /mfa.
	Prefix string
	// NoAPI says that the Caddyfile has no directive mfa, so that there is
	// no OpenAPI document to hold answers against.
	NoAPI bool
	// Full has the binary with every store run, instead of the default one.
	Full bool

	t        testing.TB
	document *openapitest.Document
	admin    string
	process  *exec.Cmd
	reloaded bool            // nothing was answered since
	output   *output         // of the current process
	outputs  []*output       // of all of them
	served   <-chan struct{} // closed when the current process serves
	exited   chan struct{}
}

// Caddyfile is a configuration for most tests: the dev issuer, mail into
// ./outbox, everything else by default.
const Caddyfile = `{
	admin {$ADMIN}
	mfa {
		bearer dev
		public_url http://localhost:{$PORT}
		issuer Acme
		magic_link {
			from "Acme <no-reply@example.com>"
			directory ./outbox
		}
	}
}
http://localhost:{$PORT}, http://127.0.0.1:{$PORT} {
	bind 127.0.0.1
	mfa
	reverse_proxy {$UPSTREAM}
}
`

// New prepares an edge. Start starts it; it is stopped with the test.
func New(t testing.TB) *Edge {
	t.Helper()
	port := FreePort(t)
	e := &Edge{
		URL:      "http://localhost:" + port,
		Dir:      t.TempDir(),
		Port:     port,
		Upstream: newUpstream(t),
		t:        t,
		admin:    "localhost:" + FreePort(t),
	}
	t.Cleanup(func() {
		e.Kill()
		for _, output := range e.outputs {
			if log := output.String(); strings.Contains(log, "DATA RACE") || strings.Contains(log, "panic") {
				t.Errorf("the binary raced or panicked:\n%s", log)
			}
		}
		if t.Failed() {
			t.Logf("log of the binary:\n%s", e.Log())
		}
	})
	return e
}

// Start writes caddyfile, unless it is "", and runs it until Caddy says
// that it serves it.
func (e *Edge) Start(caddyfile string) {
	e.t.Helper()
	if caddyfile != "" {
		e.Write("Caddyfile", caddyfile)
	}
	e.Launch()
	e.AwaitServing()
}

// Launch is Start with the Caddyfile that is there, and without waiting:
// AwaitServing does.
func (e *Edge) Launch() {
	e.t.Helper()
	e.served = e.start()
}

// AwaitServing waits until Caddy says that it serves its configuration.
func (e *Edge) AwaitServing() {
	e.t.Helper()
	select {
	case <-e.served:
	case <-e.exited:
		e.t.Fatalf("the binary ended instead of serving:\n%s", e.Log())
	case <-time.After(patience):
		e.t.Fatalf("the binary does not come up:\n%s", e.Log())
	}
}

// StartRefused runs caddyfile, expects Caddy to end with an error, and
// returns what it printed.
func (e *Edge) StartRefused(caddyfile string) string {
	e.t.Helper()
	e.Write("Caddyfile", caddyfile)
	served := e.start()
	select {
	case <-e.exited:
	case <-served:
		e.t.Fatalf("the binary serves what it should refuse:\n%s", e.Log())
	case <-time.After(patience):
		e.t.Fatalf("the binary neither serves nor ends:\n%s", e.Log())
	}
	if e.process.ProcessState.Success() {
		e.t.Fatalf("the binary ended without an error:\n%s", e.Log())
	}
	return e.Log()
}

// start runs the binary; the channel is closed when it serves.
func (e *Edge) start() <-chan struct{} {
	e.t.Helper()
	cmd := e.command("run")
	cmd.WaitDelay = patience
	e.output = newOutput()
	e.outputs = append(e.outputs, e.output)
	cmd.Stdout, cmd.Stderr = e.output, e.output
	if err := cmd.Start(); err != nil {
		e.t.Fatal(err)
	}
	e.process = cmd
	e.exited = make(chan struct{})
	go func(exited chan struct{}) {
		_ = cmd.Wait() // how it ended is in ProcessState
		close(exited)
	}(e.exited)
	return e.output.await("serving initial configuration")
}

// Reload writes caddyfile and has the running Caddy take it over. The
// error holds what the command printed when Caddy refused.
func (e *Edge) Reload(caddyfile string) error {
	e.t.Helper()
	e.Write("Caddyfile", caddyfile)
	e.document = nil // its routes may be elsewhere now
	_, stderr, err := e.Command("reload", "--address", e.admin, "--force")
	if err != nil {
		return fmt.Errorf("%w: %s", err, stderr)
	}
	e.reloaded = true
	return nil
}

// Kill ends the process at once, as kill -9 does.
func (e *Edge) Kill() {
	if e.process != nil {
		_ = e.process.Process.Kill() // fails when it has ended already
		<-e.exited
	}
}

// Stop ends the process as an operator does, and waits for its end.
func (e *Edge) Stop() {
	e.t.Helper()
	if err := e.process.Process.Signal(os.Interrupt); err != nil {
		e.t.Fatal(err)
	}
	select {
	case <-e.exited:
	case <-time.After(patience):
		e.t.Fatalf("the binary does not end:\n%s", e.Log())
	}
}

// Admin returns the address of the admin API.
func (e *Edge) Admin() string { return e.admin }

// Command runs the binary with args in the edge's folder.
func (e *Edge) Command(args ...string) (stdout, stderr string, err error) {
	e.t.Helper()
	cmd := e.command(args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

func (e *Edge) command(args ...string) *exec.Cmd {
	binary := Binary
	if e.Full {
		binary = FullBinary
	}
	cmd := exec.CommandContext(e.t.Context(), binary(e.t), args...)
	cmd.Dir = e.Dir
	home := filepath.Join(e.Dir, "home")
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_DATA_HOME="+home,
		"PORT="+e.Port, "ADMIN="+e.admin, "UPSTREAM="+e.Upstream.Address)
	cmd.Env = append(cmd.Env, e.Env...)
	return cmd
}

// Log returns what the current process has printed.
func (e *Edge) Log() string {
	if e.output == nil {
		return ""
	}
	return e.output.String()
}

// AllLogs returns what the current process and those before it have printed.
func (e *Edge) AllLogs() string {
	var all strings.Builder
	for _, output := range e.outputs {
		all.WriteString(output.String())
	}
	return all.String()
}

// Write puts a file into the edge's folder.
func (e *Edge) Write(name, content string) {
	e.t.Helper()
	path := filepath.Join(e.Dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		e.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		e.t.Fatal(err)
	}
}

// Token signs an access token of the dev issuer, for the default key file.
func (e *Edge) Token(subject string, claims map[string]any) string {
	e.t.Helper()
	issuer, err := bearer.OpenDevIssuer(filepath.Join(e.Dir, "data", "dev-issuer.json"))
	if err != nil {
		e.t.Fatal(err)
	}
	all := map[string]any{"sub": subject}
	for name, value := range claims {
		all[name] = value
	}
	token, err := issuer.Sign(all)
	if err != nil {
		e.t.Fatal(err)
	}
	return token
}

// given are the ports that FreePort has returned. Nothing may listen on one of
// them yet, and two servers on one port do not always notice: Caddy shares
// ports.
var given sync.Map

// FreePort returns a port that nothing listens on, a new one each time. It is
// below those that the system gives to outgoing connections, so that none of
// these takes it before a server does.
func FreePort(t testing.TB) string {
	t.Helper()
	for range 100 {
		port := strconv.Itoa(20000 + rand.IntN(12000))
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
		if err != nil {
			continue
		}
		listener.Close()
		if _, again := given.LoadOrStore(port, true); !again {
			return port
		}
	}
	t.Fatal("no free port was found")
	return ""
}

// AwaitLog waits until the current process has printed text.
func (e *Edge) AwaitLog(text string) {
	e.t.Helper()
	select {
	case <-e.output.await(text):
	case <-time.After(patience):
		e.t.Fatalf("the binary does not print %q:\n%s", text, e.Log())
	}
}

// LogLines returns the lines printed so far.
func (e *Edge) LogLines() []string {
	var lines []string
	scanner := bufio.NewScanner(strings.NewReader(e.Log()))
	for scanner.Scan() {
		lines = append(lines, scanner.Text())
	}
	return lines
}
