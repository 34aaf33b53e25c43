package etcdtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/testtool"
)

// System returns the etcd that is installed.
func System(t testing.TB) string {
	t.Helper()
	return testtool.Need(t, "etcd")
}

// Current returns a current etcd, built from the module in server. The test
// is skipped where its sources cannot be had.
func Current(t testing.TB) string {
	t.Helper()
	path, err := build()
	if err != nil {
		testtool.Missing(t, "a current etcd cannot be built: %v", err)
	}
	return path
}

var built bool

// build puts the program where the system keeps what can be made again, so
// that each test that asks for it links it once at most.
var build = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "caddy-mfa-etcd-")
	if err != nil {
		return "", err
	}
	built = true
	path := filepath.Join(folder, "etcd")
	_, file, _, _ := runtime.Caller(0)
	cmd := exec.Command("go", "build", "-o", path, ".")
	cmd.Dir = filepath.Join(filepath.Dir(file), "server")
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, strings.TrimSpace(string(out)))
	}
	return path, nil
})

// Main runs the tests of a package and removes what was built for them.
func Main(m *testing.M) int {
	code := m.Run()
	Clean()
	return code
}

// Clean removes what was built. Nothing of it may run any more.
func Clean() {
	if built {
		if path, err := build(); err == nil {
			os.RemoveAll(filepath.Dir(path))
		}
	}
}
