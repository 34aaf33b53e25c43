package main_test

import (
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

func TestATokenInACookieWorksOnlyForPagesOfTheSiteOrOfAListedOrigin(t *testing.T) {
	e := edgetest.New(t)
	config := strings.Replace(withBearer("dev", "cookie session"), "issuer Acme\n", "issuer Acme\ncors_origins https://app.example.com\n", 1)
	e.Start(config)
	token := e.Token("alice", nil)
	send := func(method, path, origin, cookie, authorization string) edgetest.Answer {
		var body any
		if method == "POST" {
			body = map[string]any{"mfaType": "GOOGLE_AUTH"}
		}
		r := e.Request(method, path, authorization, body)
		r.Header.Set("Cookie", cookie)
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		return e.Send(r)
	}
	cookie := "theme=dark; session=" + token
	for _, test := range []struct {
		method, origin, cookie string
		status                 int
	}{
		{"GET", "", cookie, 200},
		{"GET", "https://evil.example", cookie, 200},
		{"POST", e.URL, cookie, 200},
		{"POST", "https://app.example.com", cookie, 200},
		{"POST", "", cookie, 403},
		{"POST", "null", cookie, 403},
		{"POST", "https://evil.example", cookie, 403},
		{"POST", "https://app.example.com.evil.example", cookie, 403},
		{"POST", "http://app.example.com", cookie, 403},
		{"POST", "http://localhost", cookie, 403},
		{"GET", "", "session=", 401},
		{"GET", "", "session=nonsense", 401},
		{"GET", "", "other=" + token, 401},
		{"GET", "", cookie + "; session=" + token, 400},
	} {
		path := map[string]string{"GET": "/mfa/status", "POST": "/mfa/setup"}[test.method]
		answer := send(test.method, path, test.origin, test.cookie, "")
		if answer.Status != test.status {
			t.Errorf("%s from %q with %.20q: %d %s, want %d", test.method, test.origin, test.cookie, answer.Status, answer.Body, test.status)
		}
		if allowed := answer.Header.Get("Access-Control-Allow-Origin"); (allowed != "") != (test.origin == "https://app.example.com") {
			t.Errorf("%s from %q: Access-Control-Allow-Origin is %q", test.method, test.origin, allowed)
		}
	}
	// The header comes first, and no page can send it unasked.
	if answer := send("POST", "/mfa/setup", "https://evil.example", "session=nonsense", token); answer.Status != 200 {
		t.Errorf("with the header: %d %s", answer.Status, answer.Body)
	}
	if answer := send("GET", "/mfa/status", "", cookie, "nonsense"); answer.Status != 401 {
		t.Errorf("with a bad header: %d %s", answer.Status, answer.Body)
	}
}
