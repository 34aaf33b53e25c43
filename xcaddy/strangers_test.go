package main_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/descope/virtualwebauthn"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
	"github.com/caddymfa/caddy-mfa/internal/passkeytest"
)

// authenticator holds one passkey of a person at an edge.
type authenticator struct {
	t  *testing.T
	e  *edgetest.Edge
	rp virtualwebauthn.RelyingParty
	a  virtualwebauthn.Authenticator
	c  virtualwebauthn.Credential
}

// enrolPasskey makes a passkey for who sends token.
func enrolPasskey(t *testing.T, e *edgetest.Edge, token string) *authenticator {
	t.Helper()
	device := &authenticator{t: t, e: e, c: passkeytest.ES256(t), rp: virtualwebauthn.RelyingParty{ID: "localhost", Name: "Acme", Origin: e.URL}}
	data := e.Do("POST", "/mfa/setup", token, map[string]any{"mfaType": "PASSKEY"}).Data(t)
	encoded, err := json.Marshal(data["publicKey"])
	if err != nil {
		t.Fatal(err)
	}
	options, err := virtualwebauthn.ParseAttestationOptions(string(encoded))
	if err != nil {
		t.Fatal(err)
	}
	device.a = virtualwebauthn.NewAuthenticatorWithOptions(virtualwebauthn.AuthenticatorOptions{UserHandle: []byte(options.UserID)})
	answer := virtualwebauthn.CreateAttestationResponse(device.rp, device.a, device.c, *options)
	e.Do("POST", "/mfa/verify-setup", token, map[string]any{"mfaType": "PASSKEY", "credential": json.RawMessage(answer)}).
		WantMessage(t, "MFA setup verified and enabled")
	return device
}

// options asks for a challenge.
func (d *authenticator) options(token string) string {
	d.t.Helper()
	data := d.e.Do("POST", "/mfa/passkey/auth-options", token, nil).Data(d.t)
	encoded, err := json.Marshal(data)
	if err != nil {
		d.t.Fatal(err)
	}
	return string(encoded)
}

// answer is a login by the answer to options, given at origin.
func (d *authenticator) answer(options, origin string) map[string]any {
	d.t.Helper()
	parsed, err := virtualwebauthn.ParseAssertionOptions(options)
	if err != nil {
		d.t.Fatal(err)
	}
	rp := d.rp
	rp.Origin = origin
	return map[string]any{"mfaType": "PASSKEY", "credential": json.RawMessage(virtualwebauthn.CreateAssertionResponse(rp, d.a, d.c, *parsed))}
}

func TestAThiefOfTheAccessTokenDoesNotTakeThePasskeysChallengeAway(t *testing.T) {
	e := edgetest.New(t)
	e.Start(caddyfile())
	alice := e.Token("alice", nil)
	device := enrolPasskey(t, e, alice)
	login := func(proof map[string]any) edgetest.Answer { return e.Do("POST", "/mfa/verify-login", alice, proof) }
	owner := device.options(alice)
	for range 20 {
		device.options(alice)
	}
	for range 60 {
		options := device.options(alice)
		login(device.answer(options, "https://evil.test")).WantError(t, 401, "mfa_verification_failed", "")
		login(device.answer(options, e.URL)).WantError(t, 401, "mfa_verification_failed", "")
	}
	proof := device.answer(owner, e.URL)
	login(proof).WantMessage(t, "MFA verification successful")
	login(proof).WantError(t, 401, "mfa_verification_failed", "")

	// Nor does a restart forget what was spent, or what waits.
	waiting := device.options(alice)
	e.Kill()
	e.Start("")
	login(proof).WantError(t, 401, "mfa_verification_failed", "")
	login(device.answer(waiting, e.URL)).WantMessage(t, "MFA verification successful")
	late := device.options(alice)
	e.Do("POST", "/mfa/sign-out", alice, map[string]any{"everywhere": true})
	login(device.answer(late, e.URL)).WantError(t, 401, "mfa_verification_failed", "")
}

func TestAFormerEmployersAdministratorDoesNotReachWhoPassesAGateElsewhere(t *testing.T) {
	e := edgetest.New(t)
	e.Start(gated(adminGate))
	at := func(organization string) map[string]any { return map[string]any{"organization": organization} }
	alice := enrolled(t, e, "alice", at("acme"))
	boss := enrolled(t, e, "boss", map[string]any{"organization": "acme", "roles": []string{"OWNER"}})
	if answer := withCookie(e, "GET", "/admin/x", e.Token("alice", at("rival")), alice.pair.cookie); answer.Status != 200 {
		t.Fatalf("the gate: %d %s", answer.Status, answer.Body)
	}
	e.Do("POST", "/mfa/reset", boss.pair.access, map[string]any{"resetUserId": "alice"}).WantError(t, 404, "", "User not found")
	alice.pair.wantOpens(t, e, "alice", alice.token, "GOOGLE_AUTH", "mfa")
}

func TestStrangersDoNotStarveThePersonWhoseTokenClaimsTheAddress(t *testing.T) {
	e := edgetest.New(t)
	e.Start(caddyfile())
	const address = "Alice@Example.com"
	for n := range 5 {
		setupLink(e, e.Token(fmt.Sprint("stranger ", n), nil), address).Data(t)
	}
	setupLink(e, e.Token("one more", nil), address).WantError(t, 429, "rate_limited", "")
	owner := e.Token("alice", map[string]any{"email": strings.ToLower(address)})
	for range 5 {
		setupLink(e, owner, address).Data(t)
	}
	setupLink(e, owner, address).WantError(t, 429, "rate_limited", "")
}
