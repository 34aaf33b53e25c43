package clients_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"
)

// seen is a request as it reached the server.
type seen struct {
	method, uri string
	header      http.Header
	body        []byte
}

func TestEveryClientSendsTheDocumentedRequest(t *testing.T) {
	requests := make(chan seen, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading the request: %v", err)
		}
		requests <- seen{r.Method, r.RequestURI, r.Header, body}
		// Refusals that are not ours, say of a proxy, need not be JSON.
		http.Error(w, "<h1>Bad Gateway</h1>", http.StatusBadGateway)
	}))
	defer server.Close()

	for _, c := range clients {
		t.Run(c.name, func(t *testing.T) {
			require(t, c)
			checkFailed(t, start(t, c.command(t), server.URL, "the-token"), "MFA setup failed: the server answered 502")
			if len(requests) != 1 {
				t.Fatalf("the server got %d requests, want 1", len(requests))
			}
			checkRequest(t, <-requests)
		})
	}
}

func checkRequest(t *testing.T, got seen) {
	t.Helper()
	if got.method != http.MethodPost || got.uri != "/mfa/setup" {
		t.Errorf("the request is %s %s, want POST /mfa/setup", got.method, got.uri)
	}
	for name, want := range map[string]string{
		"Content-Type":  "application/json",
		"Accept":        "application/json",
		"Authorization": "Bearer the-token",
	} {
		if values := got.header.Values(name); len(values) != 1 || values[0] != want {
			t.Errorf("%s is %q, want %q", name, values, want)
		}
	}
	var sent, want any
	if err := json.Unmarshal(got.body, &sent); err != nil {
		t.Fatalf("the body is not JSON: %v\n%s", err, got.body)
	}
	if err := json.Unmarshal([]byte(documented), &want); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(sent, want) {
		t.Errorf("the body is %s, want %s", got.body, documented)
	}
}
