package main_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/quicvarint"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

// heldSocket reads nothing until it is released: a client that writes through
// it never completes a handshake before, like somebody who sends the packets of
// another again.
type heldSocket struct {
	net.PacketConn
	released chan struct{}
	release  func()
}

func newHeldSocket(t *testing.T) *heldSocket {
	t.Helper()
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &heldSocket{PacketConn: socket, released: make(chan struct{})}
	s.release = sync.OnceFunc(func() { close(s.released) })
	t.Cleanup(func() {
		s.release()
		socket.Close()
	})
	return s
}

func (s *heldSocket) ReadFrom(p []byte) (int, net.Addr, error) {
	<-s.released
	return s.PacketConn.ReadFrom(p)
}

// tickets keeps the sessions that a server offers to resume, and says when
// there is one.
type tickets struct {
	tls.ClientSessionCache
	there chan struct{}
	once  sync.Once
}

func newTickets() *tickets {
	return &tickets{ClientSessionCache: tls.NewLRUClientSessionCache(1), there: make(chan struct{})}
}

func (c *tickets) Put(key string, state *tls.ClientSessionState) {
	c.ClientSessionCache.Put(key, state)
	if state != nil {
		c.once.Do(func() { close(c.there) })
	}
}

// http3 is a client that speaks HTTP/3 by hand: what it sends goes out at once,
// before the handshake is complete too.
type http3 struct {
	*quic.Conn
	*heldSocket
	t *testing.T
}

// dialHTTP3 connects to the edge's site at port. Where there is a session to
// resume, it holds the handshake until release is called.
func dialHTTP3(t *testing.T, port string, sessions *tickets) *http3 {
	t.Helper()
	socket := newHeldSocket(t)
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	if !sessions.offered() {
		socket.release()
	}
	config := &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", NextProtos: []string{"h3"}, ClientSessionCache: sessions}
	conn, err := quic.DialEarly(t.Context(), socket, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: number}, config, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseWithError(0, "") })
	control, err := conn.OpenUniStream()
	if err != nil {
		t.Fatal(err)
	}
	const controlStream, settingsFrame, noSettings = 0, 4, 0
	if _, err := control.Write([]byte{controlStream, settingsFrame, noSettings}); err != nil {
		t.Fatal(err)
	}
	return &http3{conn, socket, t}
}

// offered reports whether there is a session to resume.
func (c *tickets) offered() bool {
	select {
	case <-c.there:
		return true
	default:
		return false
	}
}

const (
	dataFrame    = 0
	headersFrame = 1
)

// frame is one of HTTP/3.
func frame(kind uint64, content []byte) []byte {
	return append(quicvarint.Append(quicvarint.Append(nil, kind), uint64(len(content))), content...)
}

// send sends a request, with the fields, beginning with the pseudo headers, and
// the body, which it ends unless it is nil.
func (c *http3) send(body []byte, fields ...string) *quic.Stream {
	c.t.Helper()
	var block bytes.Buffer
	encoder := qpack.NewEncoder(&block)
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		_ = encoder.WriteField(qpack.HeaderField{Name: name, Value: value})
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), 30*time.Second)
	defer cancel()
	stream, err := c.OpenStreamSync(ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	_ = stream.SetDeadline(time.Now().Add(30 * time.Second))
	raw := frame(headersFrame, block.Bytes())
	if len(body) > 0 {
		raw = append(raw, frame(dataFrame, body)...)
	}
	if _, err := stream.Write(raw); err != nil {
		c.t.Fatal(err)
	}
	if body != nil {
		stream.Close()
	}
	return stream
}

