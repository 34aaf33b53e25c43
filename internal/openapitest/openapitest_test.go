package openapitest_test

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/openapitest"
	"github.com/caddymfa/caddy-mfa/mfa/api/openapi"
)

func load(t *testing.T) *openapitest.Document {
	t.Helper()
	document, err := openapi.Document("/auth", "https://example.com")
	if err != nil {
		t.Fatal(err)
	}
	return openapitest.Load(t, document)
}

// exchange is one whose answer has what every answer has, and the headers
// given, name after name.
func exchange(request string, status int, contentType, body string, headers ...string) openapitest.Exchange {
	method, target, _ := strings.Cut(request, " ")
	h := http.Header{"Cache-Control": {"no-store"}, "X-Content-Type-Options": {"nosniff"}}
	if contentType != "" {
		h.Set("Content-Type", contentType)
	}
	for i := 0; i < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	return openapitest.Exchange{Method: method, Target: target, Status: status, Header: h, Body: []byte(body)}
}

func failure(code, text string) string {
	return fmt.Sprintf(`{"success":false,"error":%q,"code":%q}`+"\n", text, code)
}

const (
	jsonType = "application/json"
	status   = `{"success":true,"data":{"isEnabled":true,"isRequired":false,"isEnforced":false,` +
		`"enabledMethods":["GOOGLE_AUTH"],"primaryMethod":null,"sessionVerified":false,"backupCodesRemaining":0,"backupCodesAcr":null}}`
	credentials = `{"success":true,"data":[{"id":"a","type":"GOOGLE_AUTH","name":"App","createdAt":"2026-01-02T15:04:05Z",` +
		`"lastUsedAt":null,"isEnabled":true}]}`
	pair = `{"success":true,"message":"MFA verification successful","fullAccessToken":"a.b.c","refreshToken":"r",` +
		`"expiresAt":"2026-01-02T15:04:05Z"}`
	cookie = "__Host-mfa=a.b.c; Path=/; Max-Age=3600; HttpOnly; Secure; SameSite=Lax"
)

func TestAnswersAsDocumentedPass(t *testing.T) {
	d := load(t)
	exchanges := []openapitest.Exchange{
		exchange("GET /auth/status", 200, jsonType, status),
		exchange("GET /auth/status?x=1", 200, jsonType, status),
		exchange("GET /AUTH//%73tatus/", 200, jsonType, status),
		exchange("HEAD /auth/status", 200, jsonType, ""),
		exchange("GET /auth/status", 200, jsonType, status, "Vary", "Origin", "Server", "Caddy"),
		exchange("GET /auth/credentials", 200, jsonType, credentials),
		exchange("PATCH /auth/credentials/AbC", 200, jsonType, `{"success":true,"message":"Credential renamed"}`),
		exchange("POST /auth/verify-login", 200, jsonType, pair, "Set-Cookie", cookie),
		exchange("POST /auth/verify-login", 401, jsonType, failure("magic_link_pending", "MFA verification failed"),
			"WWW-Authenticate", `Bearer realm="mfa", error="insufficient_user_authentication", acr_values="mail"`),
		exchange("POST /auth/verify-login", 429, jsonType, failure("locked", "Later."), "Retry-After", "900"),
		exchange("GET /auth/status", 401, jsonType, failure("authentication_required", "Who?"), "WWW-Authenticate", `Bearer realm="mfa"`),
		exchange("POST /auth/disable", 403, jsonType, failure("mfa_enforced", "Cannot disable MFA when enforced by organization")),
		exchange("POST /auth/reset", 403, jsonType, failure("insufficient_scope", "No."),
			"WWW-Authenticate", `Bearer realm="mfa", error="insufficient_scope"`),
		exchange("GET /auth/setup", 405, jsonType, failure("method_not_allowed", "No."), "Allow", "POST"),
		exchange("POST /auth/status", 405, jsonType, failure("method_not_allowed", "No."), "Allow", "GET, HEAD"),
		exchange("GET /auth/credentials/a", 405, jsonType, failure("method_not_allowed", "No."), "Allow", "DELETE, PATCH"),
		exchange("OPTIONS /auth/setup", 204, "", "", "Access-Control-Allow-Methods", "POST"),
		exchange("GET /auth/jwks.json", 200, jsonType, `{"keys":[{"kty":"EC","kid":"1","alg":"ES256","use":"sig","crv":"P-256","x":"AA","y":"AA"}]}`,
			"Cache-Control", "public, max-age=300"),
		exchange("GET /auth", 200, "text/html; charset=utf-8", "<!doctype html>"),
		exchange("GET /auth/", 404, jsonType, failure("not_found", "Not found")),
		exchange("GET /auth/magic-link/", 308, "", "", "Location", "../magic-link"),
	}
	for _, e := range exchanges {
		d.Check(t, e)
	}
}

