package main_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/descope/virtualwebauthn"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
	"github.com/caddymfa/caddy-mfa/internal/passkeytest"
)

// device holds one passkey, without a browser.
type device struct {
	party         virtualwebauthn.RelyingParty
	authenticator virtualwebauthn.Authenticator
	credential    virtualwebauthn.Credential
}

// setupPasskey begins the setup of a new device's passkey and returns what
// confirms it.
func setupPasskey(t *testing.T, e *edgetest.Edge, access string) (*device, map[string]any) {
	t.Helper()
	data := e.Do("POST", "/mfa/setup", access, map[string]any{"mfaType": "PASSKEY"}).Data(t)
	encoded, err := json.Marshal(data["publicKey"])
	if err != nil {
		t.Fatal(err)
	}
	options, err := virtualwebauthn.ParseAttestationOptions(string(encoded))
	if err != nil {
		t.Fatal(err)
	}
	d := &device{
		party:         virtualwebauthn.RelyingParty{ID: "localhost", Name: "Acme", Origin: e.URL},
		authenticator: virtualwebauthn.NewAuthenticatorWithOptions(virtualwebauthn.AuthenticatorOptions{UserHandle: []byte(options.UserID)}),
		credential:    passkeytest.ES256(t),
	}
	created := virtualwebauthn.CreateAttestationResponse(d.party, d.authenticator, d.credential, *options)
	return d, map[string]any{"mfaType": "PASSKEY", "credential": json.RawMessage(created)}
}

// addPasskey enrols a passkey with an access token or an assertion.
func addPasskey(t *testing.T, e *edgetest.Edge, access string) pair {
	t.Helper()
	_, proof := setupPasskey(t, e, access)
	return pairOf(t, e.Do("POST", "/mfa/verify-setup", access, proof))
}

// acr is the level in an assertion.
func (p pair) acr(t *testing.T) string {
	t.Helper()
	claims := struct {
		ACR string `json:"acr"`
	}{}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(p.access, ".")[1])
	if err == nil {
		err = json.Unmarshal(payload, &claims)
	}
	if err != nil {
		t.Fatal(err)
	}
	return claims.ACR
}

// codeOf is one of the backup codes in an answer.
func codeOf(t *testing.T, data map[string]any, i int) map[string]any {
	t.Helper()
	codes, _ := data["backupCodes"].([]any)
	if len(codes) <= i {
		t.Fatalf("no backup codes in %v", data)
	}
	return map[string]any{"mfaType": "GOOGLE_AUTH", "code": codes[i]}
}

// wantLevel checks that a is a challenge that asks for a level.
func wantLevel(t *testing.T, what string, a edgetest.Answer, acr string) {
	t.Helper()
	challenge := a.Header.Get("WWW-Authenticate")
	if a.Status != 401 || a.JSON["code"] != "insufficient_user_authentication" || !strings.Contains(challenge, fmt.Sprintf(`acr_values=%q, max_age="900"`, acr)) {
		t.Errorf("%s: got %d %s, challenge %s, want one for %s", what, a.Status, a.Body, challenge, acr)
	}
}

