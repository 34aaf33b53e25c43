package caddymodule

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/legible"
)

// run runs a "caddy mfa" command against the admin endpoint at address,
// without a terminal, and returns what it prints.
func run(t *testing.T, address string, args ...string) (string, error) {
	t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	nothing, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	stdin, stdout := os.Stdin, os.Stdout
	os.Stdin, os.Stdout = nothing, writer
	printed := make(chan string)
	go func() {
		content, _ := io.ReadAll(reader)
		printed <- string(content)
	}()
	root := &cobra.Command{Use: "mfa", SilenceErrors: true, SilenceUsage: true}
	root.AddCommand(usersCommand(), keysCommand(), backupCommand(), restoreCommand())
	root.SetArgs(append(args, "--address", address))
	err = root.Execute()
	os.Stdin, os.Stdout = stdin, stdout
	for _, file := range []*os.File{nothing, writer} {
		if err := file.Close(); err != nil {
			t.Error(err)
		}
	}
	output := <-printed
	_ = reader.Close()
	return output, err
}

// run runs a command that must succeed.
func (o *operated) run(args ...string) string {
	o.Helper()
	output, err := run(o.T, o.admin, args...)
	if err != nil {
		o.Errorf("%q: %v", args, err)
	}
	return output
}

// fails runs a command that must fail with an error that has the text.
func (o *operated) fails(text string, args ...string) {
	o.Helper()
	if output, err := run(o.T, o.admin, args...); err == nil || !strings.Contains(err.Error(), text) {
		o.Errorf("%q gives %v and prints %q, want an error with %q", args, err, output, text)
	}
}

// row are the cells of the only line of a table that begins with name.
func row(t *testing.T, table, name string) []string {
	t.Helper()
	var found []string
	for line := range strings.Lines(table) {
		if strings.HasPrefix(line, name) {
			if found != nil {
				t.Errorf("%q is there twice:\n%s", name, table)
			}
			for cell := range strings.SplitSeq(strings.TrimSpace(line), "  ") {
				if cell != "" {
					found = append(found, strings.TrimSpace(cell))
				}
			}
		}
	}
	if found == nil {
		t.Fatalf("there is no %q:\n%s", name, table)
	}
	return found
}

// wantRow checks the line of a table that begins with the first cell.
func wantRow(t *testing.T, table string, cells ...string) {
	t.Helper()
	if got := row(t, table, cells[0]); strings.Join(got, "|") != strings.Join(cells, "|") {
		t.Errorf("the row is %q, want %q", got, cells)
	}
}

// populate makes three people: alice has an app, bob is locked and has
// one, carol is setting one up.
func (o *operated) populate() {
	o.Helper()
	o.enrol(mfa.Caller{Subject: "alice", Email: "alice@example.com", Organizations: []string{"acme"}})
	bob := mfa.Caller{Issuer: "https://id.example", Subject: "bob"}
	o.enrol(bob)
	o.lock(bob)
	carol := mfa.Caller{Subject: "carol", Organizations: []string{"acme"}}
	if _, err := o.serving().service.Setup(o.Context(), carol, mfa.SetupRequest{Type: factor.TypeTOTP}); err != nil {
		o.Fatal(err)
	}
}

func TestUsersListShowsEverybodyInOrder(t *testing.T) {
	o := operate(t, nil)
	o.populate()
	table := o.run("users", "list")
	wantRow(t, table, "SUBJECT", "ISSUER", "METHODS", "BACKUP CODES", "LAST USED", "STATE")
	alice, bob, carol := row(t, table, "alice"), row(t, table, "bob"), row(t, table, "carol")
	if len(alice) != 6 || alice[1] != "-" || alice[2] != "GOOGLE_AUTH" || alice[3] != "10" || alice[5] != "-" {
		t.Errorf("alice is listed as %q", alice)
	}
	if _, err := time.Parse(time.RFC3339, alice[4]); err != nil && alice[4] != "-" {
		t.Error(err)
	}
	if len(bob) != 6 || bob[1] != "https://id.example" || !strings.HasPrefix(bob[5], "locked until 20") {
		t.Errorf("bob is listed as %q", bob)
	}
	if len(carol) != 6 || carol[2] != "-" || carol[3] != "0" || carol[5] != "setting up GOOGLE_AUTH" {
		t.Errorf("carol is listed as %q", carol)
	}
	if !(strings.Index(table, "alice") < strings.Index(table, "bob") && strings.Index(table, "bob") < strings.Index(table, "carol")) {
		t.Errorf("the order is\n%s", table)
	}
	var accounts []adminAccount
	if err := json.Unmarshal([]byte(o.run("users", "list", "--json")), &accounts); err != nil {
		t.Fatal(err)
	}
	if len(accounts) != 3 || accounts[0].Subject != "alice" || accounts[1].LockedUntil == nil || accounts[2].Enrolled {
		t.Errorf("as JSON they are %+v", accounts)
	}
}

