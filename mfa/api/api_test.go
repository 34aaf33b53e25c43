package api_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/magiclink"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

func TestErrorsOfTheServiceBecomeTheDocumentedAnswers(t *testing.T) {
	const (
		setup    = "/mfa/setup"
		verify   = "/mfa/verify-setup"
		complete = "/mfa/passkey/complete-registration"
		activate = "/mfa/magic-link/activate"
	)
	bodies := map[string]string{
		setup:    `{"mfaType":"GOOGLE_AUTH"}`,
		verify:   `{"mfaType":"GOOGLE_AUTH","code":"123456"}`,
		complete: `{"credential":{}}`,
		activate: `{"token":"a.b"}`,
	}
	down := fmt.Errorf("%w: dial tcp 10.0.0.1", store.ErrUnavailable)
	for _, row := range []struct {
		path   string
		err    error
		status int
		code   string
		text   string
	}{
		{setup, mfa.ErrUnknownType, 400, "invalid_mfa_type", "Invalid MFA type specified"},
		{setup, mfa.ErrTypeUnavailable, 400, "mfa_type_unavailable", "Invalid MFA type specified"},
		{setup, fmt.Errorf("%w: email is missing", mfa.ErrBadRequest), 400, "invalid_request", "email is missing"},
		{setup, fmt.Errorf("%w: 10.0.0.1 says no", mfa.ErrMailNotSent), 500, "mail_not_sent", "Failed to setup MFA"},
		{setup, errors.New("some secret cause"), 500, "internal_error", "Failed to setup MFA"},
		{setup, down, 503, "unavailable", ""},
		{verify, mfa.ErrUnknownType, 400, "invalid_mfa_type", "Invalid MFA type specified"},
		{verify, mfa.ErrWrongProof, 400, "setup_verification_failed", "MFA setup verification failed"},
		{verify, mfa.ErrNoPendingSetup, 400, "no_pending_setup", "MFA setup verification failed"},
		{verify, errors.New("some secret cause"), 500, "internal_error", "Internal server error"},
		{verify, down, 503, "unavailable", ""},
		{complete, mfa.ErrWrongProof, 400, "setup_verification_failed", "Passkey registration failed"},
		{complete, mfa.ErrCredentialTaken, 400, "credential_taken", "Passkey registration failed"},
		{complete, mfa.ErrTooManyCredentials, 400, "too_many_credentials", "Passkey registration failed"},
		{activate, mfa.ErrWrongProof, 400, "invalid_magic_link", "Invalid or expired token"},
		{activate, mfa.ErrNoPendingSetup, 400, "invalid_magic_link", "Invalid or expired token"},
		{activate, mfa.ErrTypeUnavailable, 400, "invalid_magic_link", "Invalid or expired token"},
		{activate, down, 503, "unavailable", ""},
	} {
		f := newFixture(t)
		f.service.err = row.err
		w := f.post(row.path, bodies[row.path])
		wantError(t, w, row.status, row.code, row.text)
		if strings.Contains(w.Body.String(), "10.0.0.1") || strings.Contains(w.Body.String(), "secret cause") {
			t.Errorf("the cause is shown: %s", w.Body)
		}
		if errors := f.logs.FilterLevelExact(zap.ErrorLevel).Len(); errors > 0 != (row.status >= 500) {
			t.Errorf("%v: logged %v", row.err, f.logs.All())
		}
		if errors.Is(row.err, mfa.ErrWrongProof) && f.logs.Len() == 0 && row.path != activate {
			t.Errorf("%v: not logged", row.err)
		}
	}
}

