// Package clients_test runs the example clients, one in each language,
// so that none of them can rot.
package clients_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/internal/testtool"
)

// client is one example: how it is started, and what has to be there.
type client struct {
	name  string
	needs []string // tools on PATH
	probe []string // a command that succeeds when its library is there

	// command returns what starts the client. What it has to compile
	// first goes to a temporary directory.
	command func(t *testing.T) []string
}

var clients = []client{
	{
		name:    "Shell",
		needs:   []string{"bash", "curl"},
		command: run("shell/setup.sh"),
	},
	{
		name:    "HTTP",
		needs:   []string{"bash"},
		command: run("http/send.sh"),
	},
	{
		name:    "JavaScript",
		needs:   []string{"node"},
		command: run("node", "javascript/setup.mjs"),
	},
	{
		name:    "Ruby",
		needs:   []string{"ruby"},
		probe:   []string{"ruby", "-e", "require 'rest-client'"},
		command: run("ruby", "ruby/setup.rb"),
	},
	{
		name:    "Python",
		needs:   []string{python},
		probe:   []string{python, "-c", "import requests"},
		command: run(python, "python/setup.py"),
	},
	{
		name:    "PHP",
		needs:   []string{"php"},
		probe:   []string{"php", "-r", "foreach (['php/vendor/autoload.php', '/usr/share/php/GuzzleHttp/autoload.php'] as $f) { if (is_file($f)) { exit(0); } } exit(1);"},
		command: run("php", "php/setup.php"),
	},
	{
		name:    "Java",
		needs:   []string{"java", "javac"}, // java alone compiles nothing
		command: run("java", "java/Setup.java"),
	},
	{
		name:    "Go",
		needs:   []string{"go"},
		command: compiledGo,
	},
	{
		name:    "TypeScript",
		needs:   []string{"tsc", "node"},
		command: compiledTypeScript,
	},
}

// run is the command of a client that needs no preparation.
func run(argv ...string) func(*testing.T) []string {
	return func(*testing.T) []string { return argv }
}

func compiledGo(t *testing.T) []string {
	binary := filepath.Join(t.TempDir(), "setup")
	compile(t, "go", "build", "-o", binary, "./go")
	return []string{binary}
}

func compiledTypeScript(t *testing.T) []string {
	dir := t.TempDir()
	compile(t, "tsc", "--project", "typescript", "--outDir", dir)
	return []string{"node", filepath.Join(dir, "setup.mjs")}
}

func compile(t *testing.T, argv ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), argv[0], argv[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, out)
	}
}

// python is the first interpreter that has requests: the first python3
// on PATH need not be the one that the system's packages serve.
var python = func() string {
	for _, interpreter := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(interpreter, "-c", "import requests").Run() == nil {
			return interpreter
		}
	}
	return "python3"
}()

// require skips a test whose tools are absent, and fails it where all
// of them have to be there.
func require(t *testing.T, c client) {
	t.Helper()
	for _, tool := range c.needs {
		testtool.Need(t, tool)
	}
	if c.probe == nil {
		return
	}
	if out, err := exec.CommandContext(t.Context(), c.probe[0], c.probe[1:]...).CombinedOutput(); err != nil {
		testtool.Missing(t, "the library of the %s client is not installed: %v\n%s", c.name, err, out)
	}
}

// runAll runs every client against the server at baseURL, for whose
// access tokens token is one.
func runAll(t *testing.T, baseURL, token string) {
	for _, c := range clients {
		t.Run(c.name, func(t *testing.T) {
			require(t, c)
			argv := c.command(t)

			t.Run("prints the answer to a good token", func(t *testing.T) {
				got := start(t, argv, baseURL, token)
				if got.exit != 0 {
					t.Fatalf("exit status %d, want 0; stderr: %s", got.exit, got.stderr)
				}
				checkSetup(t, got.stdout)
			})
			t.Run("prints the server's reason for refusing a wrong token", func(t *testing.T) {
				const wrong = "not.a.token"
				want := refusal(t, baseURL, wrong)
				got := start(t, argv, baseURL, wrong)
				checkFailed(t, got, want)
				if strings.Contains(got.stderr, wrong) {
					t.Errorf("stderr repeats the token: %s", got.stderr)
				}
			})
			t.Run("asks for the token that it lacks", func(t *testing.T) {
				checkFailed(t, start(t, argv, baseURL, ""), "MFA_TOKEN")
			})
		})
	}
}

// outcome is what a client left behind.
type outcome struct {
	exit           int
	stdout, stderr string
}

// start runs a client to its end. An empty token leaves MFA_TOKEN unset.
func start(t *testing.T, argv []string, baseURL, token string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); name != "MFA_URL" && name != "MFA_TOKEN" {
			cmd.Env = append(cmd.Env, variable)
		}
	}
	// The server is on this machine, whatever proxy leads out of it.
	cmd.Env = append(cmd.Env, "NO_PROXY=127.0.0.1,localhost", "no_proxy=127.0.0.1,localhost", "MFA_URL="+baseURL)
	if token != "" {
		cmd.Env = append(cmd.Env, "MFA_TOKEN="+token)
	}

	err := cmd.Run()
	var exited *exec.ExitError
	if err != nil && !errors.As(err, &exited) {
		t.Fatalf("starting %v: %v", argv, err)
	}
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

func checkFailed(t *testing.T, got outcome, stderr string) {
	t.Helper()
	if got.exit <= 0 {
		t.Errorf("exit status %d, want a positive one", got.exit)
	}
	if !strings.Contains(got.stderr, stderr) {
		t.Errorf("stderr is %q, want it to contain %q", got.stderr, stderr)
	}
	if got.stdout != "" {
		t.Errorf("stdout is %q, want it empty", got.stdout)
	}
}

var base32Secret = regexp.MustCompile(`^[A-Z2-7]{32}$`)

// checkSetup fails unless stdout is the documented answer to the setup
// of an authenticator app.
func checkSetup(t *testing.T, stdout string) {
	t.Helper()
	var answer struct {
		Success bool `json:"success"`
		Data    struct {
			Secret      string   `json:"secret"`
			QRCode      string   `json:"qrCode"`
			BackupCodes []string `json:"backupCodes"`
		} `json:"data"`
	}
	if err := json.Unmarshal([]byte(stdout), &answer); err != nil {
		t.Fatalf("stdout is not JSON: %v\n%s", err, stdout)
	}
	if !answer.Success {
		t.Errorf("success is not true")
	}
	if !base32Secret.MatchString(answer.Data.Secret) {
		t.Errorf("data.secret is %q, want 32 characters of base32", answer.Data.Secret)
	}
	image, found := strings.CutPrefix(answer.Data.QRCode, "data:image/png;base64,")
	if !found {
		t.Errorf("data.qrCode is %.40q, want the data URL of a PNG", answer.Data.QRCode)
	} else if _, err := png.Decode(base64.NewDecoder(base64.StdEncoding, strings.NewReader(image))); err != nil {
		t.Errorf("data.qrCode holds no PNG: %v", err)
	}
	distinct := map[string]bool{}
	for _, code := range answer.Data.BackupCodes {
		distinct[code] = true
	}
	if len(answer.Data.BackupCodes) != 10 || len(distinct) != 10 || distinct[""] {
		t.Errorf("data.backupCodes is %q, want 10 different ones", answer.Data.BackupCodes)
	}
}