// head reads the head of an answer, and returns what reads its body.
func (c *http3) head(stream *quic.Stream) (edgetest.Answer, func() []byte) {
	c.t.Helper()
	reader := quicvarint.NewReader(stream)
	next := func(want uint64) []byte {
		kind, err := quicvarint.Read(reader)
		if errors.Is(err, io.EOF) {
			return nil
		}
		length, err2 := quicvarint.Read(reader)
		if err != nil || err2 != nil || kind != want {
			c.t.Fatalf("reading a frame of kind %d: kind %d, %v, %v", want, kind, err, err2)
		}
		content := make([]byte, length)
		if _, err := io.ReadFull(reader, content); err != nil {
			c.t.Fatal(err)
		}
		return content
	}
	answer := edgetest.Answer{Header: http.Header{}}
	decode := qpack.NewDecoder().Decode(next(headersFrame))
	for {
		field, err := decode()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			c.t.Fatal(err)
		}
		if field.Name == ":status" {
			answer.Status, _ = strconv.Atoi(field.Value)
		} else {
			answer.Header.Add(field.Name, field.Value)
		}
	}
	return answer, func() []byte { return next(dataFrame) }
}

// answer reads a whole answer.
func (c *http3) answer(stream *quic.Stream) edgetest.Answer {
	c.t.Helper()
	answer, next := c.head(stream)
	var body []byte
	for part := next(); part != nil; part = next() {
		body = append(body, part...)
	}
	header := answer.Header
	answer = edgetest.NewAnswer(answer.Status, string(body))
	answer.Header = header
	return answer
}

// startHTTPS starts an edge with a second site, over TLS, and returns its port.
func startHTTPS(t *testing.T, e *edgetest.Edge) (port string) {
	t.Helper()
	writeCertificate(t, filepath.Join(e.Dir, "cert.pem"), filepath.Join(e.Dir, "key.pem"))
	port = edgetest.FreePort(t)
	e.Env = append(e.Env, "TLSPORT="+port)
	site := `https://localhost:{$TLSPORT} {
	bind 127.0.0.1
	tls cert.pem key.pem
	log
	mfa
	` + adminGate + `
	reverse_proxy {$UPSTREAM}
}
`
	config := strings.Replace(withBearer("dev", "cookie session"), "\tadmin {$ADMIN}\n", "\tadmin {$ADMIN}\n\tauto_https off\n\tskip_install_trust\n", 1)
	e.Start(strings.Replace(config, "\tmfa\n\treverse_proxy", "\tmfa\n\t"+adminGate+"\n\treverse_proxy", 1) + site)
	return port
}

// earlyRequest is one that is sent as early data.
type earlyRequest struct {
	method, path string
	headers      []string
	body         string
}

// fields are what is sent of it.
func (r earlyRequest) fields(port string) []string {
	fields := append([]string{":method: " + r.method, ":scheme: https", ":authority: localhost:" + port, ":path: " + r.path}, r.headers...)
	if r.body != "" {
		fields = append(fields, "content-type: application/json", "content-length: "+strconv.Itoa(len(r.body)))
	}
	return fields
}

