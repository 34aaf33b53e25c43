package api_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/bearer"
)

const useApp = `{"mfaType":"GOOGLE_AUTH"}`

func TestMethodsAreDisabledEnabledAndChosen(t *testing.T) {
	e := newEdge(t)
	p := e.enrolled(alice)
	p.enrolLink()
	p.keep(p.verify(p.nextCode()))
	e.want(e.post("/mfa/primary", p.full, `{"mfaType":"MAGIC_LINK"}`), 200, "Primary MFA method updated")
	if got := e.need(e.send("GET", "/mfa/status", p.full, "")).data()["primaryMethod"]; got != "MAGIC_LINK" {
		t.Errorf("primaryMethod %v", got)
	}
	e.want(e.post("/mfa/disable", p.full, useApp), 200, "MFA method disabled")
	e.want(e.send("GET", "/mfa/status", p.full, ""), 401, "invalid_token") // all sessions ended
	e.need(e.post("/mfa/magic-link/send", p.token, ""))
	p.keep(e.post("/mfa/verify-login", p.token, fmt.Sprintf(`{"mfaType":"MAGIC_LINK","token":%q}`, e.mails.Token(t))))
	e.want(e.post("/mfa/enable", p.full, useApp), 200, "MFA method enabled")

	for _, path := range []string{"/mfa/enable", "/mfa/disable", "/mfa/primary"} {
		p.keep(p.verify(p.nextCode()))
		e.want(e.post(path, p.full, `{"mfaType":"SMS"}`), 400, "Invalid MFA type specified")
		e.want(e.post(path, p.full, `{"mfaType":"PASSKEY"}`), 400, "mfa_not_enrolled")
		e.want(e.post(path, p.full, ""), 400, "invalid_request")
		e.want(e.post(path, p.token, useApp), 401, "insufficient_user_authentication")
	}
}

func TestEveryChangeNeedsARecentFactor(t *testing.T) {
	e := newEdge(t)
	p := e.enrolled(alice)
	id := e.need(e.send("GET", "/mfa/credentials", p.token, "")).json["data"].([]any)[0].(map[string]any)["id"].(string)
	e.clock.Advance(15*time.Minute + time.Second)
	for _, row := range [][3]string{
		{"POST", "/mfa/setup", useApp},
		{"POST", "/mfa/verify-setup", `{"mfaType":"GOOGLE_AUTH","code":"000000"}`},
		{"POST", "/mfa/enable", useApp},
		{"POST", "/mfa/disable", useApp},
		{"POST", "/mfa/primary", useApp},
		{"POST", "/mfa/reset", ""},
		{"POST", "/mfa/backup-codes", ""},
		{"PATCH", "/mfa/credentials/" + id, `{"name":"x"}`},
		{"DELETE", "/mfa/credentials/" + id, ""},
	} {
		for name, token := range map[string]string{"old": p.full, "none": p.token} {
			a := e.want(e.send(row[0], row[1], token, row[2]), 401, "insufficient_user_authentication")
			want := `Bearer realm="mfa", error="insufficient_user_authentication", error_description="A recent second factor is required", acr_values="mfa", max_age="900"`
			if got := a.Header().Get("WWW-Authenticate"); got != want {
				t.Errorf("%s, %s: challenge %q", row[1], name, got)
			}
		}
	}
	for _, path := range []string{"/mfa/passkey/auth-options", "/mfa/magic-link/send", "/mfa/sign-out", "/mfa/refresh"} {
		if a := e.post(path, p.token, ""); a.text("code") == "insufficient_user_authentication" {
			t.Errorf("%s: %s", path, a.Body)
		}
	}
}

// member makes the identity of somebody in organizations.
func member(subject, role string, organizations ...string) bearer.Identity {
	return bearer.Identity{Subject: subject, Roles: []string{role}, Organizations: organizations}
}

