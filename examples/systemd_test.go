package examples_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
	"github.com/caddymfa/caddy-mfa/internal/issuertest"
	"github.com/caddymfa/caddy-mfa/internal/testtool"
)

const unit = "systemd/caddy-mfa.service"

// shortDir is a folder for sockets, whose paths must not be long.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "mfa")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func TestTheUnitIsOneThatSystemdTakes(t *testing.T) {
	analyze := testtool.Need(t, "systemd-analyze")
	path := filepath.Join(t.TempDir(), "caddy-mfa.service")
	content := replaced(t, read(t, unit), "/usr/local/bin/caddy", edgetest.Binary(t))
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	// What it does not know, it says, and goes on.
	out, err := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", "--recursive-errors=one", path).CombinedOutput()
	if err != nil || strings.Contains(string(out), path) {
		t.Errorf("%v\n%s", err, out)
	}
	// Of 100 for a service that may do everything.
	out, err = exec.CommandContext(t.Context(), analyze, "security", "--offline=yes", "--no-pager", "--threshold=20", path).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// asUnder prepares an edge as the unit has it: with its folders in the place
// of those of the machine.
func asUnder(t *testing.T, e *edgetest.Edge) (caddyfile, socket string) {
	t.Helper()
	settings := read(t, unit)
	state, runtime, credentials := filepath.Join(e.Dir, "state"), shortDir(t), filepath.Join(e.Dir, "credentials")
	for _, setting := range []string{"StateDirectory=caddy-mfa\n", "RuntimeDirectory=caddy-mfa\n", "LoadCredential=smtp-password:"} {
		replaced(t, settings, setting, "")
	}
	for line := range strings.Lines(settings) {
		if variables, ok := strings.CutPrefix(strings.TrimSpace(line), "Environment="); ok {
			e.Env = append(e.Env, strings.Fields(strings.ReplaceAll(variables, "/var/lib/caddy-mfa", state))...)
		}
	}
	if len(e.Env) != 2 {
		t.Fatalf("the unit sets %v", e.Env)
	}
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	e.Env = append(e.Env, "CREDENTIALS_DIRECTORY="+credentials)
	caddyfile = replaced(t, read(t, "systemd/Caddyfile"), "/var/lib/caddy-mfa", state, "/run/caddy-mfa", runtime)
	return caddyfile, "unix/" + runtime + "/admin.sock"
}

func TestTheServiceTellsSystemdThatItIsReadyAndKeepsItsState(t *testing.T) {
	e, login := edgetest.New(t), issuertest.Start(t)
	caddyfile, admin := asUnder(t, e)
	if log := e.StartRefused(caddyfile); !strings.Contains(log, "smtp-password") && !strings.Contains(log, "smtp: password") {
		t.Errorf("without its credential it says\n%s", log)
	}
	e.Write("credentials/smtp-password", "secret\n")
	wantValid(t, e, caddyfile)

	ready := filepath.Join(shortDir(t), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: ready, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	e.Env = append(e.Env, "NOTIFY_SOCKET="+ready)
	e.Start(strings.Replace(here(t, e, caddyfile, "example.com", "https://login.example.com", login.URL), "\tadmin {$ADMIN}\n", "", 1))
	_ = socket.SetReadDeadline(time.Now().Add(20 * time.Second))
	for message, said := make([]byte, 1024), ""; !strings.Contains(said, "READY=1"); {
		n, err := socket.Read(message)
		if err != nil {
			t.Fatalf("it does not tell that it is ready: %v", err)
		}
		said = string(message[:n])
	}

	token := login.Token(claims("alice", map[string]any{"iss": login.URL, "aud": e.URL}))
	wantShut(t, e, "/admin/users", token)
	enrol(t, e, token)
	known := func() {
		t.Helper()
		out, stderr, err := e.Command("mfa", "users", "list", "--address", admin)
		if err != nil || !strings.Contains(out, "alice") {
			t.Errorf("through the socket: %v\n%s%s", err, out, stderr)
		}
	}
	known()
	_, arguments, _ := strings.Cut(read(t, unit), "ExecReload=/usr/local/bin/caddy ")
	arguments, _, _ = strings.Cut(arguments, "\n")
	if _, stderr, err := e.Command(strings.Fields(replaced(t, arguments, "/etc/caddy-mfa/Caddyfile", "Caddyfile"))...); err != nil {
		t.Errorf("reloading: %v\n%s", err, stderr)
	}
	e.Stop()
	e.Start("")
	known()
	for _, name := range []string{"state/mfa.db", "state/mfa.key"} {
		if info, err := os.Stat(filepath.Join(e.Dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, info, err)
		}
	}
	if _, err := os.Stat(filepath.Join(e.Dir, "data")); err == nil {
		t.Error("something is kept outside of the state")
	}
}
