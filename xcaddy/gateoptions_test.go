package main_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

// commandToken has the command sign a token, as an operator does.
func commandToken(t *testing.T, e *edgetest.Edge, subject string, claims ...string) string {
	t.Helper()
	args := []string{"mfa", "token", "--subject", subject}
	for _, claim := range claims {
		args = append(args, "--claim", claim)
	}
	token, stderr, err := e.Command(args...)
	if err != nil {
		t.Fatalf("%v: %s", err, stderr)
	}
	return strings.TrimSpace(token)
}

// lastRequest is what the upstream got last.
func lastRequest(t *testing.T, e *edgetest.Edge) *http.Request {
	t.Helper()
	got := e.Upstream.Requests()
	if len(got) == 0 {
		t.Fatal("the upstream got nothing")
	}
	return got[len(got)-1]
}

func wantStatus(t *testing.T, what string, a edgetest.Answer, status int) {
	t.Helper()
	if a.Status != status {
		t.Errorf("%s: %d %s, want %d", what, a.Status, a.Body, status)
	}
}

func TestANamedMatcherSaysWhatTheGateGuards(t *testing.T) {
	e := edgetest.New(t)
	e.Start(gated("@changes method POST PUT DELETE\n\tmfa_require @changes"))
	alice := enrolled(t, e, "alice", nil)
	wantStatus(t, "GET", e.Do("GET", "/admin/x", alice.token, nil), 200)
	for _, method := range []string{"POST", "PUT", "DELETE"} {
		wantClosed(t, e, func() edgetest.Answer { return e.Do(method, "/anything", alice.token, nil) })
		wantStatus(t, method, e.Do(method, "/anything", alice.pair.access, nil), 200)
	}
}

func TestWhereEnrollmentIsOptionalOnlyWhoHasAFactorMustShowIt(t *testing.T) {
	e := edgetest.New(t)
	e.Start(gated(adminGate+" {\n\t\tenrollment optional\n\t}", "admin_roles OWNER"))
	member := map[string]any{"organization": "acme"}
	bob := e.Token("bob", member)
	wantStatus(t, "without a factor", e.Do("GET", "/admin/x", bob, nil), 200)
	if h := lastRequest(t, e).Header; h.Get("X-MFA-User") != "bob" || h["X-Mfa-Methods"] != nil || h["X-Mfa-Acr"] != nil {
		t.Errorf("the upstream gets %v", h)
	}
	e.Do("GET", "/admin/x", "", nil).WantError(t, 401, "authentication_required", "")
	alice := enrolled(t, e, "alice", map[string]any{"organization": "acme", "roles": []string{"OWNER"}})
	alice.wantClosedBefore()
	alice.pair.wantOpens(t, e, "alice", alice.token, "GOOGLE_AUTH", "mfa")

	// Her organization can demand one, at once.
	enforce := func(on bool) edgetest.Answer {
		return e.Do("POST", "/mfa/organization/enforce", alice.pair.access, map[string]any{"enforced": on})
	}
	enforce(true).WantMessage(t, "MFA enforcement enabled for organization")
	wantClosed(t, e, func() edgetest.Answer { return e.Do("GET", "/admin/x", bob, nil) })
	wantClosed(t, e, func() edgetest.Answer { return e.Do("GET", "/admin/x", e.Token("bob", nil), nil) }) // he was seen in it
	wantStatus(t, "a stranger", e.Do("GET", "/admin/x", e.Token("carol", nil), nil), 200)
	enforce(false).WantMessage(t, "MFA enforcement disabled for organization")
	wantStatus(t, "no longer enforced", e.Do("GET", "/admin/x", bob, nil), 200)
}

func TestAnExceptedClaimPassesAndAnotherDoesNot(t *testing.T) {
	e := edgetest.New(t)
	e.Start(gated(adminGate + " {\n\t\texcept claim client_id batch backup\n\t\texcept claim realm.kind machine\n\t}"))
	for claim, status := range map[string]int{
		"client_id=batch":                  200,
		"client_id=backup":                 200,
		`client_id=["web","batch"]`:        200,
		`realm={"kind":"machine"}`:         200,
		"client_id=Batch":                  401,
		"client_id=batch2":                 401,
		`client_id={"batch":true}`:         401,
		"client=batch":                     401,
		`realm={"kind":{"machine":"yes"}}`: 401,
		"realm.other=machine":              401,
	} {
		wantStatus(t, claim, e.Do("GET", "/admin/x", commandToken(t, e, "job", claim), nil), status)
	}
	// It needs no second factor, but a token that is good.
	token := commandToken(t, e, "job", "client_id=batch")
	wantStatus(t, "a forged token", e.Do("GET", "/admin/x", token[:len(token)-6], nil), 401)
	if h := lastRequest(t, e).Header; h.Get("X-MFA-User") != "job" || h["X-Mfa-Methods"] != nil {
		t.Errorf("the upstream gets %v", h)
	}
}

