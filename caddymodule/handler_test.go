package caddymodule

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/api"
	"github.com/caddymfa/caddy-mfa/mfa/bearer"
	"github.com/caddymfa/caddy-mfa/mfa/web"
)

// waitingHandler is a handler whose store is not open yet.
func waitingHandler(t testing.TB) *Handler {
	t.Helper()
	routes, err := api.NewRoutes("/mfa")
	if err != nil {
		t.Fatal(err)
	}
	return &Handler{app: &App{started: make(chan struct{})}, routes: routes}
}

// becomeReady gives h's app an API in which nobody has a valid token.
func becomeReady(t testing.TB, h *Handler) {
	t.Helper()
	keys, err := bearer.HMACSecret([]byte(hmacSecret))
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := bearer.New(bearer.Config{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	site, err := web.New(web.Config{Title: "Acme"})
	if err != nil {
		t.Fatal(err)
	}
	handler, err := api.New(api.Config{
		Service: new(mfa.Service), Verifier: verifier, Site: site, Prefix: "/mfa", PublicURLs: []string{"https://example.com"},
	})
	if err != nil {
		t.Fatal(err)
	}
	h.app.instance.Store(&instance{handler: handler})
	close(h.app.started)
}

// upstream counts the requests that are passed on.
type upstream struct {
	requests []*http.Request
	err      error
}

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) error {
	u.requests = append(u.requests, r)
	w.WriteHeader(http.StatusTeapot)
	return u.err
}

func TestARequestThatIsForNoRouteIsPassedOnUntouched(t *testing.T) {
	h := waitingHandler(t) // such a request does not wait for the store
	for _, path := range []string{"/", "/mfa/other", "/mfax", "/mfa/setup/other", "/MFA/other", "/a//b"} {
		next := &upstream{err: errors.New("upstream failed")}
		r, w := httptest.NewRequest(http.MethodPost, path, nil), httptest.NewRecorder()
		if err := h.ServeHTTP(w, r, next); !errors.Is(err, next.err) {
			t.Errorf("%s: error is %v, want the upstream's", path, err)
		}
		if len(next.requests) != 1 || next.requests[0] != r {
			t.Errorf("%s: the upstream got %v, want the request itself", path, next.requests)
		}
		if w.Code != http.StatusTeapot || len(w.Header()) != 0 {
			t.Errorf("%s: answer is %d %v, want the upstream's alone", path, w.Code, w.Header())
		}
	}
}

// serve sends a request for a route through h, whose upstream must not
// get it.
func serve(t *testing.T, h *Handler, r *http.Request) *httptest.ResponseRecorder {
	t.Helper()
	next, w := &upstream{}, httptest.NewRecorder()
	if err := h.ServeHTTP(w, r, next); err != nil {
		t.Errorf("error is %v", err)
	}
	if len(next.requests) != 0 {
		t.Error("the request reached the upstream")
	}
	return w
}

func wantUnavailable(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" ||
		w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("answer is %d %v %s, want 503 as JSON with Retry-After", w.Code, w.Header(), w.Body)
	}
}

func TestARequestIsRefusedWhenTheStoreDoesNotComeInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := waitingHandler(t)
		start := time.Now()
		wantUnavailable(t, serve(t, h, httptest.NewRequest(http.MethodPost, "/mfa/setup", nil)))
		if waited := time.Since(start); waited != startTimeout {
			t.Errorf("it waited %v, want %v", waited, startTimeout)
		}
	})
}

func TestARequestWaitsForTheStoreAndIsServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := waitingHandler(t)
		served := make(chan *httptest.ResponseRecorder)
		go func() { served <- serve(t, h, httptest.NewRequest(http.MethodPost, "/mfa/setup", nil)) }()
		time.Sleep(startTimeout - time.Millisecond)
		select {
		case w := <-served:
			t.Fatalf("answer is %d before the store is open", w.Code)
		default:
		}
		becomeReady(t, h)
		if w := <-served; w.Code != http.StatusUnauthorized {
			t.Errorf("answer is %d %s, want the API's own, 401", w.Code, w.Body)
		}
	})
}

func TestARequestWhoseClientLeavesWaitsNoLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := waitingHandler(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		wantUnavailable(t, serve(t, h, httptest.NewRequestWithContext(ctx, http.MethodPost, "/mfa/setup", nil)))
		if waited := time.Since(start); waited != time.Second {
			t.Errorf("it waited %v, want 1s", waited)
		}
	})
}

func TestNoSpellingOfARouteReachesTheUpstream(t *testing.T) {
	h := waitingHandler(t)
	becomeReady(t, h)
	for path, want := range map[string]int{
		"/mfa":               http.StatusNotFound, // reserved
		"/mfa/":              http.StatusNotFound,
		"/mfa/verify-login":  http.StatusMethodNotAllowed,
		"/MFA/Reset":         http.StatusMethodNotAllowed,
		"/mfa//status/":      http.StatusUnauthorized,
		"/mfa/credentials/x": http.StatusMethodNotAllowed,
	} {
		if w := serve(t, h, httptest.NewRequest(http.MethodGet, path, nil)); w.Code != want {
			t.Errorf("%s: answer is %d %s, want %d", path, w.Code, w.Body, want)
		}
	}
}

var _ caddyhttp.Handler = (*upstream)(nil)

func TestARequestTargetThatIsNoPathIsRefused(t *testing.T) {
	h := waitingHandler(t)
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.URL = &url.URL{Scheme: "http", Opaque: "mfa/setup"} // as net/http reads POST http:mfa/setup
	if w := serve(t, h, r); w.Code != http.StatusBadRequest {
		t.Errorf("answer is %d %s, want 400", w.Code, w.Body)
	}
}
