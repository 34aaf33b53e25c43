package main_test

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

func TestReloadsUnderTrafficFailNoRequest(t *testing.T) {
	e := edgetest.New(t)
	e.Start(edgetest.Caddyfile)
	tr := startTraffic(t, e)
	for _, config := range []string{
		edgetest.Caddyfile,
		caddyfile("backup_codes 3"),
		strings.Replace(edgetest.Caddyfile, "issuer Acme", "issuer Apex", 1),
		caddyfile("store bolt {", "path "+filepath.Join(e.Dir, "data", "..", "data", "mfa.db"), "}"), // the same, in other words
		caddyfile("cors_origins https://app.example.com", "totp {", "skew 2", "}"),
		edgetest.Caddyfile,
	} {
		if err := e.Reload(config); err != nil {
			t.Fatal(err)
		}
		tr.Flow(50)
	}
	tr.Stop()
}

func TestAReloadTakesEffectAndKeepsPeopleAndPendingSetups(t *testing.T) {
	e := edgetest.New(t)
	e.Start(edgetest.Caddyfile)
	alice, bob := e.Token("alice", nil), e.Token("bob", nil)
	enrol(t, e, alice)
	secret := setupTOTP(t, e, bob)["secret"].(string)
	if err := e.Reload(strings.Replace(caddyfile("backup_codes 3", "prefix /auth/mfa"), "issuer Acme", "issuer Apex", 1)); err != nil {
		t.Fatal(err)
	}
	e.Prefix = "/auth/mfa"
	if answer := e.Do("GET", "/mfa/status", alice, nil); answer.Body != "upstream: GET /mfa/status" {
		t.Errorf("the old prefix answers %d %s", answer.Status, answer.Body)
	}
	if status := e.Do("GET", "/auth/mfa/status", alice, nil).Data(t); status["isEnabled"] != true {
		t.Errorf("alice's status is %v", status)
	}
	e.Do("POST", "/auth/mfa/verify-setup", bob, map[string]any{"mfaType": "GOOGLE_AUTH", "code": edgetest.Code(t, secret)}).
		WantMessage(t, "MFA setup verified and enabled")
	setup := e.Do("POST", "/auth/mfa/setup", e.Token("carol", nil), map[string]any{"mfaType": "GOOGLE_AUTH"}).Data(t)
	if codes := setup["backupCodes"].([]any); len(codes) != 3 || !strings.HasPrefix(setup["otpauthUrl"].(string), "otpauth://totp/Apex:carol?") {
		t.Errorf("carol's setup is %v", setup)
	}
}

func TestAReloadOntoAnotherDatabaseAndBackLosesNobody(t *testing.T) {
	e := edgetest.New(t)
	e.Start(edgetest.Caddyfile)
	token := e.Token("alice", nil)
	enrol(t, e, token)
	if err := e.Reload(caddyfile("store bolt {", "path ./data/other.db", "}")); err != nil {
		t.Fatal(err)
	}
	wantMethods(t, e, token)
	setupTOTP(t, e, token)
	// The first database was let go of: another process may have it now.
	other := edgetest.New(t)
	other.Dir = e.Dir
	other.Start(edgetest.Caddyfile)
	wantMethods(t, other, token, "GOOGLE_AUTH")
	other.Stop()
	key, err := os.ReadFile(filepath.Join(e.Dir, "data", "mfa.key"))
	if err != nil {
		t.Fatal(err)
	}
	// A key file may move, as long as its keys stay.
	e.Write("data/moved.key", string(key))
	if err := e.Reload(caddyfile("key_file ./data/moved.key")); err != nil {
		t.Fatal(err)
	}
	wantMethods(t, e, token, "GOOGLE_AUTH")
	wantStepUp(t, e.Do("POST", "/mfa/setup", token, map[string]any{"mfaType": "GOOGLE_AUTH"}))
}

