package main_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
	"github.com/caddymfa/caddy-mfa/internal/testtool"
)

// wrongCode returns a code that is not secret's, now or soon.
func wrongCode(t *testing.T, secret string) string {
	t.Helper()
	var right []string
	for step := -3; step <= 3; step++ {
		code, err := totp.GenerateCode(secret, time.Now().Add(time.Duration(step)*30*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		right = append(right, code)
	}
	for _, code := range []string{"000000", "111111", "222222", "333333", "444444", "555555", "666666", "777777"} {
		if !slices.Contains(right, code) {
			return code
		}
	}
	t.Fatal("every code is right")
	return ""
}

// readQRCode has zbarimg, which phones' readers resemble, read the image in a
// data URL.
func readQRCode(t *testing.T, dataURL string) string {
	t.Helper()
	zbarimg := testtool.Need(t, "zbarimg")
	encoded, ok := strings.CutPrefix(dataURL, "data:image/png;base64,")
	if !ok {
		t.Fatalf("the QR code is %.40q", dataURL)
	}
	image, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "qr.png")
	if err := os.WriteFile(file, image, 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := exec.CommandContext(t.Context(), zbarimg, "--quiet", "--raw", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(string(text), "\n")
}

func TestACodeOfAnotherProgramConfirmsTheSecret(t *testing.T) {
	oathtool := testtool.Need(t, "oathtool")
	e := edgetest.New(t)
	e.Start(edgetest.Caddyfile)
	token := e.Token("alice", nil)
	wantMethods(t, e, token)

	setup := setupTOTP(t, e, token)
	wantMethods(t, e, token) // a pending setup counts for nothing
	output, err := exec.CommandContext(t.Context(), oathtool, "--totp", "--base32", setup["secret"].(string)).Output()
	if err != nil {
		t.Fatal(err)
	}
	code := strings.TrimSpace(string(output))
	verifyTOTP(e, token, code).WantMessage(t, "MFA setup verified and enabled")
	wantMethods(t, e, token, "GOOGLE_AUTH")
	if left := e.Do("GET", "/mfa/status", token, nil).Data(t)["backupCodesRemaining"]; left != float64(10) {
		t.Errorf("%v backup codes are left, want 10", left)
	}

	// From here on the bearer alone changes nothing.
	wantStepUp(t, verifyTOTP(e, token, code))
	for _, kind := range []string{"GOOGLE_AUTH", "PASSKEY", "MAGIC_LINK"} {
		wantStepUp(t, e.Do("POST", "/mfa/setup", token, map[string]any{"mfaType": kind, "email": "alice@example.org"}))
	}
	wantStepUp(t, e.Do("POST", "/mfa/passkey/complete-registration", token, map[string]any{"credential": map[string]any{"id": "AAAA"}}))
	if _, err := os.Stat(filepath.Join(e.Dir, "outbox")); !os.IsNotExist(err) {
		t.Errorf("a refused setup sent mail (%v)", err)
	}
}

func TestTheQRCodeReadsAsTheURLWhateverTheIssuerIsCalled(t *testing.T) {
	for _, issuer := range []string{"Acme", "Größe: Müller & Söhne", "a/b?c=d#e%41+f"} {
		t.Run(issuer, func(t *testing.T) {
			e := edgetest.New(t)
			e.Start(strings.Replace(edgetest.Caddyfile, "issuer Acme", `issuer "`+issuer+`"`, 1))
			token := e.Token("alice", map[string]any{"email": "älice+x@example.org"})
			setup := setupTOTP(t, e, token)
			otpauth := setup["otpauthUrl"].(string)
			if got := readQRCode(t, setup["qrCode"].(string)); got != otpauth {
				t.Errorf("the QR code reads %q, want %q", got, otpauth)
			}
			u, err := url.Parse(otpauth)
			if err != nil {
				t.Fatal(err)
			}
			label, account, found := strings.Cut(strings.TrimPrefix(u.EscapedPath(), "/"), ":")
			label, _ = url.PathUnescape(label)
			account, _ = url.PathUnescape(account)
			// Apps take the first colon for the end of the issuer.
			want := strings.ReplaceAll(issuer, ":", "")
			if u.Scheme != "otpauth" || u.Host != "totp" || !found || label != want || account != "älice+x@example.org" ||
				u.Query().Get("issuer") != want || u.Query().Get("secret") != setup["secret"] {
				t.Errorf("the URL is %q", otpauth)
			}
		})
	}
}

func TestFiveWrongCodesVoidThePendingSetup(t *testing.T) {
	e := edgetest.New(t)
	e.Start(edgetest.Caddyfile)
	alice, bob := e.Token("alice", nil), e.Token("bob", nil)
	secret := setupTOTP(t, e, alice)["secret"].(string)
	bobs := setupTOTP(t, e, bob)["secret"].(string)
	for range 5 {
		verifyTOTP(e, alice, wrongCode(t, secret)).WantError(t, 400, "", "MFA setup verification failed")
	}
	verifyTOTP(e, alice, edgetest.Code(t, secret)).WantError(t, 400, "", "MFA setup verification failed")
	wantMethods(t, e, alice)

	// Another person's setup is another matter, and so is a fresh one.
	verifyTOTP(e, bob, edgetest.Code(t, secret)).WantError(t, 400, "", "MFA setup verification failed")
	verifyTOTP(e, bob, edgetest.Code(t, bobs)).WantMessage(t, "MFA setup verified and enabled")
	secret = setupTOTP(t, e, alice)["secret"].(string)
	for range 4 {
		verifyTOTP(e, alice, wrongCode(t, secret)).WantError(t, 400, "", "MFA setup verification failed")
	}
	verifyTOTP(e, alice, edgetest.Code(t, secret)).WantMessage(t, "MFA setup verified and enabled")
	wantMethods(t, e, alice, "GOOGLE_AUTH")
}

func TestARepeatedSetupReplacesThePendingOne(t *testing.T) {
	e := edgetest.New(t)
	e.Start(edgetest.Caddyfile)
	token := e.Token("alice", nil)
	first := setupTOTP(t, e, token)["secret"].(string)
	second := setupTOTP(t, e, token)["secret"].(string)
	if first == second {
		t.Fatal("both setups have the same secret")
	}
	verifyTOTP(e, token, edgetest.Code(t, first)).WantError(t, 400, "", "MFA setup verification failed")
	verifyTOTP(e, token, edgetest.Code(t, second)).WantMessage(t, "MFA setup verified and enabled")
}

func TestConfirmingOneFactorVoidsTheOtherPendingSetups(t *testing.T) {
	e := edgetest.New(t)
	e.Start(edgetest.Caddyfile)
	token := e.Token("alice", nil)
	e.Do("POST", "/mfa/setup", token, map[string]any{"mfaType": "MAGIC_LINK", "email": "thief@example.org"}).Data(t)
	link := onlyToken(t, e)
	enrol(t, e, token)
	e.Do("POST", "/mfa/magic-link/activate", "", map[string]any{"token": link}).
		WantError(t, 400, "invalid_magic_link", "Invalid or expired token")
	wantStepUp(t, e.Do("POST", "/mfa/verify-setup", token, map[string]any{"mfaType": "MAGIC_LINK", "token": link}))
	wantMethods(t, e, token, "GOOGLE_AUTH")
}

func TestOfAHundredCopiesOfAConfirmationOneSucceeds(t *testing.T) {
	e := edgetest.New(t)
	e.Start(edgetest.Caddyfile)
	token, other := e.Token("alice", nil), e.Token("bob", nil)
	secret := setupTOTP(t, e, token)["secret"].(string)
	code := edgetest.Code(t, secret)
	statuses := make([]int, 100)
	var copies sync.WaitGroup
	for i := range statuses {
		r := e.Request("POST", "/mfa/verify-setup", token, map[string]any{"mfaType": "GOOGLE_AUTH", "code": code})
		copies.Go(func() {
			answer, err := edgetest.Try(r)
			if err != nil {
				t.Error(err)
			}
			statuses[i] = answer.Status
		})
	}
	copies.Wait()
	count := map[int]int{}
	for _, status := range statuses {
		count[status]++
	}
	if count[http.StatusOK] != 1 || count[http.StatusUnauthorized] != 99 {
		t.Errorf("the answers were %v, want 1 of 200 and 99 of 401", count)
	}
	wantMethods(t, e, token, "GOOGLE_AUTH")
	wantMethods(t, e, other)
}