func TestAStepUpIsAskedForAsRFC9470Says(t *testing.T) {
	f := newFixture(t)
	f.service.err = &mfa.StepUpError{ACR: mfa.ACRMFA, MaxAge: 15 * time.Minute}
	w := f.post("/mfa/setup", `{"mfaType":"GOOGLE_AUTH"}`)
	wantError(t, w, 401, "insufficient_user_authentication", "")
	want := `Bearer realm="mfa", error="insufficient_user_authentication", error_description="A recent second factor is required", acr_values="mfa", max_age="900"`
	if got := w.Header().Get("WWW-Authenticate"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	f.service.err = &mfa.StepUpError{MaxAge: 5 * time.Minute}
	w = f.post("/mfa/setup", `{"mfaType":"GOOGLE_AUTH"}`)
	if got := w.Header().Get("WWW-Authenticate"); !strings.Contains(got, `max_age="300"`) || strings.Contains(got, "acr_values") {
		t.Errorf("for a sign-in: %s", got)
	}
}

func TestALimitSaysWhenToTryAgain(t *testing.T) {
	f := newFixture(t)
	f.service.err = &mfa.RateLimitError{RetryAfter: 90*time.Second + time.Millisecond}
	w := f.post("/mfa/setup", `{"mfaType":"MAGIC_LINK","email":"a@example.com"}`)
	wantError(t, w, 429, "rate_limited", "2 minutes")
	if got := w.Header().Get("Retry-After"); got != "91" {
		t.Errorf("Retry-After %q", got)
	}
}

func TestASetupPassesOnWhatTheClientSaidAndAnswersTheTable(t *testing.T) {
	f := newFixture(t)
	f.service.setup = appSetup
	w := f.post("/mfa/setup", `{"mfaType":"GOOGLE_AUTH","email":"a@example.com","unknown":[1],
		"deviceInfo":{"name":"n","type":"t","userAgent":"u","deviceType":"d","os":"o","browser":"b"}}`)
	want := `{"success":true,"data":{"secret":"A2A2A2A2A2A2A2A2A2A2A2A2A2A2A2A2","qrCode":"data:image/png;base64,AA==","backupCodes":["AAAA-BBBB-CCCC"],"otpauthUrl":"otpauth://totp/Acme:alice","expiresAt":"1970-01-01T00:16:40Z"}}` + "\n"
	if w.Code != 200 || w.Body.String() != want {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	wantCaller := mfa.Caller{
		Issuer: "iss", Subject: "alice", AuthTime: time.Unix(100, 0), Token: "good", Client: mfa.Client{IP: "192.0.2.1"},
	}
	if !reflect.DeepEqual(f.service.caller, wantCaller) {
		t.Errorf("caller %+v", f.service.caller)
	}
	wantRequest := mfa.SetupRequest{
		Type: factor.TypeTOTP, Email: "a@example.com",
		Device: factor.Device{Name: "n", Type: "t", UserAgent: "u", DeviceType: "d", OS: "o", Browser: "b"},
	}
	if f.service.request != wantRequest {
		t.Errorf("request %+v", f.service.request)
	}
	f.service.setup = &mfa.Setup{Offer: magiclink.Enrolment{Email: "a@example.com"}, ExpiresAt: time.Unix(1000, 0).UTC()}
	w = f.post("/mfa/setup", `{"mfaType":"MAGIC_LINK","email":"a@example.com"}`)
	want = `{"success":true,"data":{"email":"a@example.com","verificationRequired":true,"expiresAt":"1970-01-01T00:16:40Z"}}` + "\n"
	if w.Body.String() != want {
		t.Errorf("got %s", w.Body)
	}
}

func TestAConfirmationWithoutItsProofSaysWhatIsMissing(t *testing.T) {
	f := newFixture(t)
	f.service.err = errors.New("must not be asked")
	for body, member := range map[string]string{
		`{"mfaType":"GOOGLE_AUTH","token":"x"}`:       `"code"`,
		`{"mfaType":"GOOGLE_AUTH","code":null}`:       `"code"`,
		`{"mfaType":"MAGIC_LINK","code":"x"}`:         `"token"`,
		`{"mfaType":"PASSKEY","credential":null}`:     `"credential"`,
		`{"mfaType":"GOOGLE_AUTH","credential":"{}"}`: `"code"`,
	} {
		wantError(t, f.post("/mfa/verify-setup", body), 400, "invalid_request", member)
	}
	wantError(t, f.post("/mfa/passkey/complete-registration", `{}`), 400, "invalid_request", `"credential"`)
	wantError(t, f.post("/mfa/magic-link/activate", `{}`), 400, "invalid_request", `"token"`)
}

func TestStatusIsWholeAlsoForWhoHasNothing(t *testing.T) {
	f := newFixture(t)
	w := f.do("GET", "/mfa/status", "", "Authorization", "Bearer good")
	want := `{"success":true,"data":{"isEnabled":false,"isRequired":false,"isEnforced":false,"enabledMethods":[],"primaryMethod":null,"sessionVerified":false,"backupCodesRemaining":0,"backupCodesAcr":null}}` + "\n"
	if w.Body.String() != want {
		t.Errorf("got %s", w.Body)
	}
	f.service.status = mfa.Status{Methods: []factor.Type{factor.TypePasskey}, Primary: factor.TypePasskey, BackupCodes: 9, BackupCodesACR: mfa.ACRMail}
	w = f.do("GET", "/mfa/status", "", "Authorization", "Bearer good")
	want = `{"success":true,"data":{"isEnabled":true,"isRequired":false,"isEnforced":false,"enabledMethods":["PASSKEY"],"primaryMethod":"PASSKEY","sessionVerified":false,"backupCodesRemaining":9,"backupCodesAcr":"mail"}}` + "\n"
	if w.Body.String() != want {
		t.Errorf("got %s", w.Body)
	}
}
