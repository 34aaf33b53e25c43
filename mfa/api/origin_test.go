package api_test

import (
	"strings"
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
		"http://192.0.2.7:8080":     "http://192.0.2.7:8080",
		"http://app_1.internal":     "http://app_1.internal",
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
		"https://a.example;script-src", "https://a.example,https:", "https://a.example,b.example", "https://a.example;:8443",
		"https://'none'", "https://a\"b", "https://a(b", "https://a!b", "https://a%3Bb", "https://a%2Cb", "https://a%20b",
	} {
		if got, err := api.ParseOrigin(raw); err == nil {
			t.Errorf("%s is taken for %q", raw, got)
		}
	}
}

func TestWhatAHostCannotHaveIsNamed(t *testing.T) {
	for raw, want := range map[string]string{
		"https://a.example;x": "';'", "https://a.example,b.example": "','", "https://a.example;:8443": "';'", "https://'none'": `'\''`,
	} {
		if _, err := api.ParseOrigin(raw); err == nil || !strings.Contains(err.Error(), raw) || !strings.Contains(err.Error(), want+" in it") {
			t.Errorf("%s: the error is %v", raw, err)
		}
	}
}