func TestEarlyDataIsRefusedBeforeAnythingIsDone(t *testing.T) {
	e := edgetest.New(t)
	port := startHTTPS(t, e)
	alice := enrolled(t, e, "alice", nil)
	sessions := newTickets()
	first := dialHTTP3(t, port, sessions)
	if answer := first.answer(first.send([]byte{}, earlyRequest{method: "GET", path: "/first"}.fields(port)...)); answer.Status != 200 {
		t.Fatalf("%d %s", answer.Status, answer.Body)
	}
	select {
	case <-sessions.there:
	case <-time.After(30 * time.Second):
		t.Fatal("the server offers no session to resume")
	}

	full, login := "authorization: Bearer "+alice.pair.access, "authorization: Bearer "+alice.token
	cookies := "cookie: session=" + alice.token + "; __Host-mfa=" + alice.pair.cookie
	wrong := fmt.Sprintf(`{"mfaType":"GOOGLE_AUTH","code":%q}`, wrongCode(t, alice.secret))
	refused := []earlyRequest{
		{"GET", "/admin/x", []string{full}, ""},
		{"POST", "/admin/pay", []string{full}, `{"amount":1}`},
		{"GET", "/admin/cookies", []string{cookies}, ""},
		{"GET", "/admin/page", []string{cookies, "accept: text/html"}, ""},
		{"GET", "/admin/nobody", nil, ""},
		{"OPTIONS", "/admin/preflight", []string{"origin: https://app.example.com", "access-control-request-method: POST"}, ""},
		{"GET", "/open/with-an-assertion", []string{full}, ""},
		{"GET", "/open/with-a-cookie", []string{cookies}, ""},
		{"GET", "/mfa/status", []string{login}, ""},
		{"GET", "/mfa/jwks.json", nil, ""},
		{"GET", "/MFA//openapi.json", nil, ""},
		{"GET", "/mfa/", nil, ""},
		{"GET", "/mfa/magic-link", nil, ""},
		{"POST", "/mfa/magic-link/inspect", nil, `{"token":"x"}`},
		{"POST", "/mfa/setup", []string{login}, `{"mfaType":"MAGIC_LINK","email":"a@example.com"}`},
		{"POST", "/mfa/sign-out", []string{full}, `{"everywhere":true}`},
	}
	for range 5 { // as many as lock code entry
		refused = append(refused, earlyRequest{"POST", "/mfa/verify-login", []string{login}, wrong})
	}
	passing := []earlyRequest{
		{"GET", "/open/x", nil, ""},
		{"GET", "/open/y", []string{login}, ""},
	}
	early := dialHTTP3(t, port, sessions)
	var streams []*quic.Stream
	all := append(refused, passing...)
	for i, r := range all {
		r.path += "?early=" + strconv.Itoa(i)
		streams = append(streams, early.send([]byte(r.body), r.fields(port)...))
	}
	for i, r := range all { // which is before the client's side of the handshake
		e.AwaitLog(fmt.Sprintf(`"uri":"%s?early=%d"`, r.path, i))
	}
	early.release()
	for i, r := range all {
		answer := early.answer(streams[i])
		if i >= len(refused) {
			if answer.Status != 200 {
				t.Errorf("%s %s: %d %s", r.method, r.path, answer.Status, answer.Body)
			}
			continue
		}
		answer.WantError(t, 425, "too_early", "")
		if answer.Header.Get("Cache-Control") != "no-store" || len(answer.Header["Set-Cookie"]) > 0 {
			t.Errorf("%s %s: %v", r.method, r.path, answer.Header)
		}
		if strings.HasPrefix(r.path, "/mfa/") {
			e.Check(e.Request(r.method, r.path, "", nil), answer)
		}
	}
	<-early.HandshakeComplete()
	if !early.ConnectionState().Used0RTT {
		t.Error("the server has not accepted early data")
	}
	got := e.Upstream.Requests()
	if len(got) != 1+len(passing) {
		t.Errorf("the backend got %d requests", len(got))
	}
	for _, r := range got {
		if early := r.Header.Get("Early-Data"); (early == "1") != strings.HasPrefix(r.URL.Path, "/open/") {
			t.Errorf("the backend got %s with Early-Data %q", r.RequestURI, early)
		}
	}
	// The same requests on the same connection count once the handshake is done.
	for _, r := range refused[:3] {
		if answer := early.answer(early.send([]byte(r.body), r.fields(port)...)); answer.Status != 200 || !strings.HasPrefix(answer.Body, "upstream: ") {
			t.Errorf("%s %s: %d %s", r.method, r.path, answer.Status, answer.Body)
		}
	}
	status := early.answer(early.send([]byte{}, earlyRequest{"GET", "/mfa/status", []string{full}, ""}.fields(port)...)).Data(t)
	if status["attemptsLeft"] != nil || status["sessionVerified"] != true {
		t.Errorf("the status is %v", status)
	}
	alice.showCode(alice.code(0)).WantMessage(t, "MFA verification successful")
	if mails, err := filepath.Glob(filepath.Join(e.Dir, "outbox", "*")); err != nil || len(mails) > 0 {
		t.Errorf("mails: %q, %v", mails, err)
	}
}