func TestAnswersThatAreNotAsDocumentedAreRefused(t *testing.T) {
	d := load(t)
	right := exchange("GET /auth/credentials", 200, jsonType, credentials)
	body := func(old, new string) func(*openapitest.Exchange) {
		return func(e *openapitest.Exchange) {
			changed := strings.Replace(string(e.Body), old, new, 1)
			if changed == string(e.Body) {
				t.Fatalf("%q is not in the body", old)
			}
			e.Body = []byte(changed)
		}
	}
	header := func(name string, values ...string) func(*openapitest.Exchange) {
		return func(e *openapitest.Exchange) { e.Header[http.CanonicalHeaderKey(name)] = values }
	}
	mutations := map[string]func(*openapitest.Exchange){
		"a path outside of the prefix":     func(e *openapitest.Exchange) { e.Target = "/authcredentials" },
		"the prefix of another":            func(e *openapitest.Exchange) { e.Target = "/mfa/credentials" },
		"a path that is not there":         func(e *openapitest.Exchange) { e.Target = "/auth/credential" },
		"a path below a parameter":         func(e *openapitest.Exchange) { e.Target = "/auth/credentials/a/b" },
		"a target that is no path":         func(e *openapitest.Exchange) { e.Target = "*" },
		"a method that is not there":       func(e *openapitest.Exchange) { e.Method = "PUT" },
		"a status that is not there":       func(e *openapitest.Exchange) { e.Status = 201 },
		"a status of another path":         func(e *openapitest.Exchange) { e.Status = 413 },
		"an error as a success":            body(`"success":true`, `"success":false`),
		"a further member at the top":      body(`{"success":true`, `{"more":1,"success":true`),
		"a further member inside":          body(`"id":"a"`, `"id":"a","secret":"s"`),
		"a missing member":                 body(`"name":"App",`, ``),
		"a null where none may be":         body(`"name":"App"`, `"name":null`),
		"a wrong type":                     body(`"isEnabled":true`, `"isEnabled":"true"`),
		"a value outside of an enum":       body(`GOOGLE_AUTH`, `SMS`),
		"a time that is none":              body(`2026-01-02T15:04:05Z`, `2026-13-02T15:04:05Z`),
		"a time with an offset":            body(`15:04:05Z`, `15:04:05+01:00`),
		"a passkey's member for an app":    body(`"isEnabled":true`, `"isEnabled":true,"synced":true`),
		"data behind the body":             body(`]}`, `]}{}`),
		"half a body":                      body(`]}`, ``),
		"no body":                          func(e *openapitest.Exchange) { e.Body = nil },
		"another content type":             header("Content-Type", "text/html"),
		"a parameter of the content type":  header("Content-Type", "application/json; charset=utf-8"),
		"a content type that is none":      header("Content-Type", "json"),
		"no content type":                  header("Content-Type"),
		"no Cache-Control":                 header("Cache-Control"),
		"a Cache-Control that lets keep":   header("Cache-Control", "public, max-age=300"),
		"two Cache-Controls":               header("Cache-Control", "no-store", "public"),
		"no nosniff":                       header("X-Content-Type-Options"),
		"an X-Content-Type-Options beside": header("X-Content-Type-Options", "nosniff, nosniff"),
	}
	for name, mutate := range mutations {
		e := right
		e.Header = maps.Clone(right.Header)
		mutate(&e)
		if d.Verify(e) == nil {
			t.Errorf("%s passed", name)
		}
	}
	d.Check(t, right) // no mutation has reached it
}