// refusals are configurations that a running edge must not take over.
func refusals(t *testing.T, e *edgetest.Edge) map[string]struct{ config, want string } {
	t.Helper()
	foreign := foreignKeyFile(t)
	busy := edgetest.New(t)
	busy.Start(edgetest.Caddyfile)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() })
	return map[string]struct{ config, want string }{
		"an unknown option":           {caddyfile("isuer Apex"), "isuer"},
		"an option out of its bounds": {caddyfile("backup_codes 999"), "backup_codes"},
		"an unset secret":             {strings.Replace(edgetest.Caddyfile, "bearer dev", "bearer {\n hmac_secret {env.MFA_TEST_UNSET}\n}", 1), "hmac_secret"},
		"another key file":            {caddyfile("key_file " + foreign), "another key file"},
		"a missing key file":          {caddyfile("key_file " + filepath.Join(e.Dir, "nowhere.key")), "missing"},
		"bearer dev beyond loopback":  {strings.Replace(edgetest.Caddyfile, "bind 127.0.0.1", "bind 0.0.0.0", 1), "bind 127.0.0.1"},
		"a store in use elsewhere":    {caddyfile("store bolt {", "path "+filepath.Join(busy.Dir, "data", "mfa.db"), "}"), "in use by another process"},
		"a site whose port is taken":  {edgetest.Caddyfile + "\nhttp://" + taken.Addr().String() + " {\n bind 127.0.0.1\n}\n", "address already in use"},
		"a store that cannot be":      {caddyfile("store bolt {", "path ./Caddyfile", "}"), "not a caddy-mfa database"},
	}
}

// foreignKeyFile makes a key file of another installation.
func foreignKeyFile(t *testing.T) string {
	t.Helper()
	other := edgetest.New(t)
	other.Start(edgetest.Caddyfile)
	other.Stop()
	return filepath.Join(other.Dir, "data", "mfa.key")
}

func TestARejectedReloadUnderTrafficFailsNoRequestAndLeavesTheOldConfigurationAtWork(t *testing.T) {
	e := edgetest.New(t)
	e.Start(edgetest.Caddyfile)
	alice, bob := e.Token("alice", nil), e.Token("bob", nil)
	enrol(t, e, alice)
	for name, refusal := range refusals(t, e) {
		t.Run(name, func(t *testing.T) {
			tr := startTraffic(t, e)
			for range 5 { // apps start in random order
				err := e.Reload(refusal.config)
				if err == nil {
					t.Fatal("the configuration is taken over")
				}
				if !strings.Contains(err.Error(), refusal.want) {
					t.Errorf("the error does not say %q: %v", refusal.want, err)
				}
				tr.Flow(20)
			}
			tr.Stop()
			wantMethods(t, e, alice, "GOOGLE_AUTH")
			secret := setupTOTP(t, e, bob)["secret"].(string)
			verifyTOTP(e, bob, wrongCode(t, secret)).WantError(t, 400, "", "MFA setup verification failed")
		})
	}
	if err := e.Reload(edgetest.Caddyfile); err != nil {
		t.Error(err)
	}
	enrol(t, e, bob)
	e.Kill()
	e.Start("")
	wantMethods(t, e, alice, "GOOGLE_AUTH")
	wantMethods(t, e, bob, "GOOGLE_AUTH")
}

func TestValidateWorksBesideARunningServer(t *testing.T) {
	e := edgetest.New(t)
	e.Start(edgetest.Caddyfile)
	token := e.Token("alice", nil)
	if stdout, stderr, err := e.Command("validate"); err != nil {
		t.Errorf("%v\n%s%s", err, stdout, stderr)
	}
	enrol(t, e, token)
	e.Write("other/Caddyfile", caddyfile("backup_codes 999"))
	if _, stderr, err := e.Command("validate", "--config", "other/Caddyfile"); err == nil || !strings.Contains(stderr, "backup_codes") {
		t.Errorf("validate says of a bad option: %v\n%s", err, stderr)
	}
}

func TestValidateAndAdaptMakeNoFile(t *testing.T) {
	e := edgetest.New(t)
	e.Write("Caddyfile", edgetest.Caddyfile)
	for _, command := range []string{"validate", "adapt"} {
		if stdout, stderr, err := e.Command(command); err != nil {
			t.Fatalf("%s: %v\n%s%s", command, err, stdout, stderr)
		}
	}
	entries, err := os.ReadDir(e.Dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		if entry.Name() != "home" { // what Caddy itself keeps
			names = append(names, entry.Name())
		}
	}
	if !slices.Equal(names, []string{"Caddyfile"}) {
		t.Errorf("the folder holds %v", names)
	}
}
