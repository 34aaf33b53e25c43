package gate_test

import (
	"net/http"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/gate"
)

func TestAHostLosesTheDotsAtItsEnd(t *testing.T) {
	for host, want := range map[string]string{
		"example.com.":      "example.com",
		"example.com..:443": "example.com:443",
		"example.com":       "example.com",
		"example.com:443":   "example.com:443",
		"[::1]":             "[::1]",
		"[::1]:80":          "[::1]:80",
		"":                  "",
	} {
		r := &http.Request{Host: host}
		if gate.TrimHost(r); r.Host != want {
			t.Errorf("%q becomes %q, want %q", host, r.Host, want)
		}
	}
}
