package main_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
	"github.com/caddymfa/caddy-mfa/internal/testtool"
	"github.com/caddymfa/caddy-mfa/mfa/bearer"
)

// document is the fenced blocks of one of the product's documents, which a
// test takes out one by one.
type document struct {
	t      *testing.T
	name   string
	blocks []block
}

type block struct{ language, text string }

func readDocument(t *testing.T, name string) *document {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", name))
	if err != nil {
		t.Fatal(err)
	}
	r := &document{t: t, name: name}
	for _, match := range regexp.MustCompile("(?ms)^```([a-z]+)\n(.*?)^```$").FindAllStringSubmatch(string(content), -1) {
		r.blocks = append(r.blocks, block{match[1], match[2]})
	}
	return r
}

// take removes the one block of language that begins with start, and
// returns its text.
func (r *document) take(language, start string) string {
	r.t.Helper()
	for i, b := range r.blocks {
		if b.language == language && strings.HasPrefix(b.text, start) {
			r.blocks = append(r.blocks[:i], r.blocks[i+1:]...)
			return b.text
		}
	}
	r.t.Fatalf("%s has no %s block that begins with %q", r.name, language, start)
	return ""
}

// wantAllTaken checks that no block is left, which nothing would test.
func (r *document) wantAllTaken() {
	r.t.Helper()
	for _, b := range r.blocks {
		r.t.Errorf("nothing tests this %s block of %s:\n%s", b.language, r.name, b.text)
	}
}

func TestEveryCommandOfTheREADMEWorks(t *testing.T) {
	shell := testtool.Need(t, "bash")
	testtool.Need(t, "curl")
	r := readDocument(t, "README.md")
	e := edgetest.New(t)
	ports := demoPorts(t, e)
	run := func(script string) string {
		t.Helper()
		script = strings.ReplaceAll(script, "go run ./xcaddy", edgetest.Binary(t))
		return runScript(t, e, shell, ports.Replace(script))
	}

	demo, err := os.ReadFile("../Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	r.take("sh", "go run ./xcaddy run\n")
	e.Start(ports.Replace(string(demo)))

	begin := r.take("sh", "TOKEN=$(go run ./xcaddy mfa token")
	setup := wantShown(t, r.take("json", "{\n  \"success\": true,\n  \"data\""), run(begin))
	secret := setup["data"].(map[string]any)["secret"].(string)

	confirm := r.take("sh", "curl -X POST http://localhost:8080/mfa/verify-setup")
	token := strings.SplitN(begin, "\n", 2)[0] + "\n"
	answers := strings.SplitAfter(run(token+strings.Replace(confirm, "123456", edgetest.Code(t, secret), 1)), "}")
	pair := wantShown(t, r.take("json", "{\n  \"success\": true,\n  \"message\""), answers[0])
	if pair["message"] != "MFA setup verified and enabled" {
		t.Errorf("confirming answers %s", answers[0])
	}
	wantMethods(t, e, e.Token("alice", nil), "GOOGLE_AUTH")

	// The gate that the demo has.
	if site := r.take("caddyfile", "http://localhost:8080 {\n"); !strings.Contains(string(demo), "\n"+site) {
		t.Errorf("the demo has no site\n%s", site)
	}
	visit := r.take("sh", "FULL=")
	_, curls, _ := strings.Cut(visit, "\n")
	visited := run(token + "FULL=" + pair["fullAccessToken"].(string) + "\n" + curls)
	closed, open, _ := strings.Cut(visited, "\n")
	clock := regexp.MustCompile(`Time: \S+`)
	if want := clock.ReplaceAllString(r.take("text", "Hello from"), "Time:"); clock.ReplaceAllString(open, "Time:") != want ||
		!strings.Contains(closed, `"code":"insufficient_user_authentication"`) {
		t.Errorf("the gated route answers %q, then %q, want %q", closed, open, want)
	}

	// Backed up, lost and restored.
	paths := strings.NewReplacer("/path/to/backup/", "./backup/", "/path/to/keys/", "./keys/")
	run("mkdir backup keys\n" + paths.Replace(r.take("sh", "caddy mfa backup")))
	e.Stop()
	if err := os.RemoveAll(filepath.Join(e.Dir, "data")); err != nil {
		t.Fatal(err)
	}
	run("mkdir data && cp keys/mfa.key data/")
	e.Start("")
	wantMethods(t, e, e.Token("alice", nil))
	run(paths.Replace(r.take("sh", "caddy mfa restore")))
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
	r.take("sh", "xcaddy build --with github.com/caddymfa/caddy-mfa/caddymodule --with github.com/caddymfa/caddy-mfa/caddymodule/postgres\n")
	r.wantAllTaken()
}

// runScript runs what a document tells to type in the edge's folder, and
// returns what it prints.
func runScript(t *testing.T, e *edgetest.Edge, shell, script string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), shell, "-euo", "pipefail", "-c",
		"caddy() { '"+edgetest.Binary(t)+"' \"$@\"; }\n"+script)
	cmd.Dir = e.Dir
	cmd.Env = append(os.Environ(), "ADMIN="+e.Admin(), "CADDY_ADMIN="+e.Admin())
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s\n%v: %s%s", script, err, out, stderr.String())
	}
	return string(out)
}

