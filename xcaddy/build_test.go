package main_test

import (
	"bytes"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// dependencies returns the packages that a build of patterns is made of.
func dependencies(t *testing.T, patterns ...string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-deps"}, patterns...)...)
	cmd.Dir = ".." // of the module
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, errs.String())
	}
	return strings.Fields(string(out))
}

func TestTheDefaultBuildHasNoStoreButTheEmbeddedOne(t *testing.T) {
	// Caddy itself brings pgx, for its certificate authority.
	caddy := dependencies(t, "github.com/caddyserver/caddy/v2/cmd", "github.com/caddyserver/caddy/v2/modules/standard")
	client := func(path string) bool {
		return strings.HasPrefix(path, "github.com/jackc/") ||
			strings.HasPrefix(path, "go.etcd.io/etcd/") || strings.HasPrefix(path, "google.golang.org/grpc")
	}
	for _, path := range dependencies(t, "./xcaddy") {
		if client(path) && !slices.Contains(caddy, path) {
			t.Errorf("the default build links %s, which Caddy does not", path)
		}
		for _, store := range []string{"/postgres", "/etcd"} {
			if strings.HasPrefix(path, "github.com/caddymfa/") && strings.HasSuffix(path, store) {
				t.Errorf("the default build links %s", path)
			}
		}
	}
	full := dependencies(t, "./xcaddy/full")
	for _, path := range []string{"mfa/store/bolt", "mfa/store/postgres", "mfa/store/etcd"} {
		if !slices.Contains(full, "github.com/caddymfa/caddy-mfa/"+path) {
			t.Errorf("the full build does not link %s", path)
		}
	}
}
