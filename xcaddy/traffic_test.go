package main_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

// traffic is what a few clients ask of an edge, over and over.
type traffic struct {
	t        *testing.T
	stop     chan struct{}
	clients  sync.WaitGroup
	served   atomic.Int64
	progress chan struct{} // gets one now and then, as requests are served

	mu       sync.Mutex
	failures []string
}

// startTraffic has clients read their status, set up a factor and reach
// the upstream until Stop.
func startTraffic(t *testing.T, e *edgetest.Edge) *traffic {
	t.Helper()
	tr := &traffic{t: t, stop: make(chan struct{}), progress: make(chan struct{}, 1)}
	t.Cleanup(tr.end)
	for i := range 2 {
		token := e.Token(fmt.Sprintf("visitor-%d", i), nil)
		tr.client(func() *http.Request { return e.Request("GET", "/page", token, nil) }, "upstream: GET /page")
		tr.client(func() *http.Request { return e.Request("GET", "/mfa/status", token, nil) }, `"isEnabled":false`)
		tr.client(func() *http.Request {
			return e.Request("POST", "/mfa/setup", token, map[string]any{"mfaType": "GOOGLE_AUTH"})
		}, `"otpauthUrl"`)
	}
	tr.Flow(20)
	return tr
}

// client sends requests and expects each answer to be 200 with want.
func (tr *traffic) client(next func() *http.Request, want string) {
	tr.clients.Go(func() {
		for {
			select {
			case <-tr.stop:
				return
			default:
			}
			// Each configuration listens on a socket of its own, and what has
			// just come to the old one's is cut off when it closes. That is so
			// with any Caddy; browsers try again, and so do we. What counts here
			// is that each answer is right.
			r := next()
			answer, err := edgetest.Try(r)
			for retries := 0; err != nil && retries < 5; retries++ {
				r = next()
				answer, err = edgetest.Try(r)
			}
			if err != nil || answer.Status != http.StatusOK || !strings.Contains(answer.Body, want) {
				tr.mu.Lock()
				tr.failures = append(tr.failures, fmt.Sprintf("%s %s: %d %s (%v)", r.Method, r.URL.Path, answer.Status, answer.Body, err))
				tr.mu.Unlock()
			}
			tr.served.Add(1)
			select {
			case tr.progress <- struct{}{}:
			default:
			}
		}
	})
}

// Flow returns when n more requests have been answered.
func (tr *traffic) Flow(n int64) {
	for target := tr.served.Load() + n; tr.served.Load() < target; <-tr.progress {
	}
}

func (tr *traffic) end() {
	select {
	case <-tr.stop:
	default:
		close(tr.stop)
	}
	tr.clients.Wait()
}

// Stop ends the traffic, and fails the test when a request failed.
func (tr *traffic) Stop() {
	tr.t.Helper()
	tr.end()
	if len(tr.failures) > 0 {
		slices.Sort(tr.failures)
		tr.t.Errorf("%d of %d requests failed, such as\n%s", len(tr.failures), tr.served.Load(),
			strings.Join(tr.failures[:min(5, len(tr.failures))], "\n"))
	}
}
