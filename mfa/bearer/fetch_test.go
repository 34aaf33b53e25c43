package bearer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddymfa/caddy-mfa/mfa/bearer"
)

func jsonOf(value any) ([]byte, error) { return json.Marshal(value) }

func serve(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

func serveTLS(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	return server
}

func sendKeys(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(keysA()) }

func TestKeysComeOverHTTPWithoutAnInjectedClient(t *testing.T) {
	c := newClock()
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.Header.Get("Accept") != "application/json" {
			t.Errorf("request is %s with Accept %q", r.Method, r.Header.Get("Accept"))
		}
		sendKeys(w, r)
	})
	source, err := bearer.JWKSURL(server.URL+"/jwks", bearer.RemoteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	verifier := newVerifier(t, bearer.Config{Keys: source}, c)
	wantIdentity(t, verifier, sign(object{"alg": "ES256", "kid": "a"}, claimsAt(c, nil), p256Key()))
}

func TestAnswersThatAreNoKeySetAreFailures(t *testing.T) {
	c := newClock()
	plain := serve(t, sendKeys)
	var secure *httptest.Server
	secure = serveTLS(t, func(w http.ResponseWriter, r *http.Request) {
		var hops int
		switch path := r.URL.Path; {
		case path == "/keys":
			sendKeys(w, r)
		case path == "/created":
			w.WriteHeader(http.StatusCreated)
			sendKeys(w, r)
		case path == "/error":
			w.WriteHeader(http.StatusInternalServerError)
			sendKeys(w, r)
		case path == "/large":
			_, _ = w.Write(keysA())
			_, _ = w.Write([]byte(strings.Repeat(" ", 1<<20)))
		case path == "/cut":
			w.Header().Set("Content-Length", "100000")
			sendKeys(w, r)
		case path == "/downgrade":
			http.Redirect(w, r, plain.URL, http.StatusFound)
		case path == "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case strings.HasPrefix(path, "/hops/"):
			_, _ = fmt.Sscanf(path, "/hops/%d", &hops)
			target := "/keys"
			if hops > 1 {
				target = fmt.Sprintf("/hops/%d", hops-1)
			}
			http.Redirect(w, r, secure.URL+target, http.StatusFound)
		}
	})
	for _, test := range []struct{ path, cause string }{
		{"/keys", ""},
		{"/hops/3", ""},
		{"/hops/4", "too many redirects"},
		{"/loop", "too many redirects"},
		{"/downgrade", "redirect from https to http"},
		{"/created", "status is 201"},
		{"/error", "status is 500"},
		{"/large", "larger than 1 MiB"},
		{"/cut", "unexpected EOF"},
		{"/empty", "parsing JWK set"},
	} {
		t.Run(test.path, func(t *testing.T) {
			source, err := bearer.JWKSURL(secure.URL+test.path, bearer.RemoteOptions{Client: secure.Client()})
			if err != nil {
				t.Fatal(err)
			}
			verifier := newVerifier(t, bearer.Config{Keys: source}, c)
			_, err = verifier.Verify(context.Background(), sign(object{"alg": "ES256", "kid": "a"}, claimsAt(c, nil), p256Key()))
			if test.cause == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if !errors.Is(err, bearer.ErrKeysUnavailable) || !strings.Contains(err.Error(), test.cause) {
				t.Fatalf("Verify: %v, want %q", err, test.cause)
			}
		})
	}
	// The caller's client is not changed.
	if secure.Client().CheckRedirect != nil {
		t.Error("the injected client was changed")
	}
}

func TestAnUntrustedCertificateIsAFailure(t *testing.T) {
	c := newClock()
	server := serveTLS(t, sendKeys)
	server.Config.ErrorLog = zap.NewStdLog(zap.NewNop())
	source, err := bearer.JWKSURL(server.URL, bearer.RemoteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	wantUnavailable(t, newVerifier(t, bearer.Config{Keys: source}, c), sign(object{"alg": "ES256"}, claimsAt(c, nil), p256Key()))
}

func TestDiscoveryFindsTheKeysAndBindsTheIssuer(t *testing.T) {
	c := newClock()
	for _, path := range []string{"", "/", "/realms/acme"} {
		var server *httptest.Server
		server = serve(t, func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case strings.TrimSuffix(path, "/") + "/.well-known/openid-configuration":
				_ = json.NewEncoder(w).Encode(object{"issuer": server.URL + path, "jwks_uri": server.URL + "/keys"})
			case "/keys":
				sendKeys(w, r)
			default:
				http.NotFound(w, r)
			}
		})
		issuer := server.URL + path
		source, err := bearer.OIDC(issuer, bearer.RemoteOptions{})
		if err != nil {
			t.Fatal(err)
		}
		verifier := newVerifier(t, bearer.Config{Keys: source}, c)
		header := object{"alg": "ES256", "kid": "a"}
		if got := wantIdentity(t, verifier, sign(header, claimsAt(c, object{"iss": issuer}), p256Key())); got.Issuer != issuer {
			t.Errorf("issuer is %q", got.Issuer)
		}
		wantInvalid(t, verifier, sign(header, claimsAt(c, object{"iss": issuer + "/"}), p256Key()), "another issuer")
		wantInvalid(t, verifier, sign(header, claimsAt(c, object{"iss": nil}), p256Key()), "another issuer")
		if _, err := bearer.New(bearer.Config{Keys: source, Issuer: issuer}); err != nil {
			t.Errorf("naming the same issuer: %v", err)
		}
	}
}