func TestUsersListOfNobodyIsAnEmptyArray(t *testing.T) {
	o := operate(t, nil)
	if output := o.run("users", "list", "--json"); output != "[]\n" {
		t.Errorf("it prints %q", output)
	}
}

func TestUsersShowSaysWhereCodesAreWorthAMail(t *testing.T) {
	for _, row := range []struct{ acr, want string }{{mfa.ACRMail, "3 (of level mail)"}, {mfa.ACRMFA, "3"}, {"", "3"}} {
		if got := (adminAccount{BackupCodes: 3, BackupCodesACR: row.acr}).backupCodes(); got != row.want {
			t.Errorf("level %q: %q", row.acr, got)
		}
	}
}

func TestUsersShowDescribesAPerson(t *testing.T) {
	o := operate(t, nil)
	o.populate()
	table := o.run("users", "show", "alice")
	for _, cells := range [][]string{
		{"Subject", "alice"}, {"Issuer", "-"}, {"E-mail", "alice@example.com"}, {"Organizations", "acme"},
		{"Methods", "GOOGLE_AUTH"}, {"Primary", "GOOGLE_AUTH"}, {"Backup codes", "10"}, {"State", "-"},
		{"ID", "TYPE", "NAME", "CREATED", "LAST USED", "ENABLED"},
	} {
		wantRow(t, table, cells...)
	}
	var account adminAccount
	if err := json.Unmarshal([]byte(o.run("users", "show", "alice", "--json")), &account); err != nil {
		t.Fatal(err)
	}
	if !account.Enrolled || len(account.Credentials) != 1 {
		t.Errorf("as JSON it is %+v", account)
	}
	o.fails("no such user", "users", "show", "nobody")
	o.fails("no such user", "users", "show", "bob", "--issuer", "https://other.example")
	if table := o.run("users", "show", "bob", "--issuer", "https://id.example"); !strings.Contains(table, "locked until") {
		t.Errorf("bob is shown as\n%s", table)
	}
}

func TestUsersReportCounts(t *testing.T) {
	o := operate(t, nil)
	o.populate()
	table := o.run("users", "report")
	for _, cells := range [][]string{
		{"Users seen", "3"}, {"Enrolled", "2 (66%)"}, {"Locked", "1"}, {"Must enroll", "0"},
		{"ORGANIZATION", "ISSUER", "USERS", "ENROLLED"}, {"acme", "-", "2", "1 (50%)"},
	} {
		wantRow(t, table, cells...)
	}
	var report usersReport
	if err := json.Unmarshal([]byte(o.run("users", "report", "--json")), &report); err != nil {
		t.Fatal(err)
	}
	if report.Users != 3 || report.Enrolled != 2 || report.Methods[factor.TypeTOTP] != 2 || report.MailOnly != 0 || report.WithoutCodes != 0 ||
		report.Locked != 1 || report.NoOrganization != 1 || len(report.Organizations) != 1 || strings.Join(report.NotEnrolledNames, " ") != "carol" {
		t.Errorf("as JSON it is %+v", report)
	}
}

func TestWhatCannotBeUndoneNeedsYesWithoutATerminal(t *testing.T) {
	o := operate(t, nil)
	o.enrol(mfa.Caller{Subject: "alice"})
	backup := filepath.Join(t.TempDir(), "backup")
	o.run("backup", backup)
	for _, args := range [][]string{
		{"users", "reset", "alice"}, {"keys", "rotate", "--revoke"}, {"restore", backup, "--overwrite"}, {"users", "delete", "alice"},
	} {
		o.fails("--yes", args...)
		if !o.show("alice").Enrolled {
			t.Fatalf("%q changed something", args)
		}
	}
	for _, args := range [][]string{
		{"users", "reset", "alice", "--yes"}, {"keys", "rotate", "--revoke", "--yes"}, {"restore", backup, "--overwrite", "--yes"},
	} {
		o.run(args...)
	}
	if !o.show("alice").Enrolled {
		t.Error("the backup is not restored")
	}
	o.fails("in use", "restore", backup)
	o.run("users", "delete", "alice", "--yes")
	o.want(http.StatusNotFound, http.MethodGet, "/mfa/user?subject=alice", nil)
}