func TestRefusalsWithoutTheirHeadersAreRefused(t *testing.T) {
	d := load(t)
	challenge := `Bearer realm="mfa"`
	tests := map[string]openapitest.Exchange{
		"401 without WWW-Authenticate": exchange("GET /auth/status", 401, jsonType, failure("authentication_required", "Who?")),
		"401 of another scheme": exchange("GET /auth/status", 401, jsonType, failure("authentication_required", "Who?"),
			"WWW-Authenticate", `Basic realm="mfa"`),
		"401 with another route's code": exchange("GET /auth/status", 401, jsonType, failure("mfa_session_expired", "MFA session expired"),
			"WWW-Authenticate", challenge),
		"401 with another message": exchange("POST /auth/verify-login", 401, jsonType, failure("mfa_verification_failed", "Wrong code"),
			"WWW-Authenticate", challenge),
		"429 without Retry-After":      exchange("POST /auth/verify-login", 429, jsonType, failure("locked", "Later.")),
		"429 with a date":              exchange("POST /auth/verify-login", 429, jsonType, failure("locked", "Later."), "Retry-After", "Fri, 02 Jan 2026 15:04:05 GMT"),
		"429 with no time":             exchange("POST /auth/verify-login", 429, jsonType, failure("locked", "Later."), "Retry-After", "0"),
		"503 without Retry-After":      exchange("GET /auth/status", 503, jsonType, failure("unavailable", "Later.")),
		"405 without Allow":            exchange("GET /auth/setup", 405, jsonType, failure("method_not_allowed", "No.")),
		"405 with another Allow":       exchange("GET /auth/setup", 405, jsonType, failure("method_not_allowed", "No."), "Allow", "GET, HEAD"),
		"405 with another code":        exchange("GET /auth/setup", 405, jsonType, failure("not_found", "No."), "Allow", "POST"),
		"405 for a method it has":      exchange("POST /auth/setup", 405, jsonType, failure("method_not_allowed", "No."), "Allow", "POST"),
		"OPTIONS that is no preflight": exchange("OPTIONS /auth/setup", 204, "", ""),
		"a pair without the cookie":    exchange("POST /auth/verify-login", 200, jsonType, pair),
		"a pair with a lasting cookie": exchange("POST /auth/verify-login", 200, jsonType, pair, "Set-Cookie",
			"__Host-mfa=a.b.c; Path=/; HttpOnly; Secure; SameSite=Lax"),
		"a pair with another message": exchange("POST /auth/refresh", 200, jsonType, pair, "Set-Cookie", cookie),
		"keys that may not be kept":   exchange("GET /auth/jwks.json", 200, jsonType, `{"keys":[{"kty":"EC","kid":"1","alg":"ES256","use":"sig"}]}`),
		"a private key": exchange("GET /auth/jwks.json", 200, jsonType, `{"keys":[{"kty":"EC","kid":"1","alg":"ES256","use":"sig","d":"AA"}]}`,
			"Cache-Control", "public, max-age=300"),
		"a redirect without a target": exchange("GET /auth/magic-link/", 308, "", ""),
		"a redirect with a body":      exchange("GET /auth/magic-link/", 308, "", "moved", "Location", "../magic-link"),
	}
	for name, e := range tests {
		if d.Verify(e) == nil {
			t.Errorf("%s passed", name)
		}
	}
}

// recorder is a test that notes its failures.
type recorder struct {
	testing.TB
	failures []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func TestCheckFailsTheTestAndNamesTheRequest(t *testing.T) {
	d := load(t)
	r := &recorder{}
	d.Check(r, exchange("GET /auth/status", 200, jsonType, status))
	if len(r.failures) > 0 {
		t.Errorf("a right answer failed the test: %v", r.failures)
	}
	d.Check(r, exchange("GET /auth/status", 200, jsonType, `{}`))
	if len(r.failures) != 1 || !strings.Contains(r.failures[0], "GET /auth/status, answered 200") {
		t.Errorf("failures are %q, want one that names the request", r.failures)
	}
}