func TestADiscoveryDocumentOfAnotherIssuerIsAFailure(t *testing.T) {
	c := newClock()
	var server *httptest.Server
	var document string
	server = serveTLS(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/keys" {
			sendKeys(w, r)
			return
		}
		_, _ = w.Write([]byte(strings.ReplaceAll(document, "SELF", server.URL)))
	})
	for _, test := range []struct{ document, cause string }{
		{`{"issuer":"SELF","jwks_uri":"SELF/keys"}`, ""},
		{`{"issuer":"SELF/","jwks_uri":"SELF/keys"}`, "configure the issuer exactly"},
		{`{"issuer":"https://evil.example","jwks_uri":"SELF/keys"}`, "configure the issuer exactly"},
		{`{"jwks_uri":"SELF/keys"}`, "configure the issuer exactly"},
		{`{"issuer":"SELF"}`, "jwks_uri"},
		{`{"issuer":"SELF","jwks_uri":"/keys"}`, "must be absolute"},
		{`{"issuer":"SELF","jwks_uri":"http://127.0.0.1:1/keys"}`, "must be https too"},
		{`{"issuer":"SELF","jwks_uri":"file:///etc/passwd"}`, "must be absolute"},
		{`<html>`, "parsing https://"},
	} {
		document = test.document
		source, err := bearer.OIDC(server.URL, bearer.RemoteOptions{Client: server.Client()})
		if err != nil {
			t.Fatal(err)
		}
		verifier := newVerifier(t, bearer.Config{Keys: source}, c)
		_, err = verifier.Verify(context.Background(), sign(object{"alg": "ES256", "kid": "a"}, claimsAt(c, object{"iss": server.URL}), p256Key()))
		if test.cause == "" {
			if err != nil {
				t.Errorf("%s: %v", test.document, err)
			}
			continue
		}
		if !errors.Is(err, bearer.ErrKeysUnavailable) || !strings.Contains(err.Error(), test.cause) {
			t.Errorf("%s: %v, want %q", test.document, err, test.cause)
		}
	}
}

func TestAnAddressThatCannotBeMeantIsRefused(t *testing.T) {
	for _, address := range []string{
		"", "login.example.com/jwks", "/jwks", "ftp://login.example.com/jwks", "https:///jwks", "https://a b/",
		"https://user:pass@login.example.com/jwks", "https://login.example.com/jwks#x",
	} {
		if _, err := bearer.JWKSURL(address, bearer.RemoteOptions{}); err == nil {
			t.Errorf("JWKSURL took %q", address)
		} else if strings.Contains(err.Error(), "pass@") {
			t.Errorf("the error holds a password: %v", err)
		}
		if _, err := bearer.OIDC(address, bearer.RemoteOptions{}); err == nil {
			t.Errorf("OIDC took %q", address)
		}
	}
	if _, err := bearer.OIDC("https://login.example.com/?tenant=a", bearer.RemoteOptions{}); err == nil {
		t.Error("OIDC took an issuer with a query")
	}
}

func TestPlainHTTPIsWarnedOfBeyondLoopback(t *testing.T) {
	for address, warnings := range map[string]int{
		"http://idp.internal:8080/jwks": 1, "http://192.0.2.1/jwks": 1, "http://localhost.example.com/jwks": 1,
		"http://localhost:8080/jwks": 0, "http://127.0.0.1/jwks": 0, "http://[::1]/jwks": 0, "https://idp.internal/jwks": 0,
	} {
		core, logged := observer.New(zap.WarnLevel)
		if _, err := bearer.JWKSURL(address, bearer.RemoteOptions{Logger: zap.New(core)}); err != nil {
			t.Fatal(err)
		}
		if logged.Len() != warnings {
			t.Errorf("%s: %d warnings, want %d", address, logged.Len(), warnings)
		}
	}
}