// A front proxy says by Early-Data that it passes early data on.
func TestEarlyDataOfAFrontProxyIsRefused(t *testing.T) {
	e := edgetest.New(t)
	e.Start(gated(adminGate + "\n\tmfa_require /handed/* {\n\t\thandle_errors\n\t}\n\thandle_errors {\n\t\trespond \"an error: {err.status_code}\"\n\t}"))
	alice := enrolled(t, e, "alice", nil)
	if answer := e.Raw("GET /handed/x", "Authorization: Bearer "+alice.token, "Early-Data: 1"); answer.Status != 425 || answer.Body != "an error: 425" {
		t.Errorf("a refusal that is handed on: %d %s", answer.Status, answer.Body)
	}
	for _, header := range []string{"Early-Data: 1", "early-data: 0", "Early-Data: ", "Early-Data: 1\r\nEarly-Data: 0", "Early-Data: 1\r\nConnection: Early-Data"} {
		for _, target := range []string{"/admin/x", "/open", "/mfa/status", "/mfa/jwks.json"} {
			e.Raw("GET "+target, "Authorization: Bearer "+alice.pair.access, header).WantError(t, 425, "too_early", "")
		}
		e.Raw("GET /admin/x", "Authorization: Bearer "+alice.token, header).WantError(t, 425, "too_early", "")
		if answer := e.Raw("GET /open", header); answer.Status != 200 {
			t.Errorf("%q: %d %s", header, answer.Status, answer.Body)
		}
	}
	for _, r := range e.Upstream.Requests() {
		if r.Header["Early-Data"] == nil {
			t.Errorf("the backend is not told of early data: %v", r.Header)
		}
	}
	if answer := e.Do("GET", "/admin/x", alice.pair.access, nil); answer.Status != 200 {
		t.Errorf("%d %s", answer.Status, answer.Body)
	}
	r := e.Request("GET", "/metrics", "", nil)
	r.URL.Host, r.Host = e.Admin(), ""
	if metrics, err := edgetest.Try(r); err != nil || !strings.Contains(metrics.Body, `caddy_mfa_gate_decisions_total{decision="too_early"} 6`) {
		t.Errorf("early data is not counted: %d %.300s, %v", metrics.Status, metrics.Body, err)
	}
}

// Over HTTP/3 a client needs no other protocol to open a tunnel.
func TestOverHTTP3AWebSocketAloneIsATunnel(t *testing.T) {
	e := edgetest.New(t)
	port := startHTTPS(t, e)
	alice := enrolled(t, e, "alice", nil)
	client := dialHTTP3(t, port, newTickets())
	const hidden = "GET /admin/x HTTP/1.1\r\nHost: localhost\r\nX-MFA-User: root\r\n\r\n"
	for _, fields := range [][]string{
		{":method: CONNECT", ":protocol: connect-udp", ":scheme: https", ":authority: localhost:" + port, ":path: /open"},
		{":method: CONNECT", ":protocol: h2c", ":scheme: https", ":authority: localhost:" + port, ":path: /open"},
		{":method: CONNECT", ":authority: localhost:" + port},
	} {
		client.answer(client.send([]byte(hidden), fields...)).WantError(t, 400, "invalid_request", "")
	}
	for _, r := range e.Upstream.Requests() {
		t.Errorf("the backend got %s %s, of %q", r.Method, r.RequestURI, r.Header.Get("X-MFA-User"))
	}

	e.Upstream.Serve(http.HandlerFunc(echo))
	socket := []string{":method: CONNECT", ":protocol: websocket", ":scheme: https", ":authority: localhost:" + port, ":path: /admin/socket", "sec-websocket-version: 13"}
	client.answer(client.send([]byte{}, append(socket, "authorization: Bearer "+alice.token)...)).WantError(t, 401, "insufficient_user_authentication", "")
	stream := client.send(nil, append(socket, "authorization: Bearer "+alice.pair.access)...)
	answer, next := client.head(stream)
	if answer.Status != 200 {
		t.Fatalf("a WebSocket with an assertion: %d", answer.Status)
	}
	if _, err := stream.Write(frame(dataFrame, []byte("hello"))); err != nil {
		t.Fatal(err)
	}
	if got := next(); string(got) != "hello" {
		t.Errorf("heard %q", got)
	}
	if got := e.Upstream.Requests(); got[len(got)-1].Header.Get("X-MFA-User") != "alice" {
		t.Errorf("the backend got %v", got[len(got)-1].Header)
	}
}
