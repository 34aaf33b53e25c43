package main_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
	"github.com/caddymfa/caddy-mfa/mfa/seal"
)

// mfaCommand runs a command that must succeed, and returns what it prints.
func mfaCommand(t *testing.T, e *edgetest.Edge, args ...string) string {
	t.Helper()
	stdout, stderr, err := e.Command(append([]string{"mfa"}, args...)...)
	if err != nil {
		t.Fatalf("%q: %v: %s", args, err, stderr)
	}
	return stdout
}

// keysCommand asks the running server.
func keysCommand(t *testing.T, e *edgetest.Edge, args ...string) string {
	t.Helper()
	return mfaCommand(t, e, append(append([]string{"keys"}, args...), "--address", e.Admin())...)
}

// keyList is what `keys list --json` prints.
type keyList struct {
	Signing []struct {
		ID    string
		Signs bool
	}
	Sealing []struct {
		ID          string
		Kind        string
		InUse       bool `json:"in_use"`
		Documents   int
		TokensUntil *string `json:"tokens_until"`
		InFile      bool    `json:"in_file"`
	}
}

func listKeys(t *testing.T, e *edgetest.Edge) (list keyList, inUse string) {
	t.Helper()
	if err := json.Unmarshal([]byte(keysCommand(t, e, "list", "--json")), &list); err != nil {
		t.Fatal(err)
	}
	for _, k := range list.Sealing {
		if k.Kind == "sealing" && k.InUse {
			inUse = k.ID
		}
	}
	return list, inUse
}

