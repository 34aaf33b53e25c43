package main_test

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/fcgi"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
	"github.com/caddymfa/caddy-mfa/internal/routecases"
)

// matrix is the running binary that loads one case after the other, and what
// stands behind it.
type matrix struct {
	t     *testing.T
	e     *edgetest.Edge
	alice *person
	env   map[string]string
	php   *phpServer

	justLoaded bool // nothing has been answered since
}

// One process loads each configuration of testdata/matrix through the admin
// API, as `caddy reload` does, and is asked what the case says.
func TestAConfigurationLetsNothingThroughThatAGateGuards(t *testing.T) {
	m := newMatrix(t)
	for _, c := range routecases.Load(t, "testdata/matrix") {
		t.Run(c.Name, func(t *testing.T) {
			m.t = t
			m.run(c)
		})
	}
}

// The binary's own command says what the loading says.
func TestValidateSaysWhatLoadingSays(t *testing.T) {
	m := newMatrix(t)
	for _, c := range routecases.Load(t, "testdata/matrix") {
		if c.Name != "gate-in-handle" && c.Name != "gate-after-proxy" {
			continue
		}
		text := c.Text(m.env)
		m.e.Write("validated", c.Expand(text, m.env))
		stdout, stderr, err := m.e.Command("validate", "--config", "validated", "--adapter", "caddyfile")
		if (err != nil) != (c.Refused != "") {
			t.Errorf("%s: %v: %s", c.Name, err, stderr)
		}
		for _, want := range c.Wanted(text, m.env) {
			if want = strings.ReplaceAll(want, "Caddyfile:", "validated:"); !says(stdout+stderr, want) {
				t.Errorf("%s: `caddy validate` does not say %q:\n%s", c.Name, want, stderr)
			}
		}
	}
}

func newMatrix(t *testing.T) *matrix {
	e := edgetest.New(t)
	m := &matrix{t: t, e: e, php: newPHPServer(t)}
	m.env = map[string]string{
		"PORT": e.Port, "ADMIN": e.Admin(), "UPSTREAM": e.Upstream.Address, "FCGI": m.php.address,
		"TLSPORT": edgetest.FreePort(t), "OTHERPORT": edgetest.FreePort(t), "ROOT": filepath.Join(e.Dir, "root"),
	}
	e.Write("root/index.php", "")
	e.Write("root/admin/index.php", "")
	e.Write("root/admin/secret.txt", "secret")
	e.Write("root/hello.txt", "hello")
	check := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Who", "somebody")
	})}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go check.Serve(listener)
	t.Cleanup(func() { check.Close() })
	m.env["CHECK"] = listener.Addr().String()
	e.Start(routecases.Prelude(m.env) + "http://localhost:" + e.Port + " {\n\tmfa\n}\n")
	m.alice = enrolled(t, e, "alice", nil)
	return m
}

// run loads a case and asks what it says.
func (m *matrix) run(c routecases.Case) {
	m.t.Helper()
	text := c.Text(m.env)
	logged := len(m.e.Log())
	answer := m.load(c, text)
	if c.Refused != "" {
		for _, want := range c.Wanted(text, m.env) {
			if answer.Status == 200 || !says(answer.Body, want) {
				m.t.Errorf("is answered %d %s, want a refusal that says %q", answer.Status, answer.Body, want)
			}
		}
		return
	}
	if answer.Status != 200 {
		m.t.Fatalf("is refused: %d %s", answer.Status, answer.Body)
	}
	for _, want := range c.Wanted(text, m.env) {
		edgetest.Eventually(m.t, 20*time.Second, "the log says "+want, func() bool { return says(m.e.Log()[logged:], want) })
	}
	m.justLoaded = true
	for _, r := range c.Requests {
		m.ask(r)
	}
	warned := warnings(m.e.Log()[logged:])
	for _, warning := range warned {
		if !slices.ContainsFunc(c.Wanted(text, m.env), func(want string) bool { return strings.Contains(warning, want) }) {
			m.t.Errorf("warns of something else: %s", warning)
		}
	}
}