func TestAFactorThatTheLoginAskedForOpensGatesAndNothingElse(t *testing.T) {
	e := edgetest.New(t)
	config := gated("mfa_require /admin/*\n\tmfa_require /recent/* {\n\t\tmax_age 15m\n\t}\n" +
		"\tmfa_require /passkeys/* {\n\t\tmethods PASSKEY\n\t}\n\tmfa_require /strong/* {\n\t\tacr phr\n\t}")
	e.Start(strings.Replace(config, "bearer dev", "bearer {\n dev\n trust_amr mfa hwk\n}", 1))
	ago := func(d time.Duration) string { return fmt.Sprintf("auth_time=%d", time.Now().Add(-d).Unix()) }
	object := func(method string, d time.Duration) string {
		return fmt.Sprintf(`{"method":%q,"timestamp":%d}`, method, time.Now().Add(-d).Unix())
	}
	for _, test := range []struct {
		path   string
		claims []string
		status int
	}{
		{"/admin/x", []string{`amr=["pwd","mfa"]`}, 200},
		{"/admin/x", []string{`amr=["hwk"]`}, 200},
		{"/admin/x", []string{`amr=["pwd"]`}, 401},
		{"/admin/x", []string{`amr=[]`}, 401},
		{"/admin/x", nil, 401},
		{"/recent/x", []string{`amr=["mfa"]`, ago(time.Minute)}, 200},
		{"/recent/x", []string{`amr=["mfa"]`, ago(20 * time.Minute)}, 401},
		{"/recent/x", []string{`amr=["mfa"]`}, 401}, // when, is not said
		{"/admin/x", []string{`amr=mfa`}, 200},
		{"/admin/x", []string{"amr=[" + object("mfa", time.Hour) + "]"}, 200},
		{"/admin/x", []string{`amr={"mfa":true}`}, 401},
		{"/admin/x", []string{`amr=["mfa",1]`}, 401},
		{"/recent/x", []string{"amr=[" + object("mfa", time.Minute) + "]"}, 200},
		{"/recent/x", []string{"amr=[" + object("mfa", time.Hour) + "," + object("pwd", time.Second) + "]"}, 401}, // the password is recent alone
		{"/recent/x", []string{`amr=["mfa"]`, "auth_time=" + time.Now().Add(-time.Minute).UTC().Format(time.RFC3339)}, 200},
		{"/passkeys/x", []string{`amr=["mfa"]`, ago(0)}, 401},
		{"/strong/x", []string{`amr=["hwk"]`, ago(0)}, 401},
	} {
		token := commandToken(t, e, "dora", test.claims...)
		wantStatus(t, fmt.Sprint(test.path, test.claims), e.Do("GET", test.path, token, nil), test.status)
	}
	if h := lastRequest(t, e).Header; h.Get("X-MFA-Methods") != "LOGIN" || h.Get("X-MFA-User") != "dora" {
		t.Errorf("the upstream gets %v", h)
	}
	// What changes factors asks for one of ours all the same.
	enrolled(t, e, "dora", nil)
	trusted := commandToken(t, e, "dora", `amr=["mfa"]`, ago(0))
	wantStepUp(t, e.Do("POST", "/mfa/backup-codes", trusted, nil))
	wantStepUp(t, e.Do("POST", "/mfa/setup", trusted, map[string]any{"mfaType": "GOOGLE_AUTH"}))
}

func TestAFactorThatWasShownTooLongAgoMustBeShownAgain(t *testing.T) {
	e := edgetest.New(t)
	e.Start(gated("mfa_require /admin/* {\n\t\tmax_age 3s\n\t}\n\tmfa_require /slow/*"))
	alice := enrolled(t, e, "alice", nil)
	p := pairOf(t, alice.showCode(alice.code(0)))
	wantStatus(t, "at once", e.Do("GET", "/admin/x", p.access, nil), 200)
	var refused edgetest.Answer
	edgetest.Eventually(t, 15*time.Second, "the gate has closed", func() bool {
		refused = e.Do("GET", "/admin/x", p.access, nil)
		return refused.Status != 200
	})
	refused.WantError(t, 401, "insufficient_user_authentication", "")
	if challenge := refused.Header.Get("WWW-Authenticate"); !strings.Contains(challenge, `max_age="3"`) {
		t.Errorf("the challenge is %q", challenge)
	}
	wantStatus(t, "where no age is asked", e.Do("GET", "/slow/x", p.access, nil), 200)
	next := pairOf(t, alice.refresh(p))
	wantClosed(t, e, func() edgetest.Answer { return e.Do("GET", "/admin/x", next.access, nil) }) // no person was there
	again := pairOf(t, alice.showCode(alice.code(1)))
	wantStatus(t, "shown again", e.Do("GET", "/admin/x", again.access, nil), 200)
}

// It runs a Caddyfile of docs/gate.md.
func TestAnAuthorizationServiceBehindTheGateIsToldWhatItHasFoundOut(t *testing.T) {
	asked := make(chan http.Header, 10)
	service := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.Header.Clone() }))
	t.Cleanup(service.Close)
	site := readDocument(t, "docs/gate.md").take("caddyfile", "route {\n")
	site = strings.Replace(site, "127.0.0.1:9091", service.Listener.Addr().String(), 1)
	e := edgetest.New(t)
	e.Start(strings.Replace(edgetest.Caddyfile, "\tmfa\n\treverse_proxy", site+"\treverse_proxy", 1))
	alice := enrolled(t, e, "alice", nil)

	r := e.Request("GET", "/admin/x", alice.pair.access, nil)
	r.Header.Set("X-MFA-User", "root")
	wantStatus(t, "with a factor", e.Send(r), 200)
	if told := <-asked; told.Get("Authorization") != "Bearer "+alice.token || told.Get("X-MFA-User") != "alice" || told.Get("X-MFA-ACR") != "mfa" {
		t.Errorf("the service is told %v", told)
	}
	wantStatus(t, "without", e.Do("GET", "/admin/x", alice.token, nil), 401)
	if len(asked) > 0 {
		t.Errorf("the service is asked for what the gate has refused: %v", <-asked)
	}
}