func TestUsersUnlockAndResetAct(t *testing.T) {
	o := operate(t, nil)
	o.populate()
	o.run("users", "unlock", "bob")
	if o.show("bob").LockedUntil != nil {
		t.Error("bob is locked still")
	}
	o.run("users", "reset", "bob", "--must-enroll", "--yes")
	if account := o.show("bob"); account.Enrolled || !account.MustEnroll {
		t.Errorf("after a reset the record is %+v", account)
	}
}

func TestNamesDoNotSteerTheTerminal(t *testing.T) {
	o := operate(t, nil)
	const clear, title, turn = "\x1b[2J", "\u009d0;owned\a", "\u202egnp\u2066\u200f\u2028\U000e0041\u3164"
	name := "eve" + clear + title + turn + "\nalice\tadmin\x7f"
	o.enrol(mfa.Caller{Issuer: name, Subject: name, Email: name, Organizations: []string{name}})
	for _, args := range [][]string{
		{"users", "list"}, {"users", "show", name}, {"users", "report"},
		{"users", "list", "--json"}, {"users", "show", name, "--json"}, {"users", "report", "--json"},
	} {
		output := o.run(args...)
		for _, r := range output {
			if r != '\n' && legible.Hidden(r) {
				t.Errorf("%q prints %q", args, output)
				break
			}
		}
	}
	var accounts []adminAccount
	if err := json.Unmarshal([]byte(o.run("users", "list", "--json")), &accounts); err != nil || len(accounts) != 1 || accounts[0].Subject != name {
		t.Errorf("as JSON the name is %+v (%v)", accounts, err)
	}
}

func TestABackupFileIsNotOverwritten(t *testing.T) {
	o := operate(t, nil)
	folder := t.TempDir()
	path := filepath.Join(folder, "backup")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(folder, "dangling")); err != nil {
		t.Fatal(err)
	}
	o.fails("exists already", "backup", path)
	o.fails("exists already", "backup", filepath.Join(folder, "dangling"))
	if content, err := os.ReadFile(path); err != nil || string(content) != "precious" {
		t.Errorf("the file is now %q (%v)", content, err)
	}
	wantNames(t, folder, "backup dangling")

	o.run("backup", filepath.Join(folder, "new"))
	wantNames(t, folder, "backup dangling new")
	if info, err := os.Stat(filepath.Join(folder, "new")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v (%v), want mode 0600", info, err)
	}
}

// wantNames checks what is in a folder.
func wantNames(t *testing.T, folder, want string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	if got := strings.Join(names, " "); got != want {
		t.Errorf("the folder has %q, want %q", got, want)
	}
}

func TestABackupThatBreaksOffLeavesNoFile(t *testing.T) {
	for name, handle := range map[string]http.HandlerFunc{
		"in the middle": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "part of a backup")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		},
		"at the start": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, `{"error":"no room"}`, http.StatusServiceUnavailable)
		},
	} {
		t.Run(name, func(t *testing.T) {
			broken := httptest.NewServer(handle)
			defer broken.Close()
			folder := t.TempDir()
			if _, err := run(t, broken.Listener.Addr().String(), "backup", filepath.Join(folder, "backup")); err == nil {
				t.Error("the backup succeeds")
			}
			wantNames(t, folder, "")
		})
	}
}

func TestABackupWhoseNameIsTakenMeanwhileIsNotPutInItsPlace(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "backup")
	late := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(w, "a backup")
	}))
	defer late.Close()
	if _, err := run(t, late.Listener.Addr().String(), "backup", path); err == nil {
		t.Error("the backup succeeds")
	}
	wantNames(t, folder, "backup")
	if content, err := os.ReadFile(path); err != nil || string(content) != "precious" {
		t.Errorf("the file is now %q (%v)", content, err)
	}
}
