package loopback_test

import (
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/loopback"
)

func TestOnlyThisMachineIsLoopback(t *testing.T) {
	for _, host := range []string{"localhost", "LOCALHOST", "localhost.", "app.localhost", "127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"} {
		if !loopback.Host(host) {
			t.Errorf("%q is not", host)
		}
	}
	for _, host := range []string{"", "localhost.example.com", "notlocalhost", "0.0.0.0", "::", "10.0.0.1", "127.0.0.1.example.com", "[::1]"} {
		if loopback.Host(host) {
			t.Errorf("%q is", host)
		}
	}
}
