package main_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

// attempt is a request that somebody makes with another's access token.
type attempt struct {
	route  string // "METHOD /path", as the API's document has it
	body   map[string]any
	status int
	code   string
}

// attempts are what there is to try. proof is what the thief can show of their
// own, refresh their own refresh token.
func attempts(proof map[string]any, refresh string) []attempt {
	const stepUp = "insufficient_user_authentication"
	all := []attempt{
		{"POST /reset", map[string]any{"enable": true}, 401, stepUp},
		{"POST /reset", nil, 401, stepUp},
		{"POST /reset", map[string]any{"resetUserId": "thief"}, 403, "insufficient_scope"},
		{"POST /organization/enforce", map[string]any{"enforced": false}, 400, "no_organization"},
		{"POST /backup-codes", nil, 401, stepUp},
		{"PATCH /credentials/{id}", map[string]any{"name": "thief"}, 401, stepUp},
		{"DELETE /credentials/{id}", nil, 401, stepUp},
		{"POST /refresh", map[string]any{"refreshToken": refresh}, 401, "mfa_session_expired"},
		{"POST /passkey/complete-registration", map[string]any{"credential": map[string]any{}}, 401, stepUp},
		{"POST /passkey/auth-options", nil, 400, "mfa_not_enrolled"},
	}
	for _, kind := range []string{"GOOGLE_AUTH", "MAGIC_LINK", "PASSKEY"} {
		named := map[string]any{"mfaType": kind}
		all = append(all,
			attempt{"POST /setup", map[string]any{"mfaType": kind, "email": "thief@example.org"}, 401, stepUp},
			attempt{"POST /enable", named, 401, stepUp},
			attempt{"POST /disable", named, 401, stepUp},
			attempt{"POST /primary", named, 401, stepUp},
		)
	}
	for _, shown := range []map[string]any{
		{"mfaType": "GOOGLE_AUTH", "code": proof["code"]}, {"mfaType": "GOOGLE_AUTH", "code": proof["backup"]},
		{"mfaType": "PASSKEY", "code": proof["backup"]},
		{"mfaType": "MAGIC_LINK", "token": proof["token"]}, {"mfaType": "MAGIC_LINK", "sessionId": proof["sessionId"]},
	} {
		all = append(all, attempt{"POST /verify-login", shown, 401, ""})
		if shown["sessionId"] == nil && shown["mfaType"] != "PASSKEY" {
			all = append(all, attempt{"POST /verify-setup", shown, 401, stepUp})
		}
	}
	return all
}

// harmless are the routes that tell a thief nothing that helps, or cost the
// owner mail at most.
var harmless = []string{
	"GET /status", "GET /methods", "GET /credentials", "POST /sign-out", "POST /magic-link/send", "GET /jwks.json", "GET /openapi.json", "GET /",
	"GET /magic-link", "POST /magic-link/activate", "POST /magic-link/inspect", "POST /magic-link/deny",
}

func TestAThiefOfAnAccessTokenChangesNothingOnAnyRoute(t *testing.T) {
	e := edgetest.New(t)
	e.Start(gated(adminGate))
	thief := enrolled(t, e, "thief", nil)
	setupLink(e, thief.pair.access, "thief@example.org").Data(t)
	activate(e, lastToken(t, outbox(t, e))).WantMessage(t, "Magic link MFA activated successfully")

	// What the thief began before the owner had a factor is void.
	alice := e.Token("alice", nil)
	setupLink(e, alice, "thief@example.org").Data(t)
	begun := lastToken(t, outbox(t, e))
	owner := enrolled(t, e, "alice", nil)
	activate(e, begun).WantError(t, 400, "invalid_magic_link", "")
	mailed := e.Token("bob", nil)
	setupLink(e, mailed, "bob@example.org").Data(t)
	activate(e, lastToken(t, outbox(t, e))).WantMessage(t, "Magic link MFA activated successfully")

	for name, token := range map[string]string{"an app": owner.token, "a mailed link": mailed} {
		credentials := func() string { return e.Do("GET", "/mfa/credentials", token, nil).Body }
		status := func() string { return e.Do("GET", "/mfa/status", token, nil).Body }
		id := e.Do("GET", "/mfa/credentials", token, nil).JSON["data"].([]any)[0].(map[string]any)["id"].(string)
		before := credentials() + status()
		sent := e.Do("POST", "/mfa/magic-link/send", thief.token, nil).Data(t)
		tried := map[string]bool{}
		for i, a := range attempts(map[string]any{
			"code": thief.code(0), "backup": thief.backup[0], "token": lastToken(t, outbox(t, e)), "sessionId": sent["sessionId"],
		}, thief.pair.refresh) {
			tried[a.route] = true
			method, path, _ := strings.Cut(a.route, " ")
			var body any // none, where a.body is nil
			if a.body != nil {
				body = a.body
			}
			r := e.Request(method, "/mfa"+strings.Replace(path, "{id}", id, 1), token, body)
			if i%2 == 1 { // the thief's own second factor beside it
				r.Header.Set("Cookie", "__Host-mfa="+thief.pair.cookie)
			}
			answer := e.Send(r)
			// Wrong codes lock code entry in the end.
			locked := a.route == "POST /verify-login" && answer.Status == 429
			if !locked && (answer.Status != a.status || a.code != "" && answer.JSON["code"] != a.code) || answer.JSON["fullAccessToken"] != nil {
				t.Errorf("against %s: %s %v: %d %s", name, a.route, a.body, answer.Status, answer.Body)
			}
		}
		for path, item := range e.Do("GET", "/mfa/openapi.json", "", nil).JSON["paths"].(map[string]any) {
			for method := range item.(map[string]any) {
				route := strings.ToUpper(method) + " " + strings.TrimPrefix(path, "/mfa")
				operation := slices.Contains([]string{"get", "post", "patch", "delete"}, method) // else what they share
				if operation && !tried[route] && !slices.Contains(harmless, route) && !strings.HasPrefix(route, "GET /assets/") {
					t.Errorf("%s is neither tried nor harmless", route)
				}
			}
		}
		if after := credentials() + status(); after != before {
			t.Errorf("against %s: it was\n%s\nand is\n%s", name, before, after)
		}
		wantClosed(t, e, func() edgetest.Answer { return e.Do("GET", "/admin/x", token, nil) })
	}
	owner.pair.wantOpens(t, e, "alice", owner.token, "GOOGLE_AUTH", "mfa")
}
