package caddymodule

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/caddymfa/caddy-mfa/caddymodule/internal/configtest"
	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
	mfatotp "github.com/caddymfa/caddy-mfa/mfa/totp"
)

// operated is a running server whose admin endpoint listens.
type operated struct {
	*server
	admin string // its address
}

// serving is what serves requests now.
func (o *operated) serving() *instance {
	o.Helper()
	running, err := running()
	if err != nil {
		o.Fatal(err)
	}
	return running
}

// operate starts one. Its configuration is as change, if it is not nil,
// leaves it.
func operate(t *testing.T, change func(config map[string]any)) *operated {
	t.Helper()
	s := newServer(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	admin := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	site := "http://" + s.address + " {\n\tbind 127.0.0.1\n\tmfa\n\tmfa_require /private/*\n\trespond upstream\n}\n"
	adapted, _, err := configtest.Adapt(configtest.Configuration(t, s.options("data/mfa.db", "data/mfa.key"), site))
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := json.Unmarshal(adapted, &config); err != nil {
		t.Fatal(err)
	}
	config["admin"] = map[string]any{"listen": admin, "config": map[string]any{"persist": false}}
	if change != nil {
		change(config)
	}
	if adapted, err = json.Marshal(config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // a server that is stopped leaves its admin endpoint open
		s.load([]byte(`{"admin":{"disabled":true,"config":{"persist":false}},"logging":{"logs":{"default":{"writer":{"output":"discard"}}}}}`))
	})
	s.load(adapted)
	return &operated{s, admin}
}

// ask sends a request to the admin endpoint and returns status and body.
func (o *operated) ask(method, uri string, body io.Reader) (int, string) {
	o.Helper()
	r, err := http.NewRequest(method, "http://"+o.admin+uri, body)
	if err != nil {
		o.Fatal(err)
	}
	r.Close = true
	answer, err := http.DefaultClient.Do(r)
	// A load closes the socket of the admin endpoint before, with what has just
	// come to it.
	for retries := 0; err != nil && body == nil && retries < 5; retries++ {
		answer, err = http.DefaultClient.Do(r)
	}
	if err != nil {
		o.Fatal(err)
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		o.Fatal(err)
	}
	return answer.StatusCode, string(content)
}

// want checks the status of the answer to a request and returns its body.
func (o *operated) want(status int, method, uri string, body io.Reader) string {
	o.Helper()
	got, content := o.ask(method, uri, body)
	if got != status {
		o.Errorf("%s %s is answered %d %s, want %d", method, uri, got, content, status)
	}
	return content
}

// enrol gives a person an authenticator app and returns their backup codes.
func (o *operated) enrol(caller mfa.Caller) []string {
	o.Helper()
	setup, err := o.serving().service.Setup(o.Context(), caller, mfa.SetupRequest{Type: factor.TypeTOTP})
	if err != nil {
		o.Fatal(err)
	}
	code, err := totp.GenerateCode(setup.Offer.(mfatotp.Enrolment).Secret, time.Now())
	if err != nil {
		o.Fatal(err)
	}
	if _, err := o.serving().service.VerifySetup(o.Context(), caller, factor.TypeTOTP, factor.Proof{Code: code}); err != nil {
		o.Fatal(err)
	}
	return setup.BackupCodes
}

// lock enters wrong codes for a person until code entry is locked.
func (o *operated) lock(caller mfa.Caller) {
	o.Helper()
	for range mfa.DefaultLockoutAttempts {
		if _, err := o.serving().service.VerifyLogin(o.Context(), caller, factor.TypeTOTP, mfa.LoginProof{Code: "AAAA-BBBB-CCCC"}); err == nil {
			o.Fatal("a wrong code is accepted")
		}
	}
}

// show is the person's record by the admin API.
func (o *operated) show(subject string) adminAccount {
	o.Helper()
	var account adminAccount
	content := o.want(http.StatusOK, http.MethodGet, "/mfa/user?subject="+url.QueryEscape(subject), nil)
	if err := json.Unmarshal([]byte(content), &account); err != nil {
		o.Fatalf("%v: %s", err, content)
	}
	return account
}

