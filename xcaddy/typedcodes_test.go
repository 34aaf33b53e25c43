package main_test

import (
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

// inDigits writes the digits of code from zero on, as a keyboard of that
// script does.
func inDigits(code string, zero rune) string {
	return strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' {
			return zero + r - '0'
		}
		return r
	}, code)
}

// fullWidth writes ASCII as a Japanese keyboard does.
func fullWidth(code string) string {
	return strings.Map(func(r rune) rune { return r - '!' + '！' }, code)
}

func TestCodesAreTakenAsPeopleTypeThem(t *testing.T) {
	e := edgetest.New(t)
	e.Start(gated(adminGate))
	for name, typed := range map[string]func(string) string{
		"full-width":         func(code string) string { return inDigits(code, '０') },
		"Arabic-Indic":       func(code string) string { return inDigits(code, '٠') },
		"Persian":            func(code string) string { return "\u200f" + inDigits(code, '۰') + "\u200e" },
		"Devanagari":         func(code string) string { return inDigits(code[:3], '०') + "\u00a0" + inDigits(code[3:], '०') },
		"Bengali":            func(code string) string { return inDigits(code, '০') + "\u200b" },
		"with marks, dashes": func(code string) string { return "\ufeff" + code[:3] + "\u2011" + code[3:] + "\u2060\n" },
	} {
		token := e.Token(name, nil)
		setup := setupTOTP(t, e, token)
		p := &person{t: t, e: e, subject: name, token: token, secret: setup["secret"].(string)}
		verifyTOTP(e, token, typed(p.code(-1))).WantMessage(t, "MFA setup verified and enabled")
		p.showCode(typed(p.code(0))).WantMessage(t, "MFA verification successful")
		backup := setup["backupCodes"].([]any)
		p.showCode(fullWidth(backup[0].(string))).WantMessage(t, "MFA verification successful")
		p.showCode("\u202a"+strings.ToLower(strings.ReplaceAll(backup[1].(string), "-", "\u2013\u200b"))+"\u202c").WantMessage(t, "MFA verification successful")
		p.showCode(fullWidth(backup[0].(string))).WantError(t, 401, "mfa_verification_failed", "MFA verification failed") // once
	}
}

func TestWhatCannotBeACodeSaysWhatACodeLooksLikeAndLocksNobody(t *testing.T) {
	e := edgetest.New(t)
	e.Start(gated(adminGate))
	token := e.Token("bob", nil)
	secret := setupTOTP(t, e, token)["secret"].(string)
	for range 7 {
		answer := verifyTOTP(e, token, "12345")
		answer.WantError(t, 400, "malformed_code", "MFA setup verification failed")
		if hint, _ := answer.JSON["hint"].(string); !strings.Contains(hint, "6 digits") {
			t.Errorf("the hint is %q", hint)
		}
	}
	verifyTOTP(e, token, edgetest.Code(t, secret)).WantMessage(t, "MFA setup verified and enabled")

	alice := enrolled(t, e, "alice", nil)
	for _, code := range []string{"12345", "1234567", "12345O", "code 123456", "AAAA-BBBB", "correct horse battery", "１２３"} {
		answer := alice.showCode(code)
		answer.WantError(t, 401, "malformed_code", "MFA verification failed")
		if hint, _ := answer.JSON["hint"].(string); !strings.Contains(hint, "6 digits") || !strings.Contains(hint, "12 letters and digits") {
			t.Errorf("the hint is %q", hint)
		}
	}
	alice.showCode(alice.code(0)).WantMessage(t, "MFA verification successful")
}
