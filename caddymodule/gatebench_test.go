package caddymodule

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/pquerna/otp/totp"

	"github.com/caddymfa/caddy-mfa/mfa/api"
	"github.com/caddymfa/caddy-mfa/mfa/gate"
)

// enrolledRig is a rig with somebody who has shown a second factor.
type enrolledRig struct {
	*rig
	bearer, assertion, cookie string
}

func newEnrolledRig(b *testing.B) enrolledRig {
	b.Helper()
	r := newRig(b, 0)
	e := enrolledRig{rig: r, bearer: r.token(b, 0)}
	var setup struct {
		Data struct {
			Secret string `json:"secret"`
		} `json:"data"`
	}
	answer, err := r.post("/mfa/setup", e.bearer, `{"mfaType":"GOOGLE_AUTH"}`)
	if err == nil {
		err = json.Unmarshal(answer, &setup)
	}
	if err != nil {
		b.Fatal(err)
	}
	code, err := totp.GenerateCode(setup.Data.Secret, time.Now())
	if err != nil {
		b.Fatal(err)
	}
	request := httptest.NewRequest(http.MethodPost, "/mfa/verify-setup", strings.NewReader(fmt.Sprintf(`{"mfaType":"GOOGLE_AUTH","code":%q}`, code)))
	request.Header.Set("Authorization", "Bearer "+e.bearer)
	request.Header.Set("Content-Type", "application/json")
	route, _ := r.routes.Find("/mfa/verify-setup")
	recorded := httptest.NewRecorder()
	r.handler.ServeHTTP(recorded, request, route)
	var pair struct {
		Assertion string `json:"fullAccessToken"`
	}
	if err := json.Unmarshal(recorded.Body.Bytes(), &pair); err != nil {
		b.Fatal(err)
	}
	e.assertion = pair.Assertion
	for _, cookie := range recorded.Result().Cookies() {
		e.cookie = cookie.Value
	}
	if e.assertion == "" || e.cookie == "" {
		b.Fatalf("no pair: %d %s", recorded.Code, recorded.Body)
	}
	return e
}

// BenchmarkGate is what the handlers take of a request that passes a gate,
// without what Caddy takes before and behind them.
func BenchmarkGate(b *testing.B) {
	e := newEnrolledRig(b)
	app := &App{started: make(chan struct{}), metrics: newMetrics()}
	app.instance.Store(&instance{handler: e.handler})
	close(app.started)
	paths, err := gate.NewPaths([]string{"/admin/*"})
	if err != nil {
		b.Fatal(err)
	}
	handler := &Handler{app: app, routes: e.routes}
	guard := &Gate{app: app, policy: api.Policy{Paths: paths}}
	passed := 0
	upstream := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { passed++; return nil })
	behind := caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error { return guard.ServeHTTP(w, r, upstream) })

	serve := func(b *testing.B, header func(i int) http.Header) {
		var fresh []http.Header
		for i := range b.N {
			fresh = append(fresh, header(i))
		}
		template := httptest.NewRequest(http.MethodGet, "/admin/reports", nil)
		passed = 0
		w := httptest.NewRecorder()
		requests := make([]*http.Request, b.N)
		for i := range requests {
			ctx := context.WithValue(b.Context(), caddyhttp.VarsCtxKey, map[string]any{"a": 1})
			ctx = context.WithValue(ctx, caddy.ReplacerCtxKey, caddy.NewReplacer())
			requests[i] = template.WithContext(ctx)
			requests[i].Header = fresh[i]
		}
		b.ReportAllocs()
		b.ResetTimer()
		for i := range b.N {
			if err := handler.ServeHTTP(w, requests[i], behind); err != nil {
				b.Fatal(err)
			}
		}
		b.StopTimer()
		if passed != b.N {
			b.Fatalf("%d of %d passed: %d %s", passed, b.N, w.Code, w.Body)
		}
	}
	b.Run("bearer", func(b *testing.B) {
		serve(b, func(int) http.Header { return http.Header{"Authorization": {"Bearer " + e.assertion}} })
	})
	b.Run("cookie", func(b *testing.B) {
		serve(b, func(int) http.Header {
			return http.Header{"Authorization": {"Bearer " + e.bearer}, "Cookie": {cookieHeader(e.cookie)}}
		})
	})
	b.Run("distinct", func(b *testing.B) {
		serve(b, func(i int) http.Header {
			token, err := e.issuer.Sign(map[string]any{"sub": "person 0", "email": "person-0@example.com", "jti": fmt.Sprint(i)})
			if err != nil {
				b.Fatal(err)
			}
			return http.Header{"Authorization": {"Bearer " + token}, "Cookie": {cookieHeader(e.cookie)}}
		})
	})
}

func cookieHeader(assertion string) string { return "__Host-mfa=" + assertion }