func TestResettingAnotherTakesARoleAFactorAndTheirOrganization(t *testing.T) {
	e := newEdge(t)
	bob := e.enrolled(member("bob", "MEMBER", "acme"))
	stranger := e.enrolled(member("eve", "OWNER", "rival"))
	reset := `{"resetUserId":"bob"}`

	denied := e.want(e.post("/mfa/reset", e.enrolled(member("carol", "MEMBER", "acme")).full, reset), 403,
		"Insufficient permissions. OWNER or ADMINISTRATOR role required to reset another user's MFA.")
	if denied.text("code") != "insufficient_scope" || denied.Header().Get("WWW-Authenticate") != `Bearer realm="mfa", error="insufficient_scope"` {
		t.Errorf("%s %v", denied.Body, denied.Header())
	}
	e.want(e.post("/mfa/reset", stranger.full, reset), 404, "User not found")
	e.want(e.post("/mfa/reset", e.enrolled(member("dan", "OWNER", "acme", "rival")).full, reset), 404, "User not found")

	admin := e.signIn(member("ann", "ADMINISTRATOR", "acme"))
	e.want(e.post("/mfa/reset", admin.token, reset), 401, "insufficient_user_authentication") // must enrol first
	admin.enrolApp()
	e.want(e.post("/mfa/reset", admin.full, `{"resetUserId":"nobody"}`), 404, "user_not_found")
	e.want(e.post("/mfa/reset", admin.full, `{"resetUserId":"bob","enable":true}`), 200, "MFA reset successfully")
	e.want(e.send("GET", "/mfa/status", bob.full, ""), 401, "invalid_token")
	data := e.need(e.send("GET", "/mfa/status", bob.token, "")).data()
	if data["isEnabled"] != false || data["isRequired"] != true || data["isEnforced"] != false {
		t.Errorf("status after the reset: %v", data)
	}
}

func TestResettingOneselfTakesNoRole(t *testing.T) {
	e := newEdge(t)
	for _, body := range []string{"", `{}`, `{"resetUserId":"alice"}`} {
		e.want(e.post("/mfa/reset", e.enrolled(alice).full, body), 200, "MFA reset successfully")
	}
}

func TestEnforcementAsksForAnOrganizationThenARoleThenAFactor(t *testing.T) {
	e := newEdge(t)
	on := `{"enforced":true}`
	for _, organizations := range [][]string{nil, {"acme", "rival"}} {
		e.want(e.post("/mfa/organization/enforce", e.logins.signIn(member("ann", "MEMBER", organizations...)), on), 400,
			"User not associated with an organization")
	}
	e.want(e.post("/mfa/organization/enforce", e.logins.signIn(member("bob", "MEMBER", "acme")), on), 403,
		"Insufficient permissions. OWNER or ADMINISTRATOR role required to enforce MFA for an organization.")
	admin := e.signIn(member("ann", "OWNER", "acme"))
	e.want(e.post("/mfa/organization/enforce", admin.token, on), 401, "insufficient_user_authentication")
	admin.enrolApp()
	e.want(e.post("/mfa/organization/enforce", admin.full, `{}`), 400, "invalid_request")
	e.want(e.post("/mfa/organization/enforce", admin.full, `{"enforced":null}`), 400, "invalid_request")
	e.want(e.post("/mfa/organization/enforce", admin.full, on), 200, "MFA enforcement enabled for organization")

	bob := e.signIn(member("bob", "MEMBER", "acme"))
	if data := e.need(e.send("GET", "/mfa/status", bob.token, "")).data(); data["isEnforced"] != true || data["isRequired"] != true {
		t.Errorf("status of a member: %v", data)
	}
	bob.enrolApp()
	e.want(e.post("/mfa/disable", bob.full, useApp), 403, "Cannot disable MFA when enforced by organization")
	e.want(e.post("/mfa/organization/enforce", admin.full, `{"enforced":false}`), 200, "MFA enforcement disabled for organization")
	e.want(e.post("/mfa/disable", bob.full, useApp), 200, "MFA method disabled")
}

