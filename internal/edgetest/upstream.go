package edgetest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// Upstream is a backend that knows nothing of MFA: it answers every
// request with 200 and what it was asked, and remembers it.
type Upstream struct {
	// Address is its host and port.
	Address string

	mu       sync.Mutex
	requests []*http.Request
	handler  http.Handler
}

func newUpstream(t testing.TB) *Upstream {
	u := &Upstream{handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "upstream: %s %s", r.Method, r.RequestURI)
	})}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body []byte
		if r.Header.Get("Upgrade") == "" { // else what follows is the handler's
			body, _ = io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		kept := r.Clone(r.Context())
		kept.Body = io.NopCloser(bytes.NewReader(body))
		u.mu.Lock()
		u.requests = append(u.requests, kept)
		handler := u.handler
		u.mu.Unlock()
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	u.Address = server.Listener.Addr().String()
	return u
}

// Serve has handler answer from now on.
func (u *Upstream) Serve(handler http.Handler) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.handler = handler
}

// Requests returns what has come so far, each with its body to read.
func (u *Upstream) Requests() []*http.Request {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]*http.Request(nil), u.requests...)
}
