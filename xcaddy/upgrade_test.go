package main_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

// h2cBackend accepts upgrades to HTTP/2 as Hypercorn does with its defaults:
// by Upgrade alone, whatever Connection says of HTTP2-Settings. It keeps the
// paths of the requests that it serves over HTTP/2, with their X-MFA-User.
type h2cBackend struct {
	mu   sync.Mutex
	seen []string
}

func (b *h2cBackend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.EqualFold(r.Header.Get("Upgrade"), "h2c") {
		fmt.Fprint(w, "HTTP/1.1")
		return
	}
	settings, err := base64.RawURLEncoding.DecodeString(r.Header.Get("HTTP2-Settings"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	conn, stream, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = stream.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
	_ = stream.Flush()
	//lint:ignore SA1019 The standard library serves no connection that was upgraded to h2c.
	new(http2.Server).ServeConn(buffered{conn, stream.Reader}, &http2.ServeConnOpts{
		Settings:       settings,
		UpgradeRequest: r,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.seen = append(b.seen, r.URL.Path+" "+r.Header.Get("X-MFA-User"))
			w.Header().Set("Path", r.URL.Path)
		}),
	})
}

// overHTTP2 returns what was served over HTTP/2 so far.
func (b *h2cBackend) overHTTP2() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.seen)
}

// buffered is a connection whose first bytes were read already.
type buffered struct {
	net.Conn
	reader *bufio.Reader
}

func (b buffered) Read(p []byte) (int, error) { return b.reader.Read(p) }

// connect opens a connection to the edge that gives up after a while.
func connect(t *testing.T, e *edgetest.Edge) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", "127.0.0.1:"+e.Port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	return conn
}

// smuggle asks for target with the headers of an upgrade, and, if it is
// granted, for /admin/x over HTTP/2 as root. It returns the status of the
// first answer.
func smuggle(t *testing.T, e *edgetest.Edge, target string, headers []string) int {
	t.Helper()
	conn := connect(t, e)
	lines := append([]string{"GET " + target + " HTTP/1.1", "Host: localhost:" + e.Port}, headers...)
	fmt.Fprint(conn, strings.Join(lines, "\r\n")+"\r\n\r\n")
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		response.Body.Close()
		return response.StatusCode
	}
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, field := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":path", "/admin/x"}, {":authority", "localhost"}, {"x-mfa-user", "root"}} {
		_ = encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
	}
	fmt.Fprint(conn, http2.ClientPreface)
	framer := http2.NewFramer(conn, reader)
	_ = framer.WriteSettings()
	_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return response.StatusCode // another protocol than HTTP/2
		}
		if frame.Header().StreamID == 3 && frame.Header().Flags.Has(http2.FlagHeadersEndStream) {
			return response.StatusCode
		}
	}
}

