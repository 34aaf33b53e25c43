package api_test

import (
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/api"
)

func TestOriginsAreReadAsBrowsersSendThem(t *testing.T) {
	for raw, want := range map[string]string{
		"https://example.com":       "https://example.com",
		"https://Example.COM/":      "https://example.com",
		"https://example.com:443":   "https://example.com",
		"http://example.com:80":     "http://example.com",
		"http://example.com:443":    "http://example.com:443",
		"https://example.com:8443":  "https://example.com:8443",
		"http://[::1]:8080":         "http://[::1]:8080",
		"http://[::1]":              "http://[::1]",
		"https://xn--mnchen-3ya.de": "https://xn--mnchen-3ya.de",
	} {
		if got, err := api.ParseOrigin(raw); err != nil || got != want {
			t.Errorf("%s: %q, %v", raw, got, err)
		}
	}
	for _, raw := range []string{
		"", "example.com", "//example.com", "ftp://example.com", "https://", "https://example.com/x", "https://example.com//",
		"https://example.com?", "https://example.com#", "https://u@example.com", "https://example.com:", "https://example.com:0",
		"https://example.com:99999", "https://münchen.de", "https:example.com", "https://*.example.com", "null",
	} {
		if got, err := api.ParseOrigin(raw); err == nil {
			t.Errorf("%s is taken for %q", raw, got)
		}
	}
}
