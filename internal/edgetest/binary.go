package edgetest

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
)

// Binary returns the path of the default binary, built with the race
// detector when the test was.
func Binary(t testing.TB) string { return binary(t, "./xcaddy") }

// FullBinary is Binary for the one with every store.
func FullBinary(t testing.TB) string { return binary(t, "./xcaddy/full") }

// binaries are the folders of those that tests have asked for, by the
// package they are built from.
var binaries struct {
	sync.Mutex
	folders map[string]string
}

func binary(t testing.TB, source string) string {
	t.Helper()
	binaries.Lock()
	defer binaries.Unlock()
	const name = "caddy"
	if folder, ok := binaries.folders[source]; ok {
		return filepath.Join(folder, name)
	}
	folder, err := os.MkdirTemp("", "caddy-mfa-test-")
	if err != nil {
		t.Fatal(err)
	}
	if binaries.folders == nil {
		binaries.folders = make(map[string]string)
	}
	binaries.folders[source] = folder
	path := filepath.Join(folder, name)
	args := []string{"build", "-o", path}
	if raceDetector {
		args = append(args, "-race")
	}
	_, file, _, _ := runtime.Caller(0)
	cmd := exec.Command("go", append(args, source)...)
	cmd.Dir = filepath.Join(filepath.Dir(file), "..", "..")
	if out, err := cmd.CombinedOutput(); err != nil {
		delete(binaries.folders, source)
		os.RemoveAll(folder)
		t.Fatalf("building the binary: %v\n%s", err, out)
	}
	return path
}

// Main runs the tests of a package and removes the binaries after them.
func Main(m *testing.M) int {
	code := m.Run()
	for _, folder := range binaries.folders {
		os.RemoveAll(folder)
	}
	return code
}
