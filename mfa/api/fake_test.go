package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddymfa/caddy-mfa/internal/openapitest"
	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/api"
	"github.com/caddymfa/caddy-mfa/mfa/api/openapi"
	"github.com/caddymfa/caddy-mfa/mfa/bearer"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/passkey"
	"github.com/caddymfa/caddy-mfa/mfa/totp"
)

// service is an api.Service that answers what the test says and remembers
// what it was asked.
type service struct {
	setup   *mfa.Setup
	err     error
	status  mfa.Status
	caller  mfa.Caller
	request mfa.SetupRequest
	link    mfa.OpenedLink
}

func (s *service) Setup(_ context.Context, caller mfa.Caller, request mfa.SetupRequest) (*mfa.Setup, error) {
	s.caller, s.request = caller, request
	return s.setup, s.err
}

func (s *service) VerifySetup(context.Context, mfa.Caller, factor.Type, factor.Proof) (*mfa.Grant, error) {
	return nil, s.err
}

func (s *service) VerifyLogin(context.Context, mfa.Caller, factor.Type, mfa.LoginProof) (*mfa.Grant, error) {
	return nil, s.err
}

func (s *service) PasskeyOptions(context.Context, mfa.Caller) (passkey.LoginOptions, error) {
	return passkey.LoginOptions{}, s.err
}

func (s *service) SendLink(context.Context, mfa.Caller) (*mfa.SentLink, error) { return nil, s.err }

func (s *service) ActivateMagicLink(_ context.Context, link mfa.OpenedLink) error {
	s.link = link
	return s.err
}

func (s *service) InspectLink(context.Context, string) (mfa.LinkInfo, error) {
	return mfa.LinkInfo{}, s.err
}

func (s *service) DenyLink(context.Context, mfa.OpenedLink) error { return s.err }

func (s *service) Refresh(context.Context, mfa.Caller, string) (*mfa.Grant, error) {
	return nil, s.err
}

func (s *service) SignOut(context.Context, mfa.Caller, bool) (int, error) { return 0, s.err }

func (s *service) Status(context.Context, mfa.Caller) (mfa.Status, error) { return s.status, s.err }

func (s *service) Standing(context.Context, mfa.Caller) (mfa.Standing, error) {
	return mfa.Standing{}, s.err
}

func (s *service) Knows(context.Context, *mfa.Shown, []string) (bool, error) { return true, s.err }

func (s *service) See(context.Context, mfa.Caller) error { return s.err }

func (s *service) Methods(context.Context, mfa.Caller) ([]mfa.Method, error) {
	return []mfa.Method{{Type: factor.TypeTOTP, Available: true}}, s.err
}

func (s *service) Enable(context.Context, mfa.Caller, factor.Type) error     { return s.err }
func (s *service) Disable(context.Context, mfa.Caller, factor.Type) error    { return s.err }
func (s *service) SetPrimary(context.Context, mfa.Caller, factor.Type) error { return s.err }

func (s *service) Reset(context.Context, mfa.Caller, string, bool) error { return s.err }
func (s *service) Enforce(context.Context, mfa.Caller, bool) error       { return s.err }

func (s *service) ReplaceBackupCodes(context.Context, mfa.Caller) ([]string, error) {
	return nil, s.err
}

func (s *service) Credentials(context.Context, mfa.Caller) ([]mfa.Credential, error) {
	return nil, s.err
}

func (s *service) RenameCredential(context.Context, mfa.Caller, string, string) error { return s.err }
func (s *service) RemoveCredential(context.Context, mfa.Caller, string) error         { return s.err }

func (s *service) OpenAssertion(context.Context, string) (*mfa.Shown, error) {
	return nil, mfa.ErrInvalidAssertion
}

func (s *service) Live(context.Context, *mfa.Shown) (bool, error) { return false, s.err }

func (s *service) JWKS(context.Context) ([]byte, error) { return nil, s.err }

// appSetup is a setup of an authenticator app that has begun.
var appSetup = &mfa.Setup{
	Offer: totp.Enrolment{
		Secret: strings.Repeat("A2", 16), URL: "otpauth://totp/Acme:alice", QRCode: "data:image/png;base64,AA==",
	},
	BackupCodes: []string{"AAAA-BBBB-CCCC"},
	ExpiresAt:   time.Unix(1000, 0).UTC(),
}

// verifier takes the token "good" and refuses others as they say.
type verifier struct{}

func (verifier) Verify(_ context.Context, token string) (bearer.Identity, error) {
	switch token {
	case "good":
		return bearer.Identity{Issuer: "iss", Subject: "alice", IssuedAt: time.Unix(100, 0)}, nil
	case "keyless":
		return bearer.Identity{}, fmt.Errorf("%w: connection refused to keys.internal", bearer.ErrKeysUnavailable)
	default:
		return bearer.Identity{}, fmt.Errorf(`%w: a "reason"`, bearer.ErrInvalidToken)
	}
}

// fixture is a Handler over a service that does as it is told.
type fixture struct {
	t        *testing.T
	service  *service
	routes   *api.Routes
	handler  *api.Handler
	logs     *observer.ObservedLogs
	document *openapitest.Document
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	f := &fixture{t: t, service: &service{}, logs: logs, document: loadDocument(t)}
	var err error
	f.routes, err = api.NewRoutes("/mfa")
	if err != nil {
		t.Fatal(err)
	}
	f.handler, err = api.New(api.Config{
		Service:    f.service,
		Verifier:   verifier{},
		Cookie:     "session",
		PublicURLs: []string{"https://Example.com:443"},
		Origins:    []string{"https://app.example.com"},
		Site:       acmeSite(t),
		MagicLink:  true,
		Prefix:     "/mfa",
		Log:        zap.New(core),
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// loadDocument reads the document that every answer is held against.
func loadDocument(t *testing.T) *openapitest.Document {
	t.Helper()
	document, err := openapi.Document("/mfa", "https://example.com")
	if err != nil {
		t.Fatal(err)
	}
	return openapitest.Load(t, document)
}

// checkAnswer holds an answer against the document, which knows nothing of
// the files that pages load.
func checkAnswer(t *testing.T, document *openapitest.Document, method, target string, w *httptest.ResponseRecorder) {
	t.Helper()
	if strings.Contains(strings.ToLower(target), "/assets/") {
		return
	}
	document.Check(t, openapitest.Exchange{
		Method: method, Target: target, Status: w.Code, Header: w.Header(), Body: w.Body.Bytes(),
	})
}

// do sends a request; headers are name, value pairs.
func (f *fixture) do(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	f.t.Helper()
	r := httptest.NewRequestWithContext(f.t.Context(), method, path, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	route, ok := f.routes.Find(r.URL.Path)
	if !ok {
		f.t.Fatalf("%s is no route", path)
	}
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, r, route)
	checkAnswer(f.t, f.document, method, path, w)
	return w
}

func (f *fixture) post(path, body string, headers ...string) *httptest.ResponseRecorder {
	f.t.Helper()
	return f.do("POST", path, body, append([]string{"Authorization", "Bearer good", "Content-Type", "application/json"}, headers...)...)
}

func wantError(t *testing.T, w *httptest.ResponseRecorder, status int, code, text string) {
	t.Helper()
	var answer map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		t.Fatalf("%v in %q", err, w.Body)
	}
	if w.Code != status || answer["success"] != false || answer["code"] != code || text != "" && !strings.Contains(answer["error"].(string), text) || len(answer) != 3 {
		t.Errorf("got %d %s, want %d code %s text %q", w.Code, w.Body, status, code, text)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s is %q", name, got)
		}
	}
}
