package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	otp "github.com/pquerna/otp/totp"

	"github.com/caddymfa/caddy-mfa/internal/mailtest"
	"github.com/caddymfa/caddy-mfa/internal/openapitest"
	"github.com/caddymfa/caddy-mfa/internal/testclock"
	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/api"
	"github.com/caddymfa/caddy-mfa/mfa/bearer"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/magiclink"
	"github.com/caddymfa/caddy-mfa/mfa/passkey"
	"github.com/caddymfa/caddy-mfa/mfa/seal"
	"github.com/caddymfa/caddy-mfa/mfa/store/bolt"
	"github.com/caddymfa/caddy-mfa/mfa/totp"
	"github.com/caddymfa/caddy-mfa/mfa/web"
)

// edge is a Handler over a real mfa.Service, with a clock that the test
// sets, logins that it makes and a mailbox that it reads.
type edge struct {
	t        *testing.T
	logins   *logins
	mails    *mailtest.Box
	clock    *clock
	routes   *api.Routes
	handler  *api.Handler
	document *openapitest.Document
}

func newEdge(t *testing.T, change ...func(*api.Config)) *edge {
	t.Helper()
	dir := t.TempDir()
	st, err := bolt.Open(filepath.Join(dir, "mfa.db"))
	must(t, err)
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	keys, _, err := seal.LoadOrCreate(filepath.Join(dir, "mfa.key"))
	must(t, err)
	e := &edge{
		t:        t,
		logins:   &logins{identities: map[string]bearer.Identity{}},
		mails:    &mailtest.Box{},
		clock:    testclock.At(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)),
		document: loadDocument(t),
	}
	app, err := totp.New(totp.Config{Issuer: "Acme", Skew: 1})
	must(t, err)
	link, err := magiclink.New(magiclink.Config{Sender: e.mails, LinkURL: "https://example.com/mfa/magic-link", Issuer: "Acme"})
	must(t, err)
	pass, err := passkey.New(passkey.Config{RPID: "example.com", RPName: "Acme", Origins: []string{"https://example.com"}})
	must(t, err)
	service, err := mfa.New(mfa.Config{
		Store: st, Keys: keys, Kinds: []factor.Kind{app, link, pass},
		AssertionIssuer: "https://example.com", Now: e.clock.Now,
	})
	must(t, err)
	config := api.Config{
		Service: service, Verifier: e.logins, Cookie: "session", PublicURLs: []string{"https://example.com"},
		Origins: []string{"https://app.example.com"}, Site: acmeSite(t), MagicLink: true, Prefix: "/mfa", Now: e.clock.Now,
	}
	for _, c := range change {
		c(&config)
	}
	e.routes, err = api.NewRoutes("/mfa")
	must(t, err)
	e.handler, err = api.New(config)
	must(t, err)
	return e
}

// acmeSite is the pages of a service called Acme.
func acmeSite(t *testing.T) *web.Site {
	t.Helper()
	site, err := web.New(web.Config{Title: "Acme"})
	must(t, err)
	return site
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// answer is an answer of the API.
type answer struct {
	*httptest.ResponseRecorder
	json map[string]any // the body
}

func (a answer) text(name string) string { s, _ := a.json[name].(string); return s }

func (a answer) data() map[string]any { d, _ := a.json["data"].(map[string]any); return d }

// cookie is the value that the answer sets the assertion's cookie to.
func (a answer) cookie() string {
	for _, c := range a.Result().Cookies() {
		if c.Name == "__Host-mfa" {
			return c.Value
		}
	}
	return ""
}

// send sends a request to the API: with token as the bearer unless it is
// "", and body as JSON unless it is "". Headers are name, value pairs. The
// answer must be as the OpenAPI document says.
func (e *edge) send(method, target, token, body string, headers ...string) answer {
	e.t.Helper()
	r := e.request(method, target, token, headers...)
	if body != "" {
		sent := httptest.NewRequestWithContext(e.t.Context(), method, target, strings.NewReader(body))
		sent.Header = r.Header
		sent.Header.Set("Content-Type", "application/json")
		r = sent
	}
	route, ok := e.routes.Find(r.URL.Path)
	if !ok {
		e.t.Fatalf("%s is no route", target)
	}
	a := answer{ResponseRecorder: httptest.NewRecorder()}
	e.handler.ServeHTTP(a.ResponseRecorder, r, route)
	checkAnswer(e.t, e.document, method, target, a.ResponseRecorder)
	_ = json.Unmarshal(a.Body.Bytes(), &a.json) // the landing page is none
	return a
}

// request makes a request without a body.
func (e *edge) request(method, target, token string, headers ...string) *http.Request {
	r := httptest.NewRequestWithContext(e.t.Context(), method, target, nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

func (e *edge) post(target, token, body string, headers ...string) answer {
	e.t.Helper()
	return e.send("POST", target, token, body, headers...)
}

// want fails the test unless the answer has the status and, as its code or
// its message, said.
func (e *edge) want(a answer, status int, said string) answer {
	e.t.Helper()
	if a.Code != status || said != "" && a.text("code") != said && a.text("error") != said && a.text("message") != said {
		e.t.Errorf("answered %d %s, want %d %q", a.Code, a.Body, status, said)
	}
	return a
}

// need is want where the test cannot go on otherwise.
func (e *edge) need(a answer) answer {
	e.t.Helper()
	if a.Code != http.StatusOK {
		e.t.Fatalf("answered %d %s", a.Code, a.Body)
	}
	return a
}

type clock = testclock.Clock

// code is what an authenticator app shows now.
func (e *edge) code(secret string) string {
	e.t.Helper()
	code, err := otp.GenerateCode(secret, e.clock.Now())
	must(e.t, err)
	return code
}

// logins is a Verifier of tokens that the test has made.
type logins struct {
	mu         sync.Mutex
	identities map[string]bearer.Identity
}

// signIn makes an access token.
func (l *logins) signIn(who bearer.Identity) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if who.Issuer == "" {
		who.Issuer = "https://login.example.com"
	}
	token := fmt.Sprintf("login-%d", len(l.identities)+1)
	l.identities[token] = who
	return token
}

// expire makes an access token that is good no more.
func (l *logins) expire(token string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.identities[token] = bearer.Identity{}
}

func (l *logins) Verify(_ context.Context, token string) (bearer.Identity, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	who := l.identities[token]
	switch {
	case token == "keyless":
		return who, fmt.Errorf("%w: connection refused", bearer.ErrKeysUnavailable)
	case who.Subject == "":
		return who, fmt.Errorf("%w: it is not known", bearer.ErrInvalidToken)
	}
	return who, nil
}

// switchable is a Verifier that has no keys while keyless says so.
type switchable struct {
	api.Verifier
	keyless *bool
}

func (s switchable) Verify(ctx context.Context, token string) (bearer.Identity, error) {
	if *s.keyless {
		token = "keyless"
	}
	return s.Verifier.Verify(ctx, token)
}