func TestNoProofIsWorthMoreThanWhatItWasBoughtWith(t *testing.T) {
	e := edgetest.New(t)
	e.Start(gated(adminGate))
	latest := func() string { return lastToken(t, outbox(t, e)) }

	t.Run("codes that a thief was shown are void once the owner opens the link", func(t *testing.T) {
		token := e.Token("dora", nil)
		shown := setupLink(e, token, "dora@example.org").Data(t)
		activate(e, latest()).WantMessage(t, "Magic link MFA activated successfully")
		e.Do("POST", "/mfa/verify-login", token, codeOf(t, shown, 0)).WantError(t, 401, "mfa_verification_failed", "MFA verification failed")
		status := e.Do("GET", "/mfa/status", token, nil).Data(t)
		if status["backupCodesRemaining"] != 0.0 || status["backupCodesAcr"] != nil || status["isEnabled"] != true {
			t.Errorf("status is %v", status)
		}
	})

	t.Run("codes that a mail bought are worth a mail, and act on nobody", func(t *testing.T) {
		enrolled(t, e, "bob", map[string]any{"organization": "acme"})
		token := e.Token("root", map[string]any{"organization": "acme", "roles": []string{"OWNER"}})
		came := setupLink(e, token, "root@example.org").Data(t)
		mail := pairOf(t, e.Do("POST", "/mfa/verify-setup", token, map[string]any{"mfaType": "MAGIC_LINK", "token": latest()}))
		if byCode := pairOf(t, e.Do("POST", "/mfa/verify-login", token, codeOf(t, came, 0))); byCode.acr(t) != "mail" {
			t.Errorf("a code that came with a mail is of level %s", byCode.acr(t))
		}
		made := e.Do("POST", "/mfa/backup-codes", mail.access, nil).Data(t)
		byCode := pairOf(t, e.Do("POST", "/mfa/verify-login", token, codeOf(t, made, 0)))
		if byCode.acr(t) != "mail" {
			t.Errorf("a code that a mail made is of level %s", byCode.acr(t))
		}
		byCode.wantOpens(t, e, "root", token, "BACKUP_CODE", "mail")
		wantLevel(t, "reset", e.Do("POST", "/mfa/reset", byCode.access, map[string]any{"resetUserId": "bob"}), "mfa")
		wantLevel(t, "enforce", e.Do("POST", "/mfa/organization/enforce", byCode.access, map[string]any{"enforced": true}), "mfa")
		refreshed := pairOf(t, e.Do("POST", "/mfa/refresh", token, map[string]any{"refreshToken": byCode.refresh}))
		if refreshed.acr(t) != "mail" {
			t.Errorf("refreshed, it is of level %s", refreshed.acr(t))
		}
	})

	t.Run("a phished code and the access token change nothing of who has a passkey", func(t *testing.T) {
		alice := enrolled(t, e, "alice", nil)
		owner := addPasskey(t, e, alice.pair.access)
		list := e.Do("GET", "/mfa/credentials", alice.token, nil).JSON["data"].([]any)
		key := list[1].(map[string]any)["id"].(string)
		for name, code := range map[string]string{"a code of the app": alice.code(0), "a backup code": alice.backup[0]} {
			thief := pairOf(t, alice.showCode(code))
			if thief.acr(t) != "mfa" {
				t.Errorf("%s: level %s", name, thief.acr(t))
			}
			for _, row := range []struct {
				method, path string
				body         any
			}{
				{"POST", "/mfa/setup", map[string]any{"mfaType": "PASSKEY"}},
				{"POST", "/mfa/setup", map[string]any{"mfaType": "GOOGLE_AUTH"}},
				{"POST", "/mfa/setup", map[string]any{"mfaType": "MAGIC_LINK", "email": "thief@example.net"}},
				{"POST", "/mfa/verify-setup", map[string]any{"mfaType": "GOOGLE_AUTH", "code": "000000"}},
				{"POST", "/mfa/passkey/complete-registration", map[string]any{"credential": map[string]any{}}},
				{"POST", "/mfa/enable", map[string]any{"mfaType": "GOOGLE_AUTH"}},
				{"POST", "/mfa/disable", map[string]any{"mfaType": "PASSKEY"}},
				{"POST", "/mfa/primary", map[string]any{"mfaType": "GOOGLE_AUTH"}},
				{"POST", "/mfa/backup-codes", nil},
				{"POST", "/mfa/reset", nil},
				{"PATCH", "/mfa/credentials/" + key, map[string]any{"name": "x"}},
				{"DELETE", "/mfa/credentials/" + key, nil},
			} {
				wantLevel(t, name+": "+row.path, e.Do(row.method, row.path, thief.access, row.body), "phr")
			}
		}
		addPasskey(t, e, owner.access) // the owner goes on
		e.Do("DELETE", "/mfa/credentials/"+key, owner.access, nil).WantMessage(t, "Credential removed")
	})

	t.Run("what was mailed to an address that has been replaced is dead", func(t *testing.T) {
		token := e.Token("mia", nil)
		setupLink(e, token, "old@example.org").Data(t)
		owner := pairOf(t, e.Do("POST", "/mfa/verify-setup", token, map[string]any{"mfaType": "MAGIC_LINK", "token": latest()}))
		sent := e.Do("POST", "/mfa/magic-link/send", token, nil).Data(t)
		old := latest()
		setupLink(e, owner.access, "new@example.org").Data(t)
		activate(e, latest()).WantMessage(t, "Magic link MFA activated successfully")
		e.Do("POST", "/mfa/magic-link/activate", "", map[string]any{"token": old, "matchNumber": sent["matchNumber"]}).
			WantError(t, 400, "invalid_magic_link", "Invalid or expired token")
		for _, proof := range []map[string]any{{"token": old}, {"sessionId": sent["sessionId"]}} {
			proof["mfaType"] = "MAGIC_LINK"
			e.Do("POST", "/mfa/verify-login", token, proof).WantError(t, 401, "mfa_verification_failed", "MFA verification failed")
		}
	})

	t.Run("nobody gets rid of the last factor where the organization demands one", func(t *testing.T) {
		member := map[string]any{"organization": "strict"}
		boss := enrolled(t, e, "boss", map[string]any{"organization": "strict", "roles": []string{"OWNER"}})
		e.Do("POST", "/mfa/organization/enforce", boss.pair.access, map[string]any{"enforced": true}).WantMessage(t, "MFA enforcement enabled for organization")
		for _, p := range []*person{boss, enrolled(t, e, "zoe", member)} {
			id := e.Do("GET", "/mfa/credentials", p.token, nil).JSON["data"].([]any)[0].(map[string]any)["id"].(string)
			for what, answer := range map[string]edgetest.Answer{
				"reset":         e.Do("POST", "/mfa/reset", p.pair.access, nil),
				"reset, enable": e.Do("POST", "/mfa/reset", p.pair.access, map[string]any{"enable": true}),
				"reset by name": e.Do("POST", "/mfa/reset", p.pair.access, map[string]any{"resetUserId": p.subject}),
				"disable":       e.Do("POST", "/mfa/disable", p.pair.access, map[string]any{"mfaType": "GOOGLE_AUTH"}),
				"removal":       e.Do("DELETE", "/mfa/credentials/"+id, p.pair.access, nil),
			} {
				if answer.Status != 403 || answer.JSON["error"] != "Cannot disable MFA when enforced by organization" {
					t.Errorf("%s, %s: %d %s", p.subject, what, answer.Status, answer.Body)
				}
			}
			wantMethods(t, e, p.token, "GOOGLE_AUTH")
		}
		e.Do("POST", "/mfa/reset", boss.pair.access, map[string]any{"resetUserId": "zoe"}).WantMessage(t, "MFA reset successfully")
	})

	t.Run("a sign-out counts what it ends", func(t *testing.T) {
		p := enrolled(t, e, "sam", nil)
		other := pairOf(t, p.showCode(p.code(0)))
		ended := func(access string, body any) (float64, string) {
			answer := e.Do("POST", "/mfa/sign-out", access, body)
			return answer.Data(t)["ended"].(float64), answer.JSON["message"].(string)
		}
		if n, said := ended(p.token, nil); n != 0 || !strings.HasPrefix(said, "No session was ended") {
			t.Errorf("with the access token alone: %v, %q", n, said)
		}
		p.pair.wantOpens(t, e, "sam", p.token, "GOOGLE_AUTH", "mfa")
		if n, said := ended(other.access, nil); n != 1 || said != "Signed out" {
			t.Errorf("with a session: %v, %q", n, said)
		}
		pairOf(t, p.show(map[string]any{"mfaType": "GOOGLE_AUTH", "code": p.backup[0]}))
		if n, said := ended(p.token, map[string]any{"everywhere": true}); n != 2 || said != "Signed out" {
			t.Errorf("everywhere: %v, %q", n, said)
		}
	})
}

