package main_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

// enrolmentPage is the page of an application that lets its people make
// passkeys. It works with what browsers have, and no library.
const enrolmentPage = `<!doctype html>
<title>Passkeys</title>
<script>
async function post(path, token, body) {
	const response = await fetch(path, {
		method: "POST",
		headers: {"Authorization": "Bearer " + token, "Content-Type": "application/json"},
		body: JSON.stringify(body),
	});
	return {status: response.status, ...await response.json()};
}
async function begin(token, deviceInfo) {
	const setup = await post("/mfa/setup", token, {mfaType: "PASSKEY", deviceInfo});
	if (!setup.success) throw new Error(JSON.stringify(setup));
	return setup.data;
}
async function create(data) {
	const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(data.publicKey);
	return (await navigator.credentials.create({publicKey})).toJSON();
}
async function verify(token, credential) {
	return JSON.stringify(await post("/mfa/verify-setup", token, {mfaType: "PASSKEY", credential}));
}
async function complete(token, credential, challenge) {
	return JSON.stringify(await post("/mfa/passkey/complete-registration", token, {credential, challenge}));
}
async function login(token) {
	const options = await post("/mfa/passkey/auth-options", token, {});
	if (!options.success) throw new Error(JSON.stringify(options));
	const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options.data);
	return (await navigator.credentials.get({publicKey})).toJSON();
}
async function show(token, credential) {
	return JSON.stringify(await post("/mfa/verify-login", token, {mfaType: "PASSKEY", credential}));
}
</script>
`

// startPasskeyPage starts an edge and opens the application's page behind
// it in a browser.
func startPasskeyPage(t *testing.T, caddyfile string) (*edgetest.Edge, *browser) {
	t.Helper()
	b := startBrowser(t)
	e := edgetest.New(t)
	e.Upstream.Serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, enrolmentPage)
	}))
	e.Start(caddyfile)
	b.AddAuthenticator()
	b.open(e.URL + "/")
	return e, b
}

// ask runs JavaScript that returns an answer of the API.
func (b *browser) ask(format string, values ...any) edgetest.Answer {
	b.T.Helper()
	quoted := make([]any, len(values))
	for i, value := range values {
		encoded, err := json.Marshal(value)
		if err != nil {
			b.T.Fatal(err)
		}
		quoted[i] = encoded
	}
	answer := edgetest.Answer{Body: b.Eval(fmt.Sprintf(format, quoted...))}
	if err := json.Unmarshal([]byte(answer.Body), &answer.JSON); err != nil {
		b.T.Fatalf("the answer is no JSON: %s", answer.Body)
	}
	if status, ok := answer.JSON["status"].(float64); ok {
		answer.Status = int(status)
	}
	return answer
}

func TestABrowserMakesAPasskeyAndVerifySetupConfirmsIt(t *testing.T) {
	e, b := startPasskeyPage(t, edgetest.Caddyfile)
	token := e.Token("alice", map[string]any{"email": "alice@example.org"})
	data := b.ask(`(async () => JSON.stringify(window.data = await begin(%s, {name: "My laptop", type: "desktop"})))()`, token).JSON
	if data["rpID"] != "localhost" || data["rpName"] != "Acme" || data["origin"] != e.URL || data["userName"] != "alice@example.org" {
		t.Errorf("the setup's data is %v", data)
	}
	wantMethods(t, e, token)
	b.ask(`(async () => verify(%s, await create(window.data)))()`, token).WantMessage(t, "MFA setup verified and enabled")
	wantMethods(t, e, token, "PASSKEY")
	if left := e.Do("GET", "/mfa/status", token, nil).Data(t)["backupCodesRemaining"]; left != float64(10) {
		t.Errorf("%v backup codes are left, want 10", left)
	}
	wantLevel(t, "setup", e.Do("POST", "/mfa/setup", token, map[string]any{"mfaType": "PASSKEY"}), "phr")
}

func TestABrowserMakesAPasskeyAndCompleteRegistrationConfirmsIt(t *testing.T) {
	e, b := startPasskeyPage(t, edgetest.Caddyfile)
	token := e.Token("alice", nil)
	b.ask(`(async () => {
		const data = await begin(%s, {userAgent: navigator.userAgent, deviceType: "desktop", os: "Linux", browser: "Chromium"});
		return complete(%[1]s, await create(data), data.challenge);
	})()`, token).WantMessage(t, "Passkey registration completed")
	wantMethods(t, e, token, "PASSKEY")
}

func TestAPasskeyOfAMistakenChallengeIsRefused(t *testing.T) {
	e, b := startPasskeyPage(t, edgetest.Caddyfile)
	token := e.Token("alice", nil)
	b.ask(`(async () => {
		const data = await begin(%s, {});
		return complete(%[1]s, await create(data), "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
	})()`, token).WantError(t, 400, "setup_verification_failed", "Passkey registration failed")
	b.ask(`(async () => {
		const first = await create(await begin(%s, {}));
		await begin(%[1]s, {});
		return verify(%[1]s, first);
	})()`, token).WantError(t, 400, "setup_verification_failed", "MFA setup verification failed")
	wantMethods(t, e, token)

	// Neither of them has spent the setup that is pending now.
	b.ask(`(async () => verify(%s, await create(await begin(%[1]s, {}))))()`, token).WantMessage(t, "MFA setup verified and enabled")
}

func TestAPasskeyOfAnotherPersonIsRefused(t *testing.T) {
	e, b := startPasskeyPage(t, edgetest.Caddyfile)
	alice, bob := e.Token("alice", nil), e.Token("bob", nil)
	stolen := b.ask(`(async () => {
		window.credential = await create(await begin(%s, {}));
		return verify(%[1]s, window.credential);
	})()`, alice)
	stolen.WantMessage(t, "MFA setup verified and enabled")
	credential := b.ask(`JSON.stringify(window.credential)`).JSON

	// As it is, it answers a challenge that bob never got.
	setup := e.Do("POST", "/mfa/setup", bob, map[string]any{"mfaType": "PASSKEY"}).Data(t)
	replay := map[string]any{"mfaType": "PASSKEY", "credential": credential}
	e.Do("POST", "/mfa/verify-setup", bob, replay).WantError(t, 400, "setup_verification_failed", "MFA setup verification failed")

	// A credential without attestation signs nothing: client data that were
	// made up for bob's challenge fit it. Its ID is alice's all the same.
	clientData, err := json.Marshal(map[string]any{"type": "webauthn.create", "challenge": setup["challenge"], "origin": e.URL, "crossOrigin": false})
	if err != nil {
		t.Fatal(err)
	}
	credential["response"].(map[string]any)["clientDataJSON"] = base64.RawURLEncoding.EncodeToString(clientData)
	e.Do("POST", "/mfa/verify-setup", bob, replay).WantError(t, 400, "credential_taken", "MFA setup verification failed")
	wantMethods(t, e, bob)
	wantMethods(t, e, alice, "PASSKEY")
}