// list is what the admin API lists, limit records at a time.
func (o *operated) list(limit int) (subjects []string, pages int) {
	o.Helper()
	for cursor := ""; ; {
		var page adminPage
		content := o.want(http.StatusOK, http.MethodGet, fmt.Sprintf("/mfa/users?limit=%d&cursor=%s", limit, url.QueryEscape(cursor)), nil)
		if err := json.Unmarshal([]byte(content), &page); err != nil {
			o.Fatalf("%v: %s", err, content)
		}
		pages++
		for _, account := range page.Users {
			subjects = append(subjects, account.Subject)
		}
		if cursor = page.Next; cursor == "" {
			return subjects, pages
		}
	}
}

func TestTheAdminAPIListsEveryRecordOncePageByPage(t *testing.T) {
	o := operate(t, nil)
	if content := o.want(http.StatusOK, http.MethodGet, "/mfa/users", nil); content != `{"users":[]}`+"\n" {
		t.Errorf("an empty store is listed as %s", content)
	}
	for i := range 7 {
		caller := mfa.Caller{Subject: fmt.Sprint("person ", i)}
		if _, err := o.serving().service.Setup(t.Context(), caller, mfa.SetupRequest{Type: factor.TypeTOTP}); err != nil {
			t.Fatal(err)
		}
	}
	for limit, wantPages := range map[int]int{1: 8, 3: 3, 7: 2, 1000: 1} {
		subjects, pages := o.list(limit)
		seen := make(map[string]bool)
		for _, subject := range subjects {
			seen[subject] = true
		}
		if len(subjects) != 7 || len(seen) != 7 || pages != wantPages {
			t.Errorf("by %d there are %q on %d pages, want 7 on %d", limit, subjects, pages, wantPages)
		}
	}
	for _, limit := range []string{"0", "-1", "1001", "many", "1e2"} {
		o.want(http.StatusBadRequest, http.MethodGet, "/mfa/users?limit="+limit, nil)
	}
	for _, cursor := range []string{"%ff", strings.Repeat("a", 1000)} {
		o.want(http.StatusBadRequest, http.MethodGet, "/mfa/users?cursor="+cursor, nil)
	}
}

func TestTheAdminAPIShowsARecordWithoutItsSecrets(t *testing.T) {
	o := operate(t, nil)
	caller := mfa.Caller{Subject: "alice", Email: "alice@example.com", Organizations: []string{"acme"}}
	codes := o.enrol(caller)
	account := o.show("alice")
	if !account.Enrolled || account.Email != caller.Email || len(account.Organizations) != 1 || account.Primary != factor.TypeTOTP ||
		len(account.Methods) != 1 || len(account.Credentials) != 1 || account.BackupCodes != len(codes) || account.LockedUntil != nil ||
		len(account.Sessions) != 1 || account.Sessions[0].ACR != mfa.ACRMFA || account.BackupCodesACR != mfa.ACRMFA {
		t.Errorf("the record is %+v", account)
	}
	content := o.want(http.StatusOK, http.MethodGet, "/mfa/user?subject=alice", nil)
	for _, secret := range append(codes, "secret", "hash", "seed") {
		if strings.Contains(strings.ToLower(content), strings.ToLower(secret)) {
			t.Errorf("the record tells %q: %s", secret, content)
		}
	}
}

func TestTheAdminAPIRefusesWhatNamesNobody(t *testing.T) {
	o := operate(t, nil)
	o.enrol(mfa.Caller{Issuer: "https://one.example", Subject: "alice"})
	for _, row := range []struct{ method, path string }{
		{http.MethodGet, "/mfa/user"}, {http.MethodDelete, "/mfa/user"},
		{http.MethodPost, "/mfa/user/reset"}, {http.MethodPost, "/mfa/user/unlock"},
	} {
		o.want(http.StatusBadRequest, row.method, row.path, nil)
		o.want(http.StatusBadRequest, row.method, row.path+"?subject=", nil)
		o.want(http.StatusNotFound, row.method, row.path+"?subject=bob", nil)
		o.want(http.StatusNotFound, row.method, row.path+"?subject=Alice", nil)
		o.want(http.StatusNotFound, row.method, row.path+"?subject=alice&issuer=", nil)
		o.want(http.StatusNotFound, row.method, row.path+"?subject=alice&issuer=https://two.example", nil)
	}
	if !o.show("alice").Enrolled {
		t.Error("alice is no longer enrolled")
	}
}