// wantShown checks that an answer has the members that a document shows it
// to have, no others, and returns it.
func wantShown(t *testing.T, shown, answer string) map[string]any {
	t.Helper()
	var want, got map[string]any
	if err := json.Unmarshal([]byte(shown), &want); err != nil {
		t.Fatalf("the answer shown: %v\n%s", err, shown)
	}
	if err := json.Unmarshal([]byte(answer), &got); err != nil {
		t.Fatalf("the real answer: %v\n%s", err, answer)
	}
	names := func(answer map[string]any) []string {
		all := slices.Collect(maps.Keys(answer))
		if data, ok := answer["data"].(map[string]any); ok {
			all = slices.AppendSeq(all, maps.Keys(data))
		}
		slices.Sort(all)
		return all
	}
	if want, got := names(want), names(got); !slices.Equal(want, got) {
		t.Errorf("the answer shown has the members %q, the real one %q", want, got)
	}
	return got
}

func TestEveryCommandOfTheREADMEsOperationsPageWorks(t *testing.T) {
	shell := testtool.Need(t, "bash")
	testtool.Need(t, "curl")
	doc := readDocument(t, "docs/operations.md")
	e := edgetest.New(t)
	audit := doc.take("caddyfile", "{\n\tlog default")
	e.Start(strings.Replace(edgetest.Caddyfile, "{\n", strings.TrimSuffix(audit, "}\n"), 1))
	alice := enrolled(t, e, "alice", nil)
	replacer := strings.NewReplacer("localhost:2019", e.Admin(), "/path/to/backup/", "./backup/", "/path/to/keys/", "./keys/")
	run := func(start string) string {
		t.Helper()
		return runScript(t, e, shell, replacer.Replace(doc.take("sh", start)))
	}
	runScript(t, e, shell, "mkdir backup keys")

	if seen := run("caddy mfa users list"); strings.Count(seen, "alice") < 2 || !strings.Contains(seen, `"enrolled": 1`) {
		t.Errorf("the commands that look print %s", seen)
	}
	run("caddy mfa backup")
	run("caddy mfa users unlock")
	if metrics := run("curl"); !strings.Contains(metrics, `caddy_mfa_setups_total{method="GOOGLE_AUTH",result="enrolled"} 1`) {
		t.Errorf("the metrics are %s", metrics)
	}
	run("caddy mfa keys rotate\n")
	run("caddy mfa keys rotate --revoke")
	if out := run("caddy mfa keys list"); strings.Count(out, "in use") != 2 {
		t.Errorf("the keys are\n%s", out)
	}
	run("caddy mfa keys add data/mfa.key")
	if out := run("caddy mfa keys rotate --sealing"); !strings.Contains(out, "is in use") {
		t.Errorf("a rotation prints\n%s", out)
	}
	doc.take("sh", "caddy mfa keys retire\n") // too early: xcaddy/keys_test.go
	run("caddy mfa users reset")
	wantMethods(t, e, alice.token)
	run("caddy mfa users delete")
	run("caddy mfa restore")
	wantMethods(t, e, alice.token, "GOOGLE_AUTH")
	run("caddy mfa keys retire --all --yes")
	wantMethods(t, e, alice.token, "GOOGLE_AUTH")

	e.Stop()
	e.Write("new.Caddyfile", movedTo("new/mfa.db"))
	if out := run("caddy mfa copy --from"); !strings.Contains(out, "SHA-256") {
		t.Errorf("a copy prints\n%s", out)
	}
	e.Start(movedTo("new/mfa.db"))
	wantMethods(t, e, alice.token, "GOOGLE_AUTH")
	run("caddy mfa copy --reopen")

	logged, err := os.ReadFile(filepath.Join(e.Dir, "audit.log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, event := range []string{"enrolled", "unlocked", "reset", "deleted", "signing_keys_changed", "sealing_keys_changed",
		"store_backed_up", "store_restored"} {
		if !strings.Contains(string(logged), `"event":"`+event+`"`) {
			t.Errorf("the audit log lacks %q:\n%s", event, logged)
		}
	}
	if fuzz := doc.take("sh", "go test ./mfa/internal/mailbox "); !strings.Contains(fuzz, "'^FuzzParse$'") { // takes a checkout, and a minute
		t.Errorf("the fuzzing is %s", fuzz)
	}
	doc.wantAllTaken()
}

func TestEveryGateOfTheREADMEsGatePageIsAccepted(t *testing.T) {
	doc := readDocument(t, "docs/gate.md")
	doc.take("caddyfile", "route {\n") // see TestAnAuthorizationServiceBehindTheGateIsToldWhatItHasFoundOut
	e := edgetest.New(t)
	sites := []string{doc.take("caddyfile", "uri strip_prefix"), "mfa\n" + doc.take("caddyfile", "mfa_require")}
	for len(doc.blocks) > 0 {
		sites = append(sites, doc.take("caddyfile", "mfa\nmfa_require"))
	}
	for _, site := range sites {
		e.Write("shown", strings.Replace(edgetest.Caddyfile, "\tmfa\n\treverse_proxy {$UPSTREAM}\n", site, 1))
		if _, stderr, err := e.Command("validate", "--config", "shown", "--adapter", "caddyfile"); err != nil {
			t.Errorf("%s\n%v\n%s", site, err, stderr)
		}
	}
}

// TestABackendVerifiesAssertionsAsTheREADMEsPageSays runs the program of
// docs/backend.md.
func TestABackendVerifiesAssertionsAsTheREADMEsPageSays(t *testing.T) {
	doc := readDocument(t, "docs/backend.md")
	program := doc.take("go", "package main\n")
	doc.wantAllTaken()

	e := edgetest.New(t)
	e.Start(edgetest.Caddyfile)
	alice, bob := enrolled(t, e, "alice", nil), enrolled(t, e, "bob", nil)

	e.Write("backend/main.go", strings.Replace(program, "https://login.example.com", bearer.DevIssuerName, 1))
	built := filepath.Join(e.Dir, "backend", "backend")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", built, filepath.Join(e.Dir, "backend", "main.go"))
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	address := "127.0.0.1:" + edgetest.FreePort(t)
	backend := exec.CommandContext(t.Context(), built)
	backend.Env = append(os.Environ(), "EDGE="+e.URL, "AUDIENCE="+e.URL, "LISTEN="+address)
	backend.Stderr = t.Output()
	if err := backend.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = backend.Process.Kill()
		_ = backend.Wait()
	})

	ask := func(assertion string) (status int) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Assertion", assertion)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			return 0
		}
		answer.Body.Close()
		return answer.StatusCode
	}
	edgetest.Eventually(t, 10*time.Second, "the backend listens", func() bool { return ask("") == http.StatusUnauthorized })
	for assertion, want := range map[string]int{
		alice.pair.access: http.StatusOK,
		bob.pair.access:   http.StatusUnauthorized,
		alice.token:       http.StatusUnauthorized,
		alice.pair.access[:len(alice.pair.access)-9] + "AAAAAAAAA": http.StatusUnauthorized,
	} {
		if got := ask(assertion); got != want {
			t.Errorf("%s: %d, want %d", assertion, got, want)
		}
	}
}

// TestXcaddyBuildsTheCheckout runs the command that the README gives for a
// checkout. The published module cannot be had: it must not stand in for the
// checkout.
func TestXcaddyBuildsTheCheckout(t *testing.T) {
	if testing.Short() {
		t.Skip("builds Caddy anew, which takes minutes")
	}
	xcaddy, shell := testtool.Need(t, "xcaddy"), testtool.Need(t, "bash")
	r := readDocument(t, "README.md")
	command := strings.TrimSpace(r.take("sh", "xcaddy build --with github.com/caddymfa/caddy-mfa/caddymodule --replace"))
	command = strings.Replace(command, "xcaddy build", xcaddy+" build "+caddyVersion(t), 1)
	output := filepath.Join(t.TempDir(), "caddy")

	cmd := exec.CommandContext(t.Context(), shell, "-c", command+" --output "+output)
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "GONOPROXY=github.com/caddymfa/*", "GOVCS=*:off", "GOSUMDB=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	modules, err := exec.CommandContext(t.Context(), output, "list-modules").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"http.handlers.mfa\n", "http.handlers.mfa_demo\n", "\nmfa\n", "mfa.stores.bolt\n"} {
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