func TestNoUpgradeLeadsRequestsPastTheGate(t *testing.T) {
	e := edgetest.New(t)
	backend := new(h2cBackend)
	e.Upstream.Serve(backend)
	e.Start(gated(adminGate))
	for name, headers := range map[string][]string{
		"h2c":                          {"Connection: Upgrade", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"},
		"h2c, as curl asks for it":     {"Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"},
		"h2c in capitals":              {"connection: upgrade", "upgrade: H2C", "http2-settings: AAMAAABkAAQAAP__"},
		"h2c before websocket":         {"Connection: Upgrade", "Upgrade: h2c", "Upgrade: websocket", "HTTP2-Settings: AAMAAABkAAQAAP__"},
		"h2c, nominated beside others": {"Connection: close", "Connection: keep-alive,UPGRADE", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"},
	} {
		for _, target := range []string{"/", "/mfa/jwks.json", "/missing"} {
			if status := smuggle(t, e, target, headers); status == http.StatusSwitchingProtocols {
				t.Errorf("%s at %s: the protocol was switched", name, target)
			}
		}
	}
	if seen := backend.overHTTP2(); len(seen) > 0 {
		t.Errorf("the backend served over HTTP/2, behind the gate's back: %q", seen)
	}
}

// What stands before mfa sees the request as it came. These are the mends that
// the documentation names.
func TestWhatStandsBeforeMFACanBeKeptFromUpgrades(t *testing.T) {
	for name, site := range map[string]string{
		"forward_auth without the header": "forward_auth {$UPSTREAM} {\n\t\turi /check\n\t\theader_up -Upgrade\n\t}\n\t" + adminGate,
		"forward_auth behind the gate":    "route {\n\t\tmfa\n\t\t" + adminGate + "\n\t\tforward_auth {$UPSTREAM} {\n\t\t\turi /check\n\t\t}\n\t\treverse_proxy {$UPSTREAM}\n\t}",
		"mfa in an error route": "basic_auth {\n\t\tstaff $2a$14$Zkx19XLiW6VYouLHR5NmfOFU0z2GTNmpkT/5qqR7hx4IjWJPDhjvG\n\t}\n\t" +
			"handle_errors {\n\t\tmfa\n\t\treverse_proxy {$UPSTREAM}\n\t}",
	} {
		e := edgetest.New(t)
		backend := new(h2cBackend)
		e.Upstream.Serve(backend)
		config := gated(site)
		if strings.HasPrefix(site, "route") {
			config = strings.Replace(edgetest.Caddyfile, "\tmfa\n\treverse_proxy {$UPSTREAM}\n", "\t"+site+"\n", 1)
		}
		e.NoAPI = true // staff alone may see its document
		e.Start(config)
		status := smuggle(t, e, "/", []string{"Connection: Upgrade", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"})
		if seen := backend.overHTTP2(); status == http.StatusSwitchingProtocols || len(seen) > 0 || len(e.Upstream.Requests()) == 0 {
			t.Errorf("%s: %d, the backend served over HTTP/2: %q", name, status, seen)
		}
	}
}

// switching returns the lines of a head that a backend may switch protocols by.
func switching(head string) (lines []string) {
	for line := range strings.SplitSeq(head, "\r\n") {
		name, _, _ := strings.Cut(strings.ToLower(line), ":")
		if strings.Contains(name, "upgrade") || name == "connection" || strings.Contains(name, "settings") {
			lines = append(lines, line)
		}
	}
	return lines
}

func TestABackendIsAskedForNoProtocolButWebSocket(t *testing.T) {
	const (
		errors = "handle_errors {\n\t\tmfa\n\t\treverse_proxy {$UPSTREAM}\n\t}"
		plain  = "mfa\n\t" + adminGate
	)
	for name, site := range map[string]string{
		"mfa and a gate":      plain,
		"mfa in a route":      "route {\n\t\tmfa\n\t\treverse_proxy {$UPSTREAM}\n\t}",
		"an error before mfa": "route {\n\t\terror /public 403\n\t\tmfa\n\t}\n\t" + errors,
		"a refusal handed on": "mfa\n\tmfa_require /public {\n\t\thandle_errors\n\t}\n\t" + errors,
	} {
		for kind, server := range servers {
			if kind != "underscores" && name != "mfa and a gate" {
				continue // the sites differ, the servers only in the names that they let pass
			}
			w := newWire(t, site, server)
			for _, test := range []struct {
				headers, want []string
			}{
				{[]string{"Upgrade: websocket", "Connection: Upgrade"}, []string{"Connection: Upgrade", "Upgrade: websocket"}},
				{[]string{"UPGRADE: WebSocket", "Connection: keep-alive, upgrade"}, []string{"Connection: Upgrade", "Upgrade: websocket"}},
				{[]string{"Upgrade: websocket", "Connection: Upgrade", "HTTP2-Settings: AAMAAABkAAQAAP__"}, []string{"Connection: Upgrade", "Upgrade: websocket"}},
				{[]string{"Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAAQAAP__"}, nil},
				{[]string{"Upgrade: h2c", "Connection: Upgrade", "http2_settings: AAMAAABkAAQAAP__", "HTTP2.Settings: x", "HTTP2~Settings: y"}, nil},
				{[]string{"Upgrade: websocket, h2c", "Connection: Upgrade"}, nil},
				{[]string{"Upgrade: websocket", "Upgrade: h2c", "Connection: Upgrade"}, nil},
				{[]string{"Upgrade: h2c", "Upgrade: websocket", "Connection: Upgrade"}, nil},
				{[]string{"Upgrade: websocket/13", "Connection: Upgrade"}, nil},
				{[]string{"Upgrade: TLS/1.3", "Connection: Upgrade"}, nil},
				{[]string{"Upgrade: HTTP/2.0, websocket", "Connection: Upgrade"}, nil},
				{[]string{"Upgrade: tcp", "Connection: Upgrade"}, nil},
				{[]string{"Upgrade: h2c", "Proxy-Connection: Upgrade", "Keep-Alive: Upgrade"}, nil},
			} {
				answer, head := w.send("/public", test.headers...)
				lines := switching(head)
				slices.Sort(lines)
				if answer.Status != 200 || !slices.Equal(lines, test.want) {
					t.Errorf("%s, %s, %q: %d, the backend got %q", name, kind, test.headers, answer.Status, head)
				}
			}
		}
	}
}

func TestAWebSocketNeedsNoGate(t *testing.T) {
	e := edgetest.New(t)
	e.Upstream.Serve(http.HandlerFunc(echo))
	e.Start(strings.Replace(gated(adminGate), "\tmfa {\n", "\tmfa {\n\t\tupgrades tcp\n", 1))
	e.AwaitLog("no gate sees what is sent after the switch")
	status, say := upgrade(t, e, "/socket")
	if status != http.StatusSwitchingProtocols {
		t.Fatalf("the answer is %d", status)
	}
	if got := say("hello\n"); got != "hello\n" {
		t.Errorf("heard %q", got)
	}
	// As Docker's clients ask for it.
	conn := connect(t, e)
	fmt.Fprintf(conn, "POST /attach HTTP/1.1\r\nHost: localhost:%s\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\nraw\n", e.Port)
	stream := bufio.NewReader(conn)
	response, err := http.ReadResponse(stream, nil)
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("a protocol that is listed: %v, %v", response, err)
	}
	if line, err := stream.ReadString('\n'); line != "raw\n" {
		t.Errorf("heard %q, %v", line, err)
	}
}

// A proxy may send the body of a CONNECT on without a length, so that a backend
// takes it for the next request.
func TestNoRequestOpensATunnel(t *testing.T) {
	e := edgetest.New(t)
	e.Start(gated(adminGate))
	const hidden = "GET /admin/x HTTP/1.1\r\nHost: localhost\r\nX-MFA-User: root\r\n\r\n"
	body := fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(hidden), hidden)
	for _, line := range []string{
		"CONNECT / HTTP/1.1", "connect / HTTP/1.1", "CONNECT localhost:" + e.Port + " HTTP/1.1", "CONNECT /mfa/jwks.json HTTP/1.1", "PRI * HTTP/2.0", "PRI / HTTP/1.1",
	} {
		conn := connect(t, e)
		fmt.Fprintf(conn, "%s\r\nHost: localhost:%s\r\nConnection: close\r\n%s", line, e.Port, body)
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		answer, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != 400 || !bytes.Contains(answer, []byte(`"invalid_request"`)) {
			t.Errorf("%s: %d %s, %v", line, response.StatusCode, answer, err)
		}
	}
	for _, r := range e.Upstream.Requests() {
		t.Errorf("the backend got %s %s, of %q", r.Method, r.RequestURI, r.Header.Get("X-MFA-User"))
	}
}

// Whatever two parsers may read differently in one request, what the backend
// gets is what the gate has judged.
func TestOneRequestIsOneRequestForTheBackend(t *testing.T) {
	e := edgetest.New(t)
	e.Start(gated(adminGate))
	host := "Host: localhost:" + e.Port + "\r\n"
	const hidden = "GET /admin/x HTTP/1.1\r\nHost: localhost\r\nX-MFA-User: root\r\n\r\n"
	length := fmt.Sprintf("Content-Length: %d\r\n", len(hidden))
	chunked := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(hidden), hidden)
	for name, raw := range map[string]string{
		"two lengths":                  "POST /open HTTP/1.1\r\n" + host + "Content-Length: 0\r\n" + length + "\r\n" + hidden,
		"a length and chunks":          "POST /open HTTP/1.1\r\n" + host + length + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden,
		"chunks and a length":          "POST /open HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n" + "Content-Length: 3\r\n\r\n" + chunked,
		"chunks in another spelling":   "POST /open HTTP/1.1\r\n" + host + length + "Transfer-Encoding: xchunked\r\n\r\n" + hidden,
		"chunks twice":                 "POST /open HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n" + chunked,
		"chunks behind another coding": "POST /open HTTP/1.1\r\n" + host + "Transfer-Encoding: identity, chunked\r\n\r\n" + chunked,
		"chunks behind a tab":          "POST /open HTTP/1.1\r\n" + host + length + "Transfer-Encoding:\tchunked\r\n\r\n" + chunked,
		"a blank before the colon":     "POST /open HTTP/1.1\r\n" + host + "Transfer-Encoding : chunked\r\n" + length + "\r\n" + hidden,
		"a folded line":                "POST /open HTTP/1.1\r\n" + host + "X: y\r\n Transfer-Encoding: chunked\r\n" + length + "\r\n" + hidden,
		"a bare carriage return":       "POST /open HTTP/1.1\r\n" + host + "X: y\rTransfer-Encoding: chunked\r\n" + length + "\r\n" + hidden,
		"an underscore":                "POST /open HTTP/1.1\r\n" + host + "Transfer_Encoding: chunked\r\n" + length + "\r\n" + hidden,
		"a length with a sign":         "POST /open HTTP/1.1\r\n" + host + "Content-Length: +" + length[len("Content-Length: "):] + "\r\n" + hidden,
		"an extension of a chunk":      "POST /open HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x;a=\"\n\";%s\r\n", len(hidden), "b") + hidden + "\r\n0\r\n\r\n",
		"chunks that end early":        "POST /open HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n0\r\nX-MFA-User: root\r\nX-Original-URL: /admin/x\r\n\r\n",
		"a body of GET":                "GET /open HTTP/1.1\r\n" + host + length + "\r\n" + hidden,
		"a body of HEAD":               "HEAD /open HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n" + chunked,
		"a body that is waited for":    "POST /open HTTP/1.1\r\n" + host + "Expect: 100-continue\r\n" + length + "\r\n" + hidden,
		"another expectation":          "POST /open HTTP/1.1\r\n" + host + "Expect: 100-continue, x\r\n" + length + "\r\n" + hidden,
		"HTTP/1.0 with chunks":         "POST /open HTTP/1.0\r\n" + host + "Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n" + chunked,
		"HTTP/0.9":                     "GET /admin/x\r\n\r\n",
		"TRACE":                        "TRACE /open HTTP/1.1\r\n" + host + "Max-Forwards: 0\r\n\r\n",
		"a target of another host":     "GET http://other.example/admin/x HTTP/1.1\r\n" + host + "\r\n",
		"a target with the host":       "GET http://localhost:" + e.Port + "/admin/x HTTP/1.1\r\n" + host + "\r\n",
		"a target with a blank":        "GET /open /admin/x HTTP/1.1\r\n" + host + "\r\n",
		"an upgrade with a body":       "POST /open HTTP/1.1\r\n" + host + "Connection: Upgrade\r\nUpgrade: h2c\r\n" + length + "\r\n" + hidden,
		"an upgrade with chunks":       "POST /open HTTP/1.1\r\n" + host + "Connection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked,
		"the preface behind a request": "GET /open HTTP/1.1\r\n" + host + "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + http2.ClientPreface,
	} {
		before := len(e.Upstream.Requests())
		conn := connect(t, e)
		if _, err := io.WriteString(conn, raw); err != nil {
			t.Fatal(err)
		}
		_ = conn.(*net.TCPConn).CloseWrite()
		answer, err := io.ReadAll(conn)
		conn.Close()
		if err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("%s: %v", name, err)
		}
		for _, r := range e.Upstream.Requests()[before:] {
			if r.URL.Path != "/open" || r.Header.Get("X-MFA-User") != "" || r.Trailer.Get("X-MFA-User") != "" || r.Trailer.Get("X-Original-URL") != "" {
				t.Errorf("%s: the backend got %s %s, of %q, with trailers %v; the client got %q", name, r.Method, r.RequestURI, r.Header.Get("X-MFA-User"), r.Trailer, answer)
			}
		}
	}
	if passed := len(e.Upstream.Requests()); passed < 8 {
		t.Errorf("only %d requests passed: what is tested here does not get to a backend at all", passed)
	}
}