func TestTheAdminAPINamesTheMethodsOfARoute(t *testing.T) {
	o := operate(t, nil)
	for path, want := range map[string]string{
		"/mfa/users": "GET", "/mfa/user": "DELETE, GET", "/mfa/user/reset": "POST", "/mfa/user/unlock": "POST",
		"/mfa/keys": "GET", "/mfa/keys/rotate": "POST", "/mfa/keys/stage": "POST", "/mfa/keys/promote": "POST",
		"/mfa/keys/reseal": "POST", "/mfa/keys/retire": "POST", "/mfa/backup": "GET", "/mfa/restore": "POST",
	} {
		r, err := http.NewRequest(http.MethodPut, "http://"+o.admin+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusMethodNotAllowed || answer.Header.Get("Allow") != want {
			t.Errorf("PUT %s is answered %d, Allow: %s, want 405 and %s", path, answer.StatusCode, answer.Header.Get("Allow"), want)
		}
	}
}

func TestTheAdminAPIUnlocksResetsAndDeletes(t *testing.T) {
	o := operate(t, nil)
	alice := mfa.Caller{Subject: "alice"}
	codes := o.enrol(alice)
	o.lock(alice)
	if o.show("alice").LockedUntil == nil {
		t.Fatal("code entry is not locked")
	}
	o.want(http.StatusOK, http.MethodPost, "/mfa/user/unlock?subject=alice", nil)
	if until := o.show("alice").LockedUntil; until != nil {
		t.Errorf("code entry is locked until %v after an unlock", until)
	}
	if _, err := o.serving().service.VerifyLogin(t.Context(), alice, factor.TypeTOTP, mfa.LoginProof{Code: codes[0]}); err != nil {
		t.Errorf("after an unlock a right code is refused: %v", err)
	}
	o.want(http.StatusOK, http.MethodPost, "/mfa/user/reset?subject=alice&must_enroll=true", nil)
	account := o.show("alice")
	if account.Enrolled || !account.MustEnroll || account.BackupCodes != 0 || len(account.Credentials) != 0 || len(account.Sessions) != 0 {
		t.Errorf("after a reset the record is %+v", account)
	}
	o.want(http.StatusOK, http.MethodDelete, "/mfa/user?subject=alice", nil)
	o.want(http.StatusNotFound, http.MethodGet, "/mfa/user?subject=alice", nil)
	o.want(http.StatusNotFound, http.MethodDelete, "/mfa/user?subject=alice", nil)
}

func TestASubjectOfTwoIssuersIsActedOnOnlyWithItsIssuer(t *testing.T) {
	o := operate(t, nil)
	one, two := mfa.Caller{Issuer: "https://one.example", Subject: "alice"}, mfa.Caller{Issuer: "https://two.example", Subject: "alice"}
	o.enrol(one)
	o.enrol(two)
	for _, row := range []struct{ method, path string }{
		{http.MethodGet, "/mfa/user"}, {http.MethodDelete, "/mfa/user"},
		{http.MethodPost, "/mfa/user/reset"}, {http.MethodPost, "/mfa/user/unlock"},
	} {
		content := o.want(http.StatusConflict, row.method, row.path+"?subject=alice", nil)
		if !strings.Contains(content, one.Issuer) || !strings.Contains(content, two.Issuer) {
			t.Errorf("%s does not name the issuers", content)
		}
	}
	o.want(http.StatusOK, http.MethodDelete, "/mfa/user?subject=alice&issuer="+url.QueryEscape(one.Issuer), nil)
	if account := o.show("alice"); account.Issuer != two.Issuer || !account.Enrolled {
		t.Errorf("the record that is left is %+v, want that of %s", account, two.Issuer)
	}
}

func TestARevokingRotationVoidsAssertions(t *testing.T) {
	o := operate(t, nil)
	alice := mfa.Caller{Subject: "alice"}
	codes := o.enrol(alice)
	grant, err := o.serving().service.VerifyLogin(t.Context(), alice, factor.TypeTOTP, mfa.LoginProof{Code: codes[0]})
	if err != nil {
		t.Fatal(err)
	}
	o.want(http.StatusOK, http.MethodPost, "/mfa/keys/rotate", nil)
	if _, err := o.serving().service.OpenAssertion(t.Context(), grant.Assertion); err != nil {
		t.Errorf("after a rotation the assertion gives %v", err)
	}
	o.want(http.StatusOK, http.MethodPost, "/mfa/keys/rotate?revoke=true", nil)
	if _, err := o.serving().service.OpenAssertion(t.Context(), grant.Assertion); err == nil {
		t.Error("an assertion outlives the revocation of its key")
	}
}

func TestABackupIsRestoredIntoTheLiveStore(t *testing.T) {
	o := operate(t, nil)
	codes := o.enrol(mfa.Caller{Subject: "alice"})
	backup := o.want(http.StatusOK, http.MethodGet, "/mfa/backup", nil)
	o.want(http.StatusOK, http.MethodDelete, "/mfa/user?subject=alice", nil)
	o.enrol(mfa.Caller{Subject: "bob"})

	content := o.want(http.StatusConflict, http.MethodPost, "/mfa/restore", strings.NewReader(backup))
	if !strings.Contains(content, "in use") {
		t.Errorf("the refusal is %s", content)
	}
	if !o.show("bob").Enrolled {
		t.Error("a refused restore took bob away")
	}
	o.want(http.StatusOK, http.MethodPost, "/mfa/restore?overwrite=true", strings.NewReader(backup))
	o.want(http.StatusNotFound, http.MethodGet, "/mfa/user?subject=bob", nil)
	if account := o.show("alice"); !account.Enrolled || account.BackupCodes != len(codes) {
		t.Errorf("the restored record is %+v", account)
	}
	if _, err := o.serving().service.VerifyLogin(t.Context(), mfa.Caller{Subject: "alice"}, factor.TypeTOTP, mfa.LoginProof{Code: codes[0]}); err != nil {
		t.Errorf("the restored backup code is refused: %v", err)
	}
}

func TestADamagedBackupIsRefusedAndNothingIsLost(t *testing.T) {
	o := operate(t, nil)
	o.enrol(mfa.Caller{Subject: "alice"})
	backup := []byte(o.want(http.StatusOK, http.MethodGet, "/mfa/backup", nil))
	changed := bytes.Clone(backup)
	changed[len(changed)/2] ^= 1
	for name, damaged := range map[string][]byte{
		"empty": {}, "cut": backup[:len(backup)-1], "changed": changed, "longer": append(bytes.Clone(backup), 0), "something else": []byte("hello"),
	} {
		t.Run(name, func(t *testing.T) {
			status, content := o.ask(http.MethodPost, "/mfa/restore?overwrite=true", bytes.NewReader(damaged))
			if status != http.StatusUnprocessableEntity {
				t.Errorf("it is answered %d %s, want 422", status, content)
			}
		})
	}
	if !o.show("alice").Enrolled {
		t.Error("alice is no longer enrolled")
	}
}

// unhurried is a response whose time limit can be lifted.
type unhurried struct {
	*httptest.ResponseRecorder
	lifted bool
}

func (u *unhurried) SetReadDeadline(t time.Time) error {
	u.lifted = t.IsZero()
	return nil
}

func TestBackupsAndRestoresMayTakeLongerThanTheAdminEndpointAllows(t *testing.T) {
	o := operate(t, nil)
	backup := &unhurried{ResponseRecorder: httptest.NewRecorder()}
	if err := o.serving().adminBackup(backup, httptest.NewRequest(http.MethodGet, "/mfa/backup", nil)); err != nil || !backup.lifted {
		t.Errorf("a backup is limited (%v)", err)
	}
	restore := &unhurried{ResponseRecorder: httptest.NewRecorder()}
	r := httptest.NewRequest(http.MethodPost, "/mfa/restore?overwrite=true", backup.Body)
	if err := o.serving().adminRestore(restore, r); err != nil || !restore.lifted {
		t.Errorf("a restore is limited (%v)", err)
	}
}

func TestTheAdminAPITellsThatThereIsNoApp(t *testing.T) {
	o := operate(t, nil)
	o.load(fmt.Appendf(nil, `{"admin":{"listen":%q,"config":{"persist":false}},"logging":{"logs":{"default":{"writer":{"output":"discard"}}}}}`, o.admin))
	o.want(http.StatusNotFound, http.MethodGet, "/mfa/users", nil)
}
