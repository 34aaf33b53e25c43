package examples_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
	"github.com/caddymfa/caddy-mfa/internal/issuertest"
	"github.com/caddymfa/caddy-mfa/internal/testtool"
)

// blocks returns the fenced blocks of a document, by language.
func blocks(text, language string) []string {
	var all []string
	for _, match := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(text, -1) {
		all = append(all, match[1])
	}
	return all
}

// shell runs a command of an example's README in the edge's folder.
func shell(t *testing.T, e *edgetest.Edge, command string, env ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), testtool.Need(t, "bash"), "-euo", "pipefail", "-c",
		"caddy() { '"+edgetest.Binary(t)+"' \"$@\"; }\n"+command)
	cmd.Dir = e.Dir
	cmd.Env = append(os.Environ(), append(env, "ADMIN="+e.Admin(), "CADDY_ADMIN="+e.Admin(), "PORT="+e.Port)...)
	cmd.Stderr = t.Output()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s\n%v: %s", command, err, out)
	}
	return string(out)
}

// TestTheRolloutGoesStepByStep does what its README tells, and has people
// come by the gate after each step.
func TestTheRolloutGoesStepByStep(t *testing.T) {
	testtool.Need(t, "curl")
	e, login := edgetest.New(t), issuertest.Start(t)
	first, readme := read(t, "admin-rollout/Caddyfile"), read(t, "admin-rollout/README.md")
	commands := blocks(readme, "sh")
	if len(commands) != 4 {
		t.Fatalf("the README has %d commands", len(commands))
	}
	wantValid(t, e, first)
	configure := func(caddyfile string) string {
		return here(t, e, caddyfile, "example.com", "https://login.example.com", login.URL)
	}
	e.Start(configure(first))
	token := func(subject, organization string, roles ...string) string {
		return login.Token(claims(subject, map[string]any{"iss": login.URL, "aud": e.URL, "org_id": organization, "roles": roles}))
	}
	owner, member, other := token("olga", "acme", "OWNER"), token("max", "acme"), token("nina", "other")

	// Optional.
	for _, anybody := range []string{owner, member, other} {
		wantOpen(t, e, "/admin/users", anybody)
	}
	_, full := enrol(t, e, owner)
	wantShut(t, e, "/admin/users", owner)
	wantOpen(t, e, "/admin/users", full)
	if report := shell(t, e, commands[0]); !strings.Contains(report, "1 (33%)") || !strings.Contains(report, "1 (50%)") {
		t.Errorf("the report says\n%s", report)
	}
	var report struct {
		Without []string `json:"not_enrolled"`
	}
	if err := json.Unmarshal([]byte(shell(t, e, strings.TrimSpace(commands[0])+" --json")), &report); err != nil || strings.Join(report.Without, " ") != "max nina" {
		t.Errorf("without a factor are %v (%v)", report.Without, err)
	}

	// An organization.
	enforce := replaced(t, commands[1], "https://example.com", e.URL)
	if said := shell(t, e, enforce, "FULL_ACCESS_TOKEN="+full); !strings.Contains(said, "MFA enforcement enabled for organization") {
		t.Fatalf("enforcing answers %s", said)
	}
	wantShut(t, e, "/admin/users", member)
	wantShut(t, e, "/admin/users", login.Token(claims("max", map[string]any{"iss": login.URL, "aud": e.URL})))
	wantOpen(t, e, "/admin/users", other)
	shell(t, e, replaced(t, enforce, "true", "false"), "FULL_ACCESS_TOKEN="+full)
	wantOpen(t, e, "/admin/users", member)

	// Everybody.
	last := blocks(readme, "caddyfile")[0]
	at := strings.Index(first, "example.com {\n")
	e.Write("Caddyfile", configure(first[:at]+last))
	shell(t, e, replaced(t, commands[2], "reload", "reload --address "+e.Admin()))
	wantShut(t, e, "/admin/users", other)
	wantShut(t, e, "/admin/users", member)
	wantOpen(t, e, "/admin/users", full)

	// Somebody lost their phone, in the first step.
	if err := e.Reload(configure(first)); err != nil {
		t.Fatal(err)
	}
	shell(t, e, replaced(t, commands[3], "alice", "olga"))
	wantShut(t, e, "/admin/users", owner)
}
