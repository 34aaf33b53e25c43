// Package testtool finds the programs that some tests drive. A test skips
// when its program is not installed, and fails instead where the
// environment says that everything must be there, so that a continuous
// integration run cannot be green by skipping.
package testtool

import (
	"os"
	"os/exec"
	"testing"
)

// RequireAll is the environment variable that, set to 1, makes a missing
// tool a failure.
const RequireAll = "MFA_TEST_REQUIRE_ALL"

// Need returns the path of the first of names that is installed.
func Need(t testing.TB, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	Missing(t, "%s is not installed", names[0])
	return ""
}

// Missing skips the test, or fails it where all tools are required.
func Missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv(RequireAll) == "1" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}