// TestWhatASessionBeganEndsWithIt: a thief who got hold of a session once has
// begun the setup of a factor of their own, and waits.
func TestWhatASessionBeganEndsWithIt(t *testing.T) {
	e := edgetest.New(t)
	e.Start(gated(adminGate))
	for name, end := range map[string]func(t *testing.T, owner *person, thief pair){
		"sign-out of that session": func(t *testing.T, _ *person, thief pair) {
			e.Do("POST", "/mfa/sign-out", thief.access, nil).WantMessage(t, "Signed out")
		},
		"sign-out everywhere": func(t *testing.T, owner *person, _ pair) {
			e.Do("POST", "/mfa/sign-out", owner.token, map[string]any{"everywhere": true}).WantMessage(t, "Signed out")
		},
		"disable": func(t *testing.T, owner *person, _ pair) {
			e.Do("POST", "/mfa/disable", owner.pair.access, map[string]any{"mfaType": "GOOGLE_AUTH"}).WantMessage(t, "MFA method disabled")
		},
		"reset": func(t *testing.T, owner *person, _ pair) {
			e.Do("POST", "/mfa/reset", owner.pair.access, nil).WantMessage(t, "MFA reset successfully")
		},
		"reset by the operator": func(t *testing.T, owner *person, _ pair) {
			if _, stderr, err := e.Command("mfa", "users", "reset", owner.subject, "--yes", "--address", e.Admin()); err != nil {
				t.Fatalf("%v: %s", err, stderr)
			}
		},
		"removal of a credential": func(t *testing.T, owner *person, _ pair) {
			id := e.Do("GET", "/mfa/credentials", owner.token, nil).JSON["data"].([]any)[0].(map[string]any)["id"].(string)
			e.Do("DELETE", "/mfa/credentials/"+id, owner.pair.access, nil).WantMessage(t, "Credential removed")
		},
		"a refresh token that is used twice": func(t *testing.T, owner *person, _ pair) {
			first, second := pairOf(t, owner.refresh(owner.pair)), pairOf(t, owner.refresh(owner.pair))
			pairOf(t, owner.refresh(first))
			owner.refresh(second).WantError(t, 401, "mfa_session_expired", "MFA session expired")
		},
	} {
		t.Run(name, func(t *testing.T) {
			subject := "owner-" + strings.ReplaceAll(name, " ", "-")
			owner := enrolled(t, e, subject, nil)
			thief := pairOf(t, owner.showCode(owner.code(0)))
			setupLink(e, thief.access, subject+"@example.net").Data(t)
			begun := lastToken(t, outbox(t, e))
			end(t, owner, thief)
			activate(e, begun).WantError(t, 400, "invalid_magic_link", "Invalid or expired token")
			status := e.Do("GET", "/mfa/status", owner.token, nil).Data(t)
			if slices.Contains(status["enabledMethods"].([]any), any("MAGIC_LINK")) {
				t.Errorf("status is %v", status)
			}
		})
	}
}
