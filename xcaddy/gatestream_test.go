package main_test

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

// echo takes an upgraded connection and sends back what comes.
func echo(w http.ResponseWriter, r *http.Request) {
	conn, stream, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = stream.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + r.Header.Get("Upgrade") + "\r\n\r\n")
	_ = stream.Flush()
	_, _ = io.Copy(conn, stream)
}

// upgrade asks for a WebSocket at target and returns the answer's status,
// and what sends a line and returns the one that comes back.
func upgrade(t *testing.T, e *edgetest.Edge, target string, headers ...string) (status int, say func(line string) string) {
	t.Helper()
	conn, err := net.Dial("tcp", "127.0.0.1:"+e.Port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	lines := append([]string{"GET " + target + " HTTP/1.1", "Host: localhost:" + e.Port, "Connection: Upgrade", "Upgrade: websocket"}, headers...)
	fmt.Fprint(conn, strings.Join(lines, "\r\n")+"\r\n\r\n")
	stream := bufio.NewReader(conn)
	response, err := http.ReadResponse(stream, nil)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, func(line string) string {
		t.Helper()
		if _, err := io.WriteString(conn, line); err != nil {
			t.Fatal(err)
		}
		got, err := stream.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
}

func TestAWebSocketBehindTheGateNeedsAFactorOnce(t *testing.T) {
	e := edgetest.New(t)
	e.Upstream.Serve(http.HandlerFunc(echo))
	e.Start(strings.Replace(gated(adminGate), "bearer dev", "bearer {\n dev\n cookie session\n}", 1))
	alice := enrolled(t, e, "alice", nil)
	cookies := "Cookie: session=" + alice.token + "; __Host-mfa=" + alice.pair.cookie
	for name, headers := range map[string][]string{
		"nothing":                       nil,
		"the login's token":             {"Authorization: Bearer " + alice.token},
		"cookies and another origin":    {cookies, "Origin: https://evil.example"},
		"cookies and no origin":         {cookies},
		"the login's cookie of a page":  {"Cookie: session=" + alice.token, "Origin: " + e.URL},
		"an assertion that was cut off": {"Authorization: Bearer " + alice.pair.access[:len(alice.pair.access)-9]},
	} {
		if status, _ := upgrade(t, e, "/admin/socket", headers...); status != 401 && status != 403 {
			t.Errorf("with %s: %d", name, status)
		}
	}
	if got := len(e.Upstream.Requests()); got != 0 {
		t.Errorf("the upstream got %d requests", got)
	}
	for name, headers := range map[string][]string{
		"an assertion":       {"Authorization: Bearer " + alice.pair.access},
		"cookies of a page":  {cookies, "Origin: " + e.URL},
		"token and a cookie": {"Authorization: Bearer " + alice.token, "Cookie: __Host-mfa=" + alice.pair.cookie},
	} {
		status, say := upgrade(t, e, "/admin/socket", headers...)
		if status != http.StatusSwitchingProtocols {
			t.Errorf("with %s: %d", name, status)
			continue
		}
		for _, line := range []string{"hello\n", "GET /admin/x HTTP/1.1\n", "bye\n"} {
			if got := say(line); got != line {
				t.Errorf("with %s: said %q, heard %q", name, line, got)
			}
		}
	}
	got := e.Upstream.Requests()
	if h := got[len(got)-1].Header; h.Get("X-MFA-User") != "alice" || strings.Contains(h.Get("Cookie"), "__Host-mfa") {
		t.Errorf("the upstream gets %v", h)
	}
}

func TestAnAnswerBehindTheGateStreams(t *testing.T) {
	e := edgetest.New(t)
	read := make(chan struct{})
	e.Upstream.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n", i)
			_ = http.NewResponseController(w).Flush()
			select { // the next comes only when this has arrived
			case <-read:
			case <-r.Context().Done():
				return
			}
		}
	}))
	e.Start(gated(adminGate))
	alice := enrolled(t, e, "alice", nil)
	response, err := http.DefaultClient.Do(e.Request("GET", "/admin/events", alice.pair.access, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	stream := bufio.NewReader(response.Body)
	for i := range 3 {
		if line, err := stream.ReadString('\n'); err != nil || line != fmt.Sprintf("data: %d\n", i) {
			t.Fatalf("read %q (%v)", line, err)
		}
		read <- struct{}{}
	}
}

func TestALargeUploadPassesTheGateWhole(t *testing.T) {
	e := edgetest.New(t)
	e.Start(gated(adminGate))
	alice := enrolled(t, e, "alice", nil)
	const size = 20 << 20
	body := func() io.Reader { return io.LimitReader(rand.NewChaCha8([32]byte{1}), size) }
	want := sha256.New()
	if _, err := io.Copy(want, body()); err != nil {
		t.Fatal(err)
	}
	upload := func(token string, length int64) edgetest.Answer {
		r := e.Request("PUT", "/admin/file", token, nil)
		r.Body, r.ContentLength = io.NopCloser(body()), length
		return e.Send(r)
	}
	for _, length := range []int64{size, -1} { // -1: chunked
		if answer := upload(alice.pair.access, length); answer.Status != 200 {
			t.Fatalf("%d %s", answer.Status, answer.Body)
		}
		got := e.Upstream.Requests()
		arrived := sha256.New()
		n, err := io.Copy(arrived, got[len(got)-1].Body)
		if err != nil || n != size || string(arrived.Sum(nil)) != string(want.Sum(nil)) {
			t.Errorf("%d bytes arrived of %d, or others", n, size)
		}
		// A refusal reaches a client that is still sending.
		wantClosed(t, e, func() edgetest.Answer { return upload(alice.token, length) })
	}
}

func TestTheGateIsTheSameOverHTTP2(t *testing.T) {
	e := edgetest.New(t)
	e.Start(strings.Replace(gated(adminGate), "\tmfa {\n", "\tservers {\n\t\tprotocols h1 h2c\n\t}\n\tmfa {\n", 1))
	alice := enrolled(t, e, "alice", nil)
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	t.Cleanup(transport.CloseIdleConnections)
	send := func(r *http.Request) int {
		t.Helper()
		response, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		_, _ = io.Copy(io.Discard, response.Body)
		if response.ProtoMajor != 2 {
			t.Fatalf("the protocol is %s", response.Proto)
		}
		return response.StatusCode
	}
	if status := send(e.Request("GET", "/admin/x", alice.token, nil)); status != 401 {
		t.Errorf("without a factor: %d", status)
	}
	if status := send(e.Request("POST", "/admin/x", alice.token, "a body that nobody wants")); status != 401 {
		t.Errorf("without a factor: %d", status)
	}
	if got := len(e.Upstream.Requests()); got != 0 {
		t.Errorf("the upstream got %d requests", got)
	}
	if status := send(e.Request("GET", "/admin/x", alice.pair.access, nil)); status != 200 {
		t.Errorf("with an assertion: %d", status)
	}
	// HTTP/2 clients may split the cookies over several fields.
	r := e.Request("GET", "/admin/x", alice.token, nil)
	r.Header["Cookie"] = []string{"theme=dark", "__Host-mfa=" + alice.pair.cookie, "lang=en"}
	if status := send(r); status != 200 {
		t.Errorf("with a cookie: %d", status)
	}
	for _, r := range e.Upstream.Requests() {
		if r.Header.Get("X-MFA-User") != "alice" || r.Header.Get("Authorization") != "Bearer "+alice.token ||
			strings.Contains(strings.Join(r.Header["Cookie"], ";"), "__Host-mfa") {
			t.Errorf("the upstream gets %v", r.Header)
		}
	}
}