// askHTTP2 sends one request, with a body, over HTTP/2 by prior knowledge, and
// returns the status, 0 for a stream that was reset.
func askHTTP2(t *testing.T, e *edgetest.Edge, body string, fields ...string) int {
	t.Helper()
	conn := connect(t, e)
	defer conn.Close()
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		_ = encoder.WriteField(hpack.HeaderField{Name: name, Value: value})
	}
	fmt.Fprint(conn, http2.ClientPreface)
	framer := http2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_ = framer.WriteSettings()
	_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true})
	_ = framer.WriteData(1, true, []byte(body))
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			t.Fatalf("%q: %v", fields, err)
		}
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			var status int
			_, _ = fmt.Sscan(frame.PseudoValue("status"), &status)
			return status
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return 0
		}
	}
}

func TestOverHTTP2NoHeaderOfAConnectionCounts(t *testing.T) {
	e := edgetest.New(t)
	e.Start(strings.Replace(gated(adminGate), "\tmfa {\n", "\tservers {\n\t\tprotocols h1 h2c\n\t}\n\tmfa {\n", 1))
	alice := enrolled(t, e, "alice", nil)
	const hidden = "GET /admin/x HTTP/1.1\r\nHost: localhost\r\nX-MFA-User: root\r\n\r\n"
	authority, full := ":authority: localhost:"+e.Port, "authorization: Bearer "+alice.pair.access
	get := func(path string, more ...string) []string {
		return append([]string{":method: POST", ":scheme: http", authority, ":path: " + path}, more...)
	}
	if status := askHTTP2(t, e, "x", get("/admin/x", full)...); status != 200 {
		t.Fatalf("with an assertion: %d", status)
	}
	before := len(e.Upstream.Requests())
	for _, fields := range [][]string{
		get("/admin/x", full, "connection: authorization"),
		get("/admin/x", full, "connection: close"),
		get("/open", "connection: upgrade", "upgrade: h2c"),
		get("/open", "upgrade: websocket"),
		get("/open", "proxy-connection: upgrade"),
		get("/open", "transfer-encoding: chunked"),
		{":method: CONNECT", authority},
		{":method: CONNECT", ":protocol: h2c", ":scheme: http", authority, ":path: /open"},
		{":method: CONNECT", ":scheme: http", authority, ":path: /open"},
		{":method: connect", ":scheme: http", authority, ":path: /open"},
		{":method: PRI", ":scheme: http", authority, ":path: /open"},
		{":method: POST /admin/x", ":scheme: http", authority, ":path: /open"},
		{":method: POST", ":scheme: http", authority, ":path: http:admin/x"},
	} {
		if status := askHTTP2(t, e, hidden, fields...); status != 0 && status < 400 {
			t.Errorf("%q: %d", fields, status)
		}
	}
	if got := e.Upstream.Requests()[before:]; len(got) > 0 {
		t.Errorf("the backend got %s %s", got[0].Method, got[0].RequestURI)
	}
	if status := askHTTP2(t, e, "x", get("/open", "http2-settings: AAMAAABkAAQAAP__", "te: trailers")...); status != 200 {
		t.Errorf("HTTP2-Settings: %d", status)
	}
	if got := e.Upstream.Requests(); got[len(got)-1].Header["Http2-Settings"] != nil {
		t.Errorf("the backend got %v", got[len(got)-1].Header)
	}
}