func TestTheSealingKeyIsRotatedWhileServing(t *testing.T) {
	e := edgetest.New(t)
	e.Start(gated(adminGate))
	keyFile, database := filepath.Join(e.Dir, "data", "mfa.key"), filepath.Join(e.Dir, "data", "mfa.db")
	alice, bob := enrolled(t, e, "alice", nil), enrolled(t, e, "bob", nil)
	carol := e.Token("carol", nil)
	pending := setupTOTP(t, e, carol)["secret"].(string)
	stolen, err := os.ReadFile(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	_, old := listKeys(t, e)

	tr := startTraffic(t, e)
	var result struct {
		Key                 string
		InUse               bool `json:"in_use"`
		Documents, Resealed int
	}
	if err := json.Unmarshal([]byte(keysCommand(t, e, "rotate", "--sealing", "--json")), &result); err != nil {
		t.Fatal(err)
	}
	if !result.InUse || result.Key == old || result.Resealed < 4 || result.Documents < result.Resealed {
		t.Errorf("rotated: %+v", result)
	}
	tr.Flow(50)
	tr.Stop()

	works := func(alicesCode, bobsCode string) {
		t.Helper()
		alice.pair.wantOpens(t, e, "alice", alice.token, "GOOGLE_AUTH", "mfa")
		alice.showCode(alicesCode).WantMessage(t, "MFA verification successful")
		bob.showCode(bobsCode).WantMessage(t, "MFA verification successful")
		bob.pair = pairOf(t, bob.refresh(bob.pair))
	}
	works(alice.code(0), bob.backup[0])
	verifyTOTP(e, carol, edgetest.Code(t, pending)).WantMessage(t, "MFA setup verified and enabled")

	list, inUse := listKeys(t, e)
	if inUse != result.Key {
		t.Errorf("in use is %s", inUse)
	}
	for _, k := range list.Sealing {
		if k.ID == old && (k.Documents != 0 || !k.InFile || k.TokensUntil == nil) {
			t.Errorf("the old key: %+v", k)
		}
	}
	table := keysCommand(t, e, "list")
	for _, want := range []string{"signs", "in use", "not in use", "people's backup codes", "assertions until"} {
		if !strings.Contains(table, want) {
			t.Errorf("the table does not say %q:\n%s", want, table)
		}
	}

	// The old key is needed for a while: by assertions and by backup codes.
	if _, stderr, err := e.Command("mfa", "keys", "retire", "--yes", "--address", e.Admin()); err == nil || !strings.Contains(stderr, "still needed") {
		t.Errorf("retired at once: %v: %s", err, stderr)
	}
	for _, all := range []string{"--all=false", "--all"} {
		if _, stderr, err := e.Command("mfa", "keys", "retire", all, "--address", e.Admin()); err == nil || !strings.Contains(stderr, "--yes") {
			t.Errorf("retired with %s without a question: %v: %s", all, err, stderr)
		}
	}
	e.Kill()
	e.Start("")
	works(alice.code(1), bob.backup[1])

	keysCommand(t, e, "retire", "--all", "--yes")
	bob.showCode(bob.backup[2]).WantError(t, 401, "mfa_verification_failed", "MFA verification failed")
	if left := e.Do("GET", "/mfa/status", bob.token, nil).Data(t)["backupCodesRemaining"]; left != float64(0) {
		t.Errorf("%v backup codes are told of that work no more", left)
	}
	pairOf(t, bob.showCode(bob.code(0))).wantOpens(t, e, "bob", bob.token, "GOOGLE_AUTH", "mfa")
	if out := keysCommand(t, e, "retire", "--yes"); !strings.Contains(out, "no key but those in use") {
		t.Errorf("retired again: %s", out)
	}
	e.Stop()

	// What the thief of the old key file holds is worth nothing now.
	content, err := os.ReadFile(database)
	if err != nil {
		t.Fatal(err)
	}
	e.Write("data/mfa.key", string(stolen))
	log := e.StartRefused(gated(adminGate))
	for _, want := range []string{"key_file", "another key file", result.Key, old} {
		if !strings.Contains(log, want) {
			t.Errorf("the log does not say %q:\n%s", want, log)
		}
	}
	if after, err := os.ReadFile(database); err != nil || !bytes.Equal(after, content) {
		t.Errorf("the database was touched (%v)", err)
	}
}

func TestAKeyFileThatTheServerMayNotWriteIsChangedByTheOperator(t *testing.T) {
	e := edgetest.New(t)
	e.Start(edgetest.Caddyfile)
	alice := enrolled(t, e, "alice", nil)
	_, old := listKeys(t, e)
	path := filepath.Join(e.Dir, "data", "mfa.key")
	keys, err := seal.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	first := keys.InUse()
	var added struct{ Sealing, Hashing string }
	if err := json.Unmarshal([]byte(mfaCommand(t, e, "keys", "add", path, "--json")), &added); err != nil {
		t.Fatal(err)
	}
	e.AwaitLog("read the key file again")
	if _, inUse := listKeys(t, e); inUse != old {
		t.Errorf("a key that was only added is in use: %s", inUse)
	}
	if out := keysCommand(t, e, "rotate", "--sealing"); !strings.Contains(out, "key "+added.Sealing+" is in use") {
		t.Errorf("the key that was added is not used: %s", out)
	}
	alice.showCode(alice.code(0)).WantMessage(t, "MFA verification successful")

	// A key that the store needs is not lost by removing it from the file of
	// a running server, but a start without it is refused.
	out, stderr, err := e.Command("mfa", "keys", "remove", path, added.Sealing, "--yes")
	if err != nil {
		t.Fatal(out, stderr)
	}
	e.AwaitLog("going on with the keys that it held before")
	alice.showCode(alice.backup[0]).WantMessage(t, "MFA verification successful")
	if _, stderr, err := e.Command("mfa", "keys", "remove", path, first.Sealing.String(), "--yes"); err == nil || !strings.Contains(stderr, "the last") {
		t.Errorf("the last key is removed: %v %s", err, stderr)
	}
	if _, stderr, err := e.Command("mfa", "keys", "remove", path, "zz", "--yes"); err == nil || !strings.Contains(stderr, "eight hexadecimal digits") {
		t.Errorf("a bad ID: %v %s", err, stderr)
	}
}

func TestASigningKeyIsListedFromItsPublicationOn(t *testing.T) {
	e := edgetest.New(t)
	e.Start(edgetest.Caddyfile)
	if list, _ := listKeys(t, e); len(list.Signing) != 1 || !list.Signing[0].Signs {
		t.Errorf("at first: %+v", list.Signing)
	}
	keysCommand(t, e, "rotate")
	list, _ := listKeys(t, e)
	if len(list.Signing) != 2 || !list.Signing[0].Signs || list.Signing[1].Signs {
		t.Errorf("after a rotation: %+v", list.Signing)
	}
	var rotated keyList
	if err := json.Unmarshal([]byte(keysCommand(t, e, "rotate", "--revoke", "--yes", "--json")), &rotated); err != nil {
		t.Fatal(err)
	}
	if len(rotated.Signing) != 1 || !rotated.Signing[0].Signs || rotated.Signing[0].ID == list.Signing[0].ID {
		t.Errorf("after a revocation: %+v", rotated.Signing)
	}
	if _, stderr, err := e.Command("mfa", "keys", "rotate", "--revoke", "--sealing", "--address", e.Admin()); err == nil || !strings.Contains(stderr, "sealing") {
		t.Errorf("both at once: %v %s", err, stderr)
	}
}

func TestARotationThatAKillBreaksOffIsFinishedByRunningItAgain(t *testing.T) {
	for _, step := range []string{"stage", "promote", "reseal"} {
		t.Run(step, func(t *testing.T) {
			e := edgetest.New(t)
			e.Start(edgetest.Caddyfile)
			alice := enrolled(t, e, "alice", nil)
			for _, name := range []string{"bob", "carol", "dave"} {
				enrol(t, e, e.Token(name, nil))
			}
			_, old := listKeys(t, e)
			broken := make(chan struct{})
			go func() {
				defer close(broken)
				// How it ends depends on how far it got.
				_, _, _ = e.Command("mfa", "keys", "rotate", "--sealing", "--address", e.Admin())
			}()
			e.AwaitLog("/mfa/keys/" + step)
			e.Kill()
			<-broken
			e.Start("")
			alice.showCode(alice.code(0)).WantMessage(t, "MFA verification successful")
			keysCommand(t, e, "rotate", "--sealing")
			list, inUse := listKeys(t, e)
			if inUse == old {
				t.Error("the old key is in use")
			}
			for _, k := range list.Sealing {
				if k.Kind == "sealing" && (k.Documents > 0) != k.InUse {
					t.Errorf("the keys are %+v", list.Sealing)
				}
			}
			alice.showCode(alice.backup[0]).WantMessage(t, "MFA verification successful")
			alice.pair = pairOf(t, alice.e.Do("POST", "/mfa/refresh", alice.token, map[string]any{"refreshToken": alice.pair.refresh}))
		})
	}
}
