//go:build unix

package seal_test

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/seal"
)

// Nobody may be writing into it, ever.
func TestAPipeInThePlaceOfTheKeyFileIsNotWaitedFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mfa.key")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := seal.LoadOrCreate(path); !errors.Is(err, seal.ErrBadKeyFile) {
		t.Errorf("got %v", err)
	}
}
