package etcdserver

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
)

// ErrNotInstalled is returned when a program is not there and cannot be made.
var ErrNotInstalled = errors.New("not installed")

// Program finds an etcd, or makes one.
type Program func() (path string, err error)

// System returns the etcd that is installed.
func System() (string, error) {
	path, err := exec.LookPath("etcd")
	if err != nil {
		return "", fmt.Errorf("looking for etcd: %w", ErrNotInstalled)
	}
	return path, nil
}

// made is the folder of the program that Current has built, "" before.
var made string

// Current returns a current etcd, built from the module in the folder
// current. Clean removes it. ErrNotInstalled is returned where its sources
// cannot be had.
var Current Program = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "caddy-mfa-etcd-")
	if err != nil {
		return "", err
	}
	made = folder
	path := filepath.Join(folder, "etcd")
	_, file, _, _ := runtime.Caller(0)
	cmd := exec.Command("go", "build", "-o", path, ".")
	cmd.Dir = filepath.Join(filepath.Dir(file), "current")
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building etcd: %w: %w: %s", ErrNotInstalled, err, strings.TrimSpace(string(out)))
	}
	return path, nil
})

// Clean removes what was built. Nothing of it may run any more.
func Clean() {
	if made != "" {
		_ = os.RemoveAll(made) // of the system's temporary folder
	}
}
