package main_test

import (
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

func TestALockOutlivesAKillAndTellsNothing(t *testing.T) {
	e := edgetest.New(t)
	e.Start(gated(adminGate))
	alice, bob := enrolled(t, e, "alice", nil), enrolled(t, e, "bob", nil)
	for range 5 {
		alice.showCode(wrongCode(t, alice.secret)).WantError(t, 401, "mfa_verification_failed", "MFA verification failed")
	}
	locked := func() {
		t.Helper()
		var answers []edgetest.Answer
		for _, code := range []string{wrongCode(t, alice.secret), alice.code(0), alice.backup[0], "AAAAA-AAAAA"} {
			answers = append(answers, alice.showCode(code))
		}
		for _, a := range answers {
			a.WantError(t, 429, "locked", "")
			if a.JSON["error"] != answers[0].JSON["error"] {
				t.Errorf("the answers differ: %s, %s", a.Body, answers[0].Body)
			}
			if wait := retryAfter(t, a); wait < 14*time.Minute || wait > 15*time.Minute {
				t.Errorf("Retry-After is %v", wait)
			}
		}
	}
	locked()
	// Another token of hers is no way around, and nobody else is locked.
	alice.token = e.Token("alice", map[string]any{"session": "another"})
	locked()
	bob.showCode(bob.code(0)).WantMessage(t, "MFA verification successful")

	e.Kill()
	e.Start("")
	locked()
	if answer := e.Do("GET", "/admin/x", alice.pair.access, nil); answer.Status != 200 {
		t.Errorf("what was shown before counts no more: %d %s", answer.Status, answer.Body)
	}
	// Asking anew while locked changes nothing: no code was spent.
	if left := e.Do("GET", "/mfa/status", alice.token, nil).Data(t)["backupCodesRemaining"]; left != float64(10) {
		t.Errorf("%v backup codes are left, want 10", left)
	}
}
