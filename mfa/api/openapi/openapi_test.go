package openapi_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/api/openapi"
)

func document(t *testing.T, prefix, publicURL string) []byte {
	t.Helper()
	d, err := openapi.Document(prefix, publicURL)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestTheServerIsThePublicURLWithThePrefix(t *testing.T) {
	tests := []struct{ prefix, publicURL, want string }{
		{"/mfa", "https://example.com", "https://example.com/mfa"},
		{"/auth/second", "https://login.test:8443", "https://login.test:8443/auth/second"},
		{`/a&"b`, "http://localhost:8080", `http://localhost:8080/a&"b`},
	}
	for _, test := range tests {
		var d struct {
			Servers []struct{ URL string }
		}
		if err := json.Unmarshal(document(t, test.prefix, test.publicURL), &d); err != nil {
			t.Fatalf("%s under %s: %v", test.prefix, test.publicURL, err)
		}
		if len(d.Servers) != 1 || d.Servers[0].URL != test.want {
			t.Errorf("%s under %s: servers are %v, want %s alone", test.prefix, test.publicURL, d.Servers, test.want)
		}
	}
}

func TestNothingButTheServerDependsOnTheConfiguration(t *testing.T) {
	first := document(t, "/mfa", "https://first.test")
	second := document(t, "/auth", "https://second.test")
	changed := bytes.ReplaceAll(first, []byte("https://first.test/mfa"), []byte("https://second.test/auth"))
	if !bytes.Equal(changed, second) {
		t.Error("the documents differ in more than the server")
	}
	if n := bytes.Count(second, []byte("https://second.test/auth")); n != 1 {
		t.Errorf("the server is named %d times, want once", n)
	}
}

func TestADocumentIsNotChangedByAnother(t *testing.T) {
	first := document(t, "/mfa", "https://first.test")
	before := bytes.Clone(first)
	document(t, "/auth", "https://second.test")
	if !bytes.Equal(first, before) {
		t.Error("the first document changed with the second")
	}
}

func TestWhatMakesNoURLIsRefused(t *testing.T) {
	tests := []struct{ prefix, publicURL string }{
		{"/mfa", ""},
		{"/mfa", "example.com"},
		{"/mfa", "ftp://example.com"},
		{"/mfa", "https://"},
		{"/mfa", "https://example.com?x=1"},
		{"/mfa#x", "https://example.com"},
		{"/mfa%zz", "https://example.com"},
	}
	for _, test := range tests {
		if _, err := openapi.Document(test.prefix, test.publicURL); err == nil {
			t.Errorf("%q under %q was taken", test.prefix, test.publicURL)
		}
	}
}
