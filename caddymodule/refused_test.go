package caddymodule

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddymfa/caddy-mfa/caddymodule/internal/routecheck"
)

// asCaddyServes returns a request as Caddy hands it to handlers of server.
func asCaddyServes(server *caddyhttp.Server, method, target string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	original := *r
	sent := *r.URL
	original.URL = &sent
	ctx := context.WithValue(r.Context(), caddyhttp.OriginalRequestCtxKey, original)
	ctx = context.WithValue(ctx, caddyhttp.ServerCtxKey, server)
	ctx = context.WithValue(ctx, caddyhttp.VarsCtxKey, map[string]any{})
	return r.WithContext(ctx)
}

func TestARefusedRequestAsksForNothingThatItDidOnceABackendMayGetIt(t *testing.T) {
	handsOn := &caddyhttp.Server{Errors: &caddyhttp.HTTPErrorConfig{Routes: caddyhttp.RouteList{
		{HandlersRaw: []json.RawMessage{json.RawMessage(`{"handler": "reverse_proxy"}`)}},
	}}}
	alone := new(caddyhttp.Server)
	a := &App{Prefix: "/2fa", report: routecheck.Check(map[string]*caddyhttp.Server{"a": handsOn, "b": alone})}

	r := asCaddyServes(handsOn, "MOVE", "/admin/x%2fy?q=/admin")
	r.Header.Set("Destination", "/admin/z")
	for range 2 { // it may be refused again in an error route
		a.disown(r)
		original := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
		for what, got := range map[string]string{"path": r.URL.String(), "target": r.RequestURI, "original path": original.URL.String()} {
			if got != "/2fa/refused" {
				t.Errorf("the %s is %s", what, got)
			}
		}
		if r.Header.Get("Destination") != "" {
			t.Error("the second path of WebDAV is left")
		}
		if sent := sentURL(r); sent.String() != "/admin/x%2fy?q=/admin" {
			t.Errorf("a gate in an error route is told %s", sent)
		}
		if original.RequestURI != "/admin/x%2fy?q=/admin" {
			t.Errorf("orig_uri is %s", original.RequestURI)
		}
	}

	r = asCaddyServes(alone, "GET", "/admin/x?q=1")
	a.disown(r)
	if r.URL.String() != "/admin/x?q=1" || sentURL(r).String() != "/admin/x?q=1" {
		t.Errorf("where no backend can get it, it asks for %s", r.URL)
	}
	r = asCaddyServes(handsOn, "GET", "/2fa/refused?q=1")
	if sentURL(r).String() != "/2fa/refused?q=1" {
		t.Errorf("a client that asks for that path has sent %s", sentURL(r))
	}
}

// A response handler of intercept may ask a backend for a page.
func TestABackendThatMakesThePageForARefusalGetsNoCode(t *testing.T) {
	server := &caddyhttp.Server{Routes: caddyhttp.RouteList{
		{HandlersRaw: []json.RawMessage{json.RawMessage(`{"handler": "intercept", "handle_response": [{"routes": [{"handle": [{"handler": "reverse_proxy"}]}]}]}`)}},
	}}
	h := waitingHandler(t)
	h.app.Prefix, h.app.report = "/mfa", routecheck.Check(map[string]*caddyhttp.Server{"a": server})
	becomeReady(t, h)
	r := asCaddyServes(server, "POST", "/mfa/verify-login")
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(`{"code":"123456"}`)), 17
	if w := serve(t, h, r); w.Code != http.StatusUnauthorized {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	left, err := io.ReadAll(r.Body)
	if err != nil || len(left) > 0 || r.ContentLength != 0 || r.URL.Path != "/mfa/refused" {
		t.Errorf("%s with %q is left for it (%v)", r.URL, left, err)
	}
}
