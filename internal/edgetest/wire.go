package edgetest

import (
	"bufio"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// Wire is a backend that keeps the bytes of the heads of requests as they came,
// for what a parser of HTTP would hide. It answers every one with 200.
type Wire struct {
	listener net.Listener
	served   sync.WaitGroup

	mu    sync.Mutex
	heads []string
}

// UseWire has a Wire take the place of the edge's Upstream. It is for the time
// before Start.
func (e *Edge) UseWire() *Wire {
	e.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		e.t.Fatal(err)
	}
	w := &Wire{listener: listener}
	w.served.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // closed
			}
			w.served.Go(func() { w.serve(e.t, conn) })
		}
	})
	e.t.Cleanup(func() {
		listener.Close()
		w.served.Wait()
	})
	e.Upstream.Address = listener.Addr().String()
	return w
}

// serve answers one request, after its head.
func (w *Wire) serve(t testing.TB, conn net.Conn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	var head strings.Builder
	for reader := bufio.NewReader(conn); !strings.HasSuffix(head.String(), "\r\n\r\n"); {
		line, err := reader.ReadString('\n')
		if err != nil {
			if head.Len() > 0 {
				t.Errorf("reading a request's head: %v after %q", err, head.String())
			}
			return
		}
		head.WriteString(line)
	}
	w.mu.Lock()
	w.heads = append(w.heads, head.String())
	w.mu.Unlock()
	_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
}

// Heads returns the request lines and headers that have come so far.
func (w *Wire) Heads() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.heads...)
}
