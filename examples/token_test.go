package examples_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

// bearerOf is the token that the upstream got last.
func bearerOf(t *testing.T, e *edgetest.Edge) string {
	t.Helper()
	requests := e.Upstream.Requests()
	if len(requests) == 0 {
		t.Fatal("the upstream got no request")
	}
	token, ok := strings.CutPrefix(requests[len(requests)-1].Header.Get("Authorization"), "Bearer ")
	if !ok {
		t.Fatalf("the upstream got %v", requests[len(requests)-1].Header)
	}
	return token
}

// claim reads a claim of a token, as text.
func claim(t *testing.T, token, name string) string {
	t.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]any
	if err := json.Unmarshal(payload, &all); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(all[name])
}
