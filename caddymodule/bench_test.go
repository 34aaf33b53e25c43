package caddymodule

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/api"
	"github.com/caddymfa/caddy-mfa/mfa/bearer"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/magiclink"
	"github.com/caddymfa/caddy-mfa/mfa/mail"
	"github.com/caddymfa/caddy-mfa/mfa/passkey"
	"github.com/caddymfa/caddy-mfa/mfa/store/bolt"
	mfatotp "github.com/caddymfa/caddy-mfa/mfa/totp"
	"github.com/caddymfa/caddy-mfa/mfa/web"
)

// noop is an upstream that costs nothing.
type noop struct{}

func (noop) ServeHTTP(http.ResponseWriter, *http.Request) error { return nil }

// BenchmarkPassedOn is what a request that is for no route costs.
func BenchmarkPassedOn(b *testing.B) {
	h := waitingHandler(b)
	for _, row := range []struct{ name, path string }{
		{"root", "/"},
		{"short", "/api/orders/42"},
		{"near", "/mfa/setup-guide"},
		{"long", "/api/" + strings.Repeat("segment/", 250)},
		{"capitals", "/api/Orders/ABCDEF"},
		{"capitals-long", "/api/" + strings.Repeat("Segment/", 250)},
		{"dots", "/api/./orders/../orders/42"},
		{"slashes", "/api//orders"},
		{"not-ascii", "/api/größe"},
	} {
		b.Run(row.name, func(b *testing.B) {
			r, w := httptest.NewRequest(http.MethodGet, "/", nil), httptest.NewRecorder()
			r.URL.Path = row.path
			b.ReportAllocs()
			for b.Loop() {
				if err := h.ServeHTTP(w, r, noop{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// inMemory is a mail system that takes everything.
type inMemory struct{}

func (inMemory) Send(context.Context, mail.Message) error { return nil }

// rig is the API over a store on disk, with everything configured.
type rig struct {
	handler *api.Handler
	routes  *api.Routes
	issuer  *bearer.DevIssuer
}

// newRig makes one whose clock moves on by step whenever it is read.
func newRig(b *testing.B, step time.Duration) *rig {
	b.Helper()
	folder := b.TempDir()
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	issuer, err := bearer.OpenDevIssuer(filepath.Join(folder, "dev-issuer.json"))
	must(err)
	verifier, err := bearer.New(bearer.Config{Keys: bearer.DevKeys(filepath.Join(folder, "dev-issuer.json"), nil)})
	must(err)
	st, err := bolt.Open(filepath.Join(folder, "mfa.db"))
	must(err)
	b.Cleanup(func() { must(st.Close()) })
	keys, _, err := mfa.LoadKeys(b.Context(), st, filepath.Join(folder, "mfa.key"))
	must(err)
	app, err := mfatotp.New(mfatotp.Config{Issuer: "Acme", Skew: 1})
	must(err)
	link, err := magiclink.New(magiclink.Config{Sender: inMemory{}, LinkURL: "https://example.com/mfa/magic-link", Issuer: "Acme"})
	must(err)
	key, err := passkey.New(passkey.Config{
		RPID: "example.com", RPName: "Acme", Origins: []string{"https://example.com"}, Lifetime: mfa.PendingLifetime,
	})
	must(err)
	var elapsed atomic.Int64
	start := time.Now()
	service, err := mfa.New(mfa.Config{
		Store: st, Keys: keys, Kinds: []factor.Kind{app, link, key}, AssertionIssuer: "https://example.com",
		Now: func() time.Time { return start.Add(time.Duration(elapsed.Add(int64(step)))) },
	})
	must(err)
	site, err := web.New(web.Config{Title: "Acme"})
	must(err)
	handler, err := api.New(api.Config{Service: service, Verifier: bearer.NewCached(verifier), Site: site, PublicURLs: []string{"https://example.com"}, Prefix: "/mfa"})
	must(err)
	routes, err := api.NewRoutes("/mfa")
	must(err)
	return &rig{handler, routes, issuer}
}

// token is the access token of one person.
func (r *rig) token(b *testing.B, person int) string {
	b.Helper()
	token, err := r.issuer.Sign(map[string]any{
		"sub": fmt.Sprint("person ", person), "email": fmt.Sprintf("person-%d@example.com", person),
	})
	if err != nil {
		b.Fatal(err)
	}
	return token
}

// post sends body to path for the person that token names. An error is
// returned unless the answer is 200.
func (r *rig) post(path, token, body string) ([]byte, error) {
	request := httptest.NewRequest(http.MethodPost, path, nil)
	request.Body = io.NopCloser(strings.NewReader(body))
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	route, ok := r.routes.Find(path)
	answer := &recorder{header: make(http.Header)}
	if ok {
		r.handler.ServeHTTP(answer, request, route)
	}
	if answer.status != http.StatusOK {
		return nil, fmt.Errorf("answer is %d %s", answer.status, answer.body.Bytes())
	}
	return answer.body.Bytes(), nil
}

// recorder is an http.ResponseWriter that keeps the answer.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }

const clients = 64

// BenchmarkSetup is what POST /mfa/setup costs with its signature check
// and a durable write, for one client and for 64 at once, each with one
// person's token.
func BenchmarkSetup(b *testing.B) {
	for _, row := range []struct {
		kind factor.Type
		step time.Duration // of the clock, beyond the limits on mail
	}{
		{factor.TypeTOTP, 0},
		{factor.TypeMagicLink, time.Hour},
		{factor.TypePasskey, 0},
	} {
		body := func(person int) string {
			return fmt.Sprintf(`{"mfaType":%q,"email":"person-%d@example.com","deviceInfo":{"name":"Laptop","type":"desktop"}}`, row.kind, person)
		}
		b.Run(string(row.kind)+"/clients=1", func(b *testing.B) {
			r := newRig(b, row.step)
			token, body := r.token(b, 0), body(0)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.post("/mfa/setup", token, body); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("%s/clients=%d", row.kind, clients), func(b *testing.B) {
			r := newRig(b, row.step)
			tokens := make([]string, clients)
			for i := range tokens {
				tokens[i] = r.token(b, i)
			}
			var next atomic.Int64
			b.ReportAllocs()
			b.SetParallelism(clients / runtime.GOMAXPROCS(0))
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				person := int(next.Add(1)) % clients
				token, body := tokens[person], body(person)
				for pb.Next() {
					if _, err := r.post("/mfa/setup", token, body); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// BenchmarkVerifySetup is what confirming an authenticator app costs. The
// setups before it are not counted.
func BenchmarkVerifySetup(b *testing.B) {
	r := newRig(b, 0)
	var tokens, bodies []string
	for i := range b.N {
		token := r.token(b, i)
		var answer struct {
			Data struct {
				Secret string `json:"secret"`
			} `json:"data"`
		}
		setup, err := r.post("/mfa/setup", token, `{"mfaType":"GOOGLE_AUTH"}`)
		if err != nil {
			b.Fatal(err)
		}
		if err := json.Unmarshal(setup, &answer); err != nil {
			b.Fatal(err)
		}
		code, err := totp.GenerateCode(answer.Data.Secret, time.Now())
		if err != nil {
			b.Fatal(err)
		}
		tokens = append(tokens, token)
		bodies = append(bodies, fmt.Sprintf(`{"mfaType":"GOOGLE_AUTH","code":%q}`, code))
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if _, err := r.post("/mfa/verify-setup", tokens[i], bodies[i]); err != nil {
			b.Fatal(err)
		}
	}
}