func TestAnAdminByMailLinkAloneActsOnNobody(t *testing.T) {
	e := newEdge(t)
	admin := e.signIn(member("ann", "OWNER", "acme"))
	admin.enrolLink()
	e.want(e.post("/mfa/organization/enforce", admin.full, `{"enforced":true}`), 401, "insufficient_user_authentication")
	e.want(e.post("/mfa/backup-codes", admin.full, ""), 200, "") // but on herself
}

func TestFreshBackupCodesVoidTheOld(t *testing.T) {
	e := newEdge(t)
	e.want(e.post("/mfa/backup-codes", e.signIn(alice).token, ""), 400, "mfa_not_enrolled")
	p := e.enrolled(alice)
	for _, body := range []string{"", "{}", `{"unknown":1}`} {
		codes := e.need(e.post("/mfa/backup-codes", p.full, body)).data()["backupCodes"].([]any)
		if len(codes) != 10 {
			t.Errorf("%d codes", len(codes))
		}
		e.want(p.verify(p.codes[0]), 401, "mfa_verification_failed")
		p.codes[0] = codes[0].(string)
	}
	e.want(p.verify(p.codes[0]), 200, "")
	e.want(e.post("/mfa/backup-codes", p.full, "[]"), 400, "invalid_request")
}

func TestCredentialsAreListedRenamedAndRemoved(t *testing.T) {
	e := newEdge(t)
	p := e.signIn(alice)
	if got := e.send("GET", "/mfa/credentials", p.token, "").Body.String(); got != `{"success":true,"data":[]}`+"\n" {
		t.Errorf("of who has none: %s", got)
	}
	p.enrolApp()
	p.enrolPasskey()
	list := e.need(e.send("GET", "/mfa/credentials", p.full, "")).json["data"].([]any)
	if len(list) != 2 {
		t.Fatalf("listed %v", list)
	}
	app, key := list[0].(map[string]any), list[1].(map[string]any)
	if app["type"] != "GOOGLE_AUTH" || app["synced"] != nil || key["type"] != "PASSKEY" || key["name"] != "Key" || key["synced"] != false || key["isEnabled"] != true {
		t.Errorf("listed %v", list)
	}
	one := "/mfa/credentials/" + key["id"].(string)
	e.want(e.send("PATCH", one, p.full, `{"name":"Blue key"}`), 200, "Credential renamed")
	for _, body := range []string{`{}`, `{"name":""}`, `{"name":" x"}`, `{"name":"a\u0000"}`, `{"name":"` + strings.Repeat("x", 65) + `"}`, ""} {
		e.want(e.send("PATCH", one, p.full, body), 400, "invalid_request")
	}
	for _, path := range []string{"/mfa/credentials/x", "/mfa/credentials/" + strings.ToUpper(key["id"].(string)), one + "x"} {
		e.want(e.send("PATCH", path, p.full, `{"name":"x"}`), 404, "credential_not_found")
		e.want(e.send("DELETE", path, p.full, ""), 404, "Credential not found")
	}
	other := e.enrolled(bearer.Identity{Subject: "bob"})
	e.want(e.send("DELETE", one, other.full, ""), 404, "Credential not found")
	list = e.need(e.send("GET", "/mfa/credentials", p.full, "")).json["data"].([]any)
	if name := list[1].(map[string]any)["name"]; name != "Blue key" {
		t.Errorf("the name is %v", name)
	}
	byPasskey := p.full
	p.keep(p.verify(p.nextCode()))
	a := e.want(e.send("DELETE", one, p.full, ""), 401, "insufficient_user_authentication")
	if got := a.Header().Get("WWW-Authenticate"); !strings.Contains(got, `error_description="A recent passkey is required", acr_values="phr", max_age="900"`) {
		t.Errorf("challenge %q", got)
	}
	e.want(e.send("DELETE", "//MFA/./credentials/"+key["id"].(string)+"/", byPasskey, ""), 200, "Credential removed")
	if list = e.need(e.send("GET", "/mfa/credentials", p.full, "")).json["data"].([]any); len(list) != 1 {
		t.Errorf("left: %v", list)
	}
}
