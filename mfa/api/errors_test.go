package api_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// requests are one good request to each route that asks the service, by
// method and path.
var requests = map[string]string{
	"POST /mfa/setup":                         `{"mfaType":"GOOGLE_AUTH"}`,
	"POST /mfa/verify-setup":                  `{"mfaType":"GOOGLE_AUTH","code":"1"}`,
	"POST /mfa/verify-login":                  `{"mfaType":"GOOGLE_AUTH","code":"1"}`,
	"POST /mfa/refresh":                       `{"refreshToken":"1"}`,
	"POST /mfa/sign-out":                      "",
	"GET /mfa/status":                         "",
	"GET /mfa/methods":                        "",
	"POST /mfa/enable":                        `{"mfaType":"GOOGLE_AUTH"}`,
	"POST /mfa/disable":                       `{"mfaType":"GOOGLE_AUTH"}`,
	"POST /mfa/primary":                       `{"mfaType":"GOOGLE_AUTH"}`,
	"POST /mfa/reset":                         "",
	"POST /mfa/organization/enforce":          `{"enforced":true}`,
	"POST /mfa/backup-codes":                  "",
	"POST /mfa/magic-link/send":               "",
	"POST /mfa/magic-link/activate":           `{"token":"1"}`,
	"POST /mfa/magic-link/inspect":            `{"token":"1"}`,
	"POST /mfa/magic-link/deny":               `{"token":"1"}`,
	"POST /mfa/passkey/auth-options":          "",
	"POST /mfa/passkey/complete-registration": `{"credential":{}}`,
	"GET /mfa/credentials":                    "",
	"PATCH /mfa/credentials/1":                `{"name":"1"}`,
	"DELETE /mfa/credentials/1":               "",
	"GET /mfa/jwks.json":                      "",
}

func TestAFaultOnThisSideIsTheSameAtEveryRoute(t *testing.T) {
	for _, row := range []struct {
		err    error
		status int
		code   string
	}{
		{fmt.Errorf("%w: dial tcp 10.0.0.1", store.ErrUnavailable), 503, "unavailable"},
		{fmt.Errorf("closing 10.0.0.1: %w", store.ErrClosed), 503, "unavailable"},
		{errors.New("10.0.0.1"), 500, "internal_error"},
	} {
		f := newFixture(t)
		f.service.err = row.err
		for request, body := range requests {
			method, path, _ := strings.Cut(request, " ")
			w := f.do(method, path, body, "Authorization", "Bearer good", "Content-Type", "application/json")
			wantError(t, w, row.status, row.code, "")
			if strings.Contains(w.Body.String(), "10.0.0.1") {
				t.Errorf("%s shows the cause: %s", request, w.Body)
			}
			if (row.status == 503) != (w.Header().Get("Retry-After") == "1") {
				t.Errorf("%s: Retry-After %q", request, w.Header().Get("Retry-After"))
			}
		}
	}
}

func TestARouteThatIsNotOpenWantsABearerBeforeAnythingElse(t *testing.T) {
	f := newFixture(t)
	f.service.err = errors.New("must not be asked")
	for request := range requests {
		method, path, _ := strings.Cut(request, " ")
		switch path {
		case "/mfa/magic-link/activate", "/mfa/magic-link/inspect", "/mfa/magic-link/deny", "/mfa/jwks.json":
			continue
		}
		w := f.do(method, path, "not JSON")
		wantError(t, w, 401, "authentication_required", "")
		if got := w.Header().Get("WWW-Authenticate"); got != `Bearer realm="mfa"` {
			t.Errorf("%s: challenge %q", request, got)
		}
	}
}

func TestErrorsOfLoginsBecomeTheDocumentedAnswers(t *testing.T) {
	for _, row := range []struct {
		request string
		err     error
		status  int
		code    string
		text    string
	}{
		{"POST /mfa/verify-login", mfa.ErrTypeUnavailable, 400, "mfa_type_unavailable", "Invalid MFA type specified"},
		{"POST /mfa/verify-login", fmt.Errorf("verifying: %w", mfa.ErrWrongProof), 401, "mfa_verification_failed", "MFA verification failed"},
		{"POST /mfa/verify-login", mfa.ErrLinkPending, 401, "magic_link_pending", "MFA verification failed"},
		{"POST /mfa/verify-login", &mfa.LockedError{Off: true}, 429, "locked", "administrator"},
		{"POST /mfa/refresh", mfa.ErrSessionExpired, 401, "mfa_session_expired", "MFA session expired"},
		{"POST /mfa/passkey/auth-options", mfa.ErrTypeUnavailable, 400, "mfa_type_unavailable", "Invalid MFA type specified"},
		{"POST /mfa/magic-link/send", mfa.ErrTypeUnavailable, 400, "mfa_type_unavailable", "Invalid MFA type specified"},
		{"POST /mfa/magic-link/send", mfa.ErrNoPendingSetup, 404, "user_not_found", "User not found"},
		{"POST /mfa/magic-link/send", mfa.ErrMailNotSent, 500, "mail_not_sent", "Failed to send magic link"},
		{"POST /mfa/magic-link/inspect", mfa.ErrTypeUnavailable, 400, "invalid_magic_link", "Invalid or expired token"},
		{"POST /mfa/magic-link/deny", mfa.ErrWrongProof, 400, "invalid_magic_link", "Invalid or expired token"},
		{"POST /mfa/reset", mfa.ErrForbidden, 403, "insufficient_scope", "OWNER or ADMINISTRATOR role required to reset another user's MFA."},
		{"DELETE /mfa/credentials/1", mfa.ErrEnforced, 403, "mfa_enforced", "Cannot disable MFA when enforced by organization"},
		{"DELETE /mfa/credentials/1", mfa.ErrNoCredential, 404, "credential_not_found", "Credential not found"},
	} {
		f := newFixture(t)
		f.service.err = row.err
		method, path, _ := strings.Cut(row.request, " ")
		w := f.do(method, path, requests[row.request], "Authorization", "Bearer good", "Content-Type", "application/json")
		wantError(t, w, row.status, row.code, row.text)
		if row.status == 429 && w.Header().Get("Retry-After") != "86400" {
			t.Errorf("codes are off: Retry-After %q", w.Header().Get("Retry-After"))
		}
	}
}
