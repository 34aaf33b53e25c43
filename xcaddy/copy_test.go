package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
	"github.com/caddymfa/caddy-mfa/mfa/store"
	"github.com/caddymfa/caddy-mfa/mfa/store/bolt"
)

// copied is what `copy --json` prints.
type copied struct {
	Documents, Written, Removed, Passes int
	SHA256                              string
	SourceClosed                        bool `json:"source_closed"`
	Kinds                               []struct {
		Name      string
		Documents int
	}
}

func copyJSON(t *testing.T, e *edgetest.Edge, args ...string) (c copied) {
	t.Helper()
	if err := json.Unmarshal([]byte(mfaCommand(t, e, append([]string{"copy", "--json"}, args...)...)), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// wantRefused runs a command that must fail with an error that says all of
// want.
func wantRefused(t *testing.T, e *edgetest.Edge, args []string, want ...string) {
	t.Helper()
	_, stderr, err := e.Command(append([]string{"mfa"}, args...)...)
	if err == nil {
		t.Errorf("%q succeeds", args)
	}
	for _, text := range want {
		if !strings.Contains(stderr, text) {
			t.Errorf("%q does not say %q: %s", args, text, stderr)
		}
	}
}

// movedTo is edgetest.Caddyfile with its database elsewhere.
func movedTo(path string) string { return caddyfile("store bolt {", "path "+path, "}") }

func TestPeopleGoAlongWhenTheirStoreIsCopied(t *testing.T) {
	e := edgetest.New(t)
	e.Start(edgetest.Caddyfile)
	alice := enrolled(t, e, "alice", map[string]any{"organization": "acme"})
	enrol(t, e, e.Token("bob", nil))
	from, to := filepath.Join(e.Dir, "data", "mfa.db"), filepath.Join(e.Dir, "new", "mfa.db")
	e.Write("new.Caddyfile", movedTo(to))

	// A database that a server has open is refused, and a backup of it taken.
	wantRefused(t, e, []string{"copy", "--from", "Caddyfile", "--to", "new.Caddyfile"}, "in use by another process", "--from backup:<file>")
	if _, err := os.Stat(to); err == nil {
		t.Error("the destination was made nevertheless")
	}
	mfaCommand(t, e, "backup", "saved", "--address", e.Admin())
	saved, err := os.ReadFile(filepath.Join(e.Dir, "saved"))
	if err != nil {
		t.Fatal(err)
	}
	first := copyJSON(t, e, "--from", "backup:saved", "--to", "new.Caddyfile")
	if after, err := os.ReadFile(filepath.Join(e.Dir, "saved")); err != nil || !bytes.Equal(after, saved) {
		t.Errorf("the backup was changed (%v)", err)
	}
	if first.Documents < 3 || first.Documents != first.Written || len(first.SHA256) != 64 || first.SourceClosed {
		t.Errorf("copied: %+v", first)
	}

	// Later, from the store itself, over what was copied before.
	enrol(t, e, e.Token("carol", nil))
	e.Stop()
	wantRefused(t, e, []string{"copy", "--from", "Caddyfile", "--to", "new.Caddyfile"}, "holds documents", "--overwrite")
	wantRefused(t, e, []string{"copy", "--from", "Caddyfile", "--to", "new.Caddyfile", "--overwrite"}, "--yes")
	table := mfaCommand(t, e, "copy", "--from", "Caddyfile", "--to", "new.Caddyfile", "--overwrite", "--yes", "--close")
	for _, want := range []string{"KIND", "users", "3", "all", "SHA-256", "The source is closed"} {
		if !strings.Contains(table, want) {
			t.Errorf("the table does not say %q:\n%s", want, table)
		}
	}
	log := e.StartRefused(edgetest.Caddyfile)
	if !strings.Contains(log, "closed by a copy to another store") {
		t.Errorf("the closed source is served:\n%s", log)
	}
	e.Start(movedTo(to))
	alice.showCode(alice.backup[0]).WantMessage(t, "MFA verification successful")
	alice.pair = pairOf(t, alice.refresh(alice.pair))
	wantMethods(t, e, e.Token("carol", nil), "GOOGLE_AUTH")
	e.Stop()

	// And back, in other words.
	wantRefused(t, e, []string{"copy", "--reopen", "--from", "bolt:" + from}, "--yes")
	if out := mfaCommand(t, e, "copy", "--reopen", "--from", "bolt:"+from, "--yes"); !strings.Contains(out, "reopened") {
		t.Error(out)
	}
	e.Env = append(e.Env, "OLD="+from)
	back := copyJSON(t, e, "--from", "bolt:new/mfa.db", "--to", `{"engine":"bolt","path":"{env.OLD}"}`, "--overwrite", "--yes")
	if back.Written == 0 || back.Written == back.Documents {
		t.Errorf("copied back: %+v", back)
	}
	e.Start(edgetest.Caddyfile)
	alice.showCode(alice.backup[0]).WantError(t, 401, "mfa_verification_failed", "MFA verification failed")
	alice.showCode(alice.backup[1]).WantMessage(t, "MFA verification successful")
}

func TestHalfACopyIsNotServed(t *testing.T) {
	e := edgetest.New(t)
	e.Start(edgetest.Caddyfile)
	alice := enrolled(t, e, "alice", nil)
	e.Stop()
	// As a kill in the middle leaves it: marked, and without a part.
	path := filepath.Join(e.Dir, "half.db")
	half, err := bolt.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	err = half.Update(t.Context(), func(tx store.Tx) error {
		return errors.Join(tx.Put("seal/copying", []byte("x")), tx.Put("user/left-over", []byte("x")))
	}, "seal/copying", "user/left-over")
	if err := errors.Join(err, half.Close()); err != nil {
		t.Fatal(err)
	}
	if log := e.StartRefused(movedTo(path)); !strings.Contains(log, "unfinished copy") {
		t.Errorf("half a copy is served:\n%s", log)
	}
	wantRefused(t, e, []string{"copy", "--from", "bolt:half.db", "--to", "bolt:third.db"}, "unfinished copy")
	if c := copyJSON(t, e, "--from", "bolt:data/mfa.db", "--to", "bolt:half.db"); c.Removed != 1 {
		t.Errorf("copied: %+v", c)
	}
	e.Start(movedTo(path))
	alice.showCode(alice.backup[0]).WantMessage(t, "MFA verification successful")
}

func TestACopyThatMakesNoSenseIsRefusedAndMakesNothing(t *testing.T) {
	e := edgetest.New(t)
	e.Start(edgetest.Caddyfile)
	enrol(t, e, e.Token("alice", nil))
	e.Stop()
	foreign, err := os.ReadFile(foreignKeyFile(t))
	if err != nil {
		t.Fatal(err)
	}
	e.Write("other/mfa.key", string(foreign))
	e.Write("foreign.Caddyfile", caddyfile("store bolt {", "path other/mfa.db", "}", "key_file other/mfa.key"))
	e.Write("empty.Caddyfile", "http://localhost:1 {\n}\n")
	e.Write("text", "not a backup")
	for want, args := range map[string][]string{
		"--from is required":       {"--to", "bolt:x.db"},
		"at least one of":          {"--from", "bolt:data/mfa.db"},
		"it is the same store":     {"--from", "Caddyfile", "--to", "bolt:./data/../data/mfa.db"},
		"there is no database":     {"--from", "bolt:none.db", "--to", "bolt:x.db"},
		"no configuration file":    {"--from", "none.Caddyfile", "--to", "bolt:x.db"},
		"no global option mfa":     {"--from", "empty.Caddyfile", "--to", "bolt:x.db"},
		"the path is missing":      {"--from", "bolt:", "--to", "bolt:x.db"},
		"only be a source":         {"--from", "Caddyfile", "--to", "backup:x"},
		"not an intact snapshot":   {"--from", "backup:text", "--to", "bolt:x.db"},
		"this build has no engine": {"--from", "Caddyfile", "--to", `{"engine":"nosuch"}`},
		"another key file":         {"--from", "Caddyfile", "--to", "foreign.Caddyfile"},
		"MFA_NONE":                 {"--from", "Caddyfile", "--to", "bolt:{env.MFA_NONE}"},
	} {
		wantRefused(t, e, append([]string{"copy"}, args...), want)
	}
	for _, made := range []string{"x.db", "none.db", "other/mfa.db"} {
		if _, err := os.Stat(filepath.Join(e.Dir, made)); err == nil {
			t.Errorf("%s was made", made)
		}
	}
	e.Start(edgetest.Caddyfile)
}
