package main_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
	"github.com/caddymfa/caddy-mfa/internal/testtool"
)

// readme is the README's fenced blocks, which a test takes out one by one.
type readme struct {
	t      *testing.T
	blocks []block
}

type block struct{ language, text string }

func readReadme(t *testing.T) *readme {
	t.Helper()
	content, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	r := &readme{t: t}
	for _, match := range regexp.MustCompile("(?ms)^```([a-z]+)\n(.*?)^```$").FindAllStringSubmatch(string(content), -1) {
		r.blocks = append(r.blocks, block{match[1], match[2]})
	}
	return r
}

// take removes the one block of language that begins with start, and
// returns its text.
func (r *readme) take(language, start string) string {
	r.t.Helper()
	for i, b := range r.blocks {
		if b.language == language && strings.HasPrefix(b.text, start) {
			r.blocks = append(r.blocks[:i], r.blocks[i+1:]...)
			return b.text
		}
	}
	r.t.Fatalf("the README has no %s block that begins with %q", language, start)
	return ""
}

func TestEveryCommandOfTheREADMEWorks(t *testing.T) {
	shell := testtool.Need(t, "bash")
	testtool.Need(t, "curl")
	r := readReadme(t)
	e := edgetest.New(t)
	ports := strings.NewReplacer("localhost:2019", "{$ADMIN}", "8080", e.Port, "8081", edgetest.FreePort(t))
	run := func(script string) string {
		t.Helper()
		script = strings.ReplaceAll(script, "go run ./xcaddy", edgetest.Binary(t))
		cmd := exec.CommandContext(t.Context(), shell, "-euo", "pipefail", "-c", ports.Replace(script))
		cmd.Dir = e.Dir
		cmd.Env = append(os.Environ(), "ADMIN=localhost:1") // the token command only reads the file
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s\n%v: %s", script, err, out)
		}
		return string(out)
	}

	demo, err := os.ReadFile("../Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	r.take("sh", "go run ./xcaddy run\n")
	e.Start(ports.Replace(string(demo)))

	begin := r.take("sh", "TOKEN=$(go run ./xcaddy mfa token")
	var shown, got struct {
		Success bool           `json:"success"`
		Data    map[string]any `json:"data"`
	}
	if err := json.Unmarshal([]byte(run(begin)), &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(r.take("json", "{\n")), &shown); err != nil {
		t.Fatalf("the answer shown: %v", err)
	}
	for name := range shown.Data {
		if got.Data[name] == nil {
			t.Errorf("the answer shown has a member %q that the real one lacks", name)
		}
	}
	if len(shown.Data) != len(got.Data) || !got.Success {
		t.Errorf("the real answer has other members: %v", got)
	}

	confirm := r.take("sh", "curl -X POST http://localhost:8080/mfa/verify-setup")
	token := strings.SplitN(begin, "\n", 2)[0] + "\n"
	answers := run(token + strings.Replace(confirm, "123456", edgetest.Code(t, got.Data["secret"].(string)), 1))
	for _, want := range []string{`{"success":true,"message":"MFA setup verified and enabled"}`, `"enabledMethods":["GOOGLE_AUTH"]`} {
		if !strings.Contains(answers, want) {
			t.Errorf("confirming answers %s, want %s", answers, want)
		}
	}

	// Backed up, lost and restored.
	e.Stop()
	run("mkdir ./backup && " + strings.Replace(r.take("sh", "cp data/mfa.db"), "/path/to/backup/", "./backup", 1))
	if err := os.RemoveAll(filepath.Join(e.Dir, "data")); err != nil {
		t.Fatal(err)
	}
	run("mkdir data && cp backup/* data/")
	e.Start("")
	wantMethods(t, e, e.Token("alice", nil), "GOOGLE_AUTH")

	// Caddyfiles are checked as an operator would.
	e.Write("copied", r.take("caddyfile", "{\n\tmfa {"))
	e.Env = []string{"SMTP_USERNAME=u", "SMTP_PASSWORD=p"}
	if _, stderr, err := e.Command("validate", "--config", "copied", "--adapter", "caddyfile"); err != nil {
		t.Errorf("the Caddyfile to copy: %v\n%s", err, stderr)
	}

	// What builds and tests the tree is run by other tests and by CI.
	r.take("sh", "go build -o caddy ./xcaddy\n") // internal/edgetest
	r.take("sh", "go test ./...\n")
	r.take("sh", "MFA_TEST_REQUIRE_ALL=1 go test ")
	r.take("sh", "xcaddy build --with github.com/caddymfa/caddy-mfa/caddymodule\n")
	r.take("sh", "xcaddy build --with github.com/caddymfa/caddy-mfa/caddymodule --replace")
	for _, b := range r.blocks {
		t.Errorf("nothing tests this %s block of the README:\n%s", b.language, b.text)
	}
}

// TestXcaddyBuildsTheCheckout runs the command that the README gives for a
// checkout. Modules come from the local cache alone: the published module
// must not stand in for the checkout.
func TestXcaddyBuildsTheCheckout(t *testing.T) {
	if testing.Short() {
		t.Skip("builds Caddy anew, which takes minutes")
	}
	xcaddy, shell := testtool.Need(t, "xcaddy"), testtool.Need(t, "bash")
	r := readReadme(t)
	command := strings.TrimSpace(r.take("sh", "xcaddy build --with github.com/caddymfa/caddy-mfa/caddymodule --replace"))
	command = strings.Replace(command, "xcaddy build", xcaddy+" build "+caddyVersion(t), 1)
	output := filepath.Join(t.TempDir(), "caddy")

	cache, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), shell, "-c", command+" --output "+output)
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "GOPROXY=file://"+strings.TrimSpace(string(cache))+"/cache/download", "GOSUMDB=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	modules, err := exec.CommandContext(t.Context(), output, "list-modules").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"http.handlers.mfa\n", "\nmfa\n", "mfa.stores.bolt\n"} {
		if !strings.Contains(string(modules), id) {
			t.Errorf("the program lacks the module %q", strings.TrimSpace(id))
		}
	}
}

// caddyVersion is the version of Caddy that go.mod names.
func caddyVersion(t *testing.T) string {
	t.Helper()
	version, err := exec.Command("go", "list", "-m", "-f", "{{.Version}}", "github.com/caddyserver/caddy/v2").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(version))
}