func (m *matrix) load(c routecases.Case, text string) edgetest.Answer {
	m.t.Helper()
	r, err := http.NewRequestWithContext(m.t.Context(), http.MethodPost, "http://"+m.e.Admin()+"/load", strings.NewReader(c.Expand(text, m.env)))
	if err != nil {
		m.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "text/caddyfile")
	if c.JSON {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := edgetest.Try(r)
	if err != nil {
		m.t.Fatal(err)
	}
	return answer
}

// says reports whether text, which may be JSON, has want in it.
func says(text, want string) bool {
	quoted, _ := json.Marshal(want)
	return strings.Contains(text, want) || strings.Contains(text, string(quoted[1:len(quoted)-1]))
}

// warnings returns what the check of the routes has logged.
func warnings(log string) []string {
	var all []string
	for line := range strings.Lines(log) {
		var entry struct{ Level, Logger, Msg string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Logger == "mfa.routes" {
			all = append(all, entry.Msg)
		}
	}
	return all
}

// ask sends one request and checks what became of it.
func (m *matrix) ask(r routecases.Request) {
	m.t.Helper()
	upstream, php := len(m.e.Upstream.Requests()), len(m.php.requests())
	answer := m.send(r)
	got := m.php.requests()[php:]
	for _, r := range m.e.Upstream.Requests()[upstream:] {
		got = append(got, arrival{r.RequestURI, r.Header})
	}
	if !r.Reaches {
		if len(got) > 0 || strconv.Itoa(answer.Status) != r.Status || !strings.Contains(answer.Body, r.Body) {
			m.t.Errorf("%s: %d %.200s, the backend got %v; want %s %s", r, answer.Status, answer.Body, got, r.Status, r.Body)
		}
		return
	}
	if len(got) != 1 || got[0].target != r.Arrives {
		m.t.Errorf("%s: %d %.200s, the backend got %v; want %s", r, answer.Status, answer.Body, got, r.Arrives)
		return
	}
	if sent := fmt.Sprint(got[0].header); strings.Contains(sent, m.alice.pair.access) || strings.Contains(sent, "__Host-mfa") {
		m.t.Errorf("%s: an assertion arrives: %s", r, sent)
	}
	shown := r.Who == "factor" || r.Who == "cookie"
	for name, values := range got[0].header {
		if identity(name) && (!shown || strings.Join(values, ",") == "root") {
			m.t.Errorf("%s: %s: %q arrives", r, name, values)
		}
	}
	if user := got[0].header.Get("X-MFA-User"); shown && user != "alice" && (r.Gated || user != "") {
		m.t.Errorf("%s: the backend takes it for a request of %q", r, user)
	}
}

func (m *matrix) send(r routecases.Request) edgetest.Answer {
	m.t.Helper()
	port, host := m.e.Port, "localhost"
	if r.TLS {
		port = m.env["TLSPORT"]
	}
	if r.Host != "" {
		host = r.Host
	}
	lines := []string{r.Method + " " + r.Target + " HTTP/1.1", "Host: " + host + ":" + port, "Connection: close"}
	switch r.Who {
	case "login":
		lines = append(lines, "Authorization: Bearer "+m.alice.token)
	case "forged":
		lines = append(lines, "Authorization: Bearer "+m.alice.token, "X-MFA-User: root", "X_MFA_User: root", "X-Mfa-Acr: root", "X-MFA-Methods: root")
	case "factor":
		lines = append(lines, "Authorization: Bearer "+m.alice.pair.access, "X-MFA-User: root")
	case "cookie":
		lines = append(lines, "Authorization: Bearer "+m.alice.token, "Cookie: __Host-mfa="+m.alice.pair.cookie)
	}
	// net/http closes a connection without an answer when its request comes as
	// the server of the configuration before begins to stop.
	tries := 1
	if m.justLoaded {
		tries = 5
	}
	for ; ; tries-- {
		answer, closed := m.exchange(r, port, host, lines)
		if !closed || tries == 1 {
			m.justLoaded = false
			return answer
		}
	}
}

// exchange sends the lines of a request over a connection of its own, and
// reports whether that was closed without an answer.
func (m *matrix) exchange(r routecases.Request, port, host string, lines []string) (answer edgetest.Answer, closed bool) {
	m.t.Helper()
	conn := m.dial(port, host, r.TLS)
	defer conn.Close()
	if _, err := io.WriteString(conn, strings.Join(lines, "\r\n")+"\r\n\r\n"); err != nil {
		m.t.Fatal(err)
	}
	reader := bufio.NewReader(conn)
	if _, err := reader.Peek(1); err != nil {
		return edgetest.NewAnswer(0, "no answer: "+err.Error()), true
	}
	response, err := http.ReadResponse(reader, &http.Request{Method: r.Method})
	if err != nil {
		// Caddy's intercept leaves a second Content-Length in the answer.
		return edgetest.NewAnswer(0, err.Error()), false
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		m.t.Fatalf("%s: %v", r, err)
	}
	return edgetest.NewAnswer(response.StatusCode, string(body)), false
}

// dial connects to the edge. A certificate may not be there at once.
func (m *matrix) dial(port, host string, encrypted bool) (conn net.Conn) {
	m.t.Helper()
	edgetest.Eventually(m.t, 30*time.Second, "a connection to port "+port, func() bool {
		plain, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err != nil {
			return false
		}
		conn = plain
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		if !encrypted {
			return true
		}
		secured := tls.Client(plain, &tls.Config{InsecureSkipVerify: true, ServerName: host}) // its own authority, which nobody trusts
		if secured.Handshake() != nil {
			plain.Close()
			return false
		}
		conn = secured
		return true
	})
	return conn
}

// arrival is a request as a backend got it.
type arrival struct {
	target string
	header http.Header
}

func (a arrival) String() string { return a.target }

// phpServer speaks FastCGI, as php-fpm does.
type phpServer struct {
	address string
	mu      sync.Mutex
	got     []arrival
}

func newPHPServer(t *testing.T) *phpServer {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	p := &phpServer{address: listener.Addr().String()}
	go fcgi.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.got = append(p.got, arrival{r.URL.RequestURI(), r.Header})
		fmt.Fprintf(w, "php: %s", r.URL)
	}))
	return p
}

func (p *phpServer) requests() []arrival {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.got)
}

// The table in the docs is made of the cases.
func TestTheTableOfConfigurationsIsThatOfTheCases(t *testing.T) {
	const path = "../docs/gate-matrix.md"
	want := routecases.Table(routecases.Load(t, "testdata/matrix"))
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s is not that of the cases (%v): UPDATE=1 go test ./xcaddy -run TableOfConfigurations writes it anew", path, err)
	}
}
