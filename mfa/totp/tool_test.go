package totp

import (
	"os"
	"os/exec"
	"testing"
)

// tool returns the path of an outside program. Without it the test is
// skipped, or fails where MFA_TEST_REQUIRE_ALL=1 says that all is there.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("MFA_TEST_REQUIRE_ALL") == "1" {
		t.Fatalf("%s is not installed, and MFA_TEST_REQUIRE_ALL=1", name)
	}
	t.Skipf("%s is not installed", name)
	return ""
}
