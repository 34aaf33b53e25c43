package main_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

// identity reports whether a backend may take name for a header X-MFA-….
// CGI and its heirs turn whatever is no letter or digit into one sign.
func identity(name string) bool {
	folded := strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		default:
			return '_'
		}
	}, name)
	return strings.HasPrefix(folded, "X_MFA_")
}

func TestWhatAClientSaysOfItsFactorNeverArrives(t *testing.T) {
	e := edgetest.New(t)
	e.Start(gated(adminGate))
	alice := enrolled(t, e, "alice", nil)
	spoofed := []string{
		"X-MFA-User: root", "x-mfa-user: root", "X_MFA_User: root", "x_mfa-user: root", "X.MFA.User: root", "X-MFA_ACR: phr", "x~mfa~acr: phr",
		"X-MFA-Methods: PASSKEY", "X_MFA_METHODS: PASSKEY", "X-Mfa-Auth-Time: 2030-01-01T00:00:00Z", "X!MFA!User: root", "X-MFA-Anything: root",
	}
	arrived := func(target string, headers ...string) *http.Request {
		t.Helper()
		before := len(e.Upstream.Requests())
		if answer := e.Raw("GET "+target, headers...); answer.Status != 200 {
			t.Fatalf("%s: %d %s", target, answer.Status, answer.Body)
		}
		got := e.Upstream.Requests()
		if len(got) != before+1 {
			t.Fatalf("%s: the upstream got %d requests", target, len(got)-before)
		}
		return got[before]
	}
	for name, auth := range map[string]string{
		"the login's token": "Authorization: Bearer " + alice.token, "nothing": "X-Else: x", "an assertion": "Authorization: Bearer " + alice.pair.access,
	} {
		for header := range arrived("/public", append(spoofed, auth)...).Header {
			if identity(header) {
				t.Errorf("with %s, %s arrives where no gate is", name, header)
			}
		}
	}
	want := map[string]string{"X-Mfa-User": "alice", "X-Mfa-Methods": "GOOGLE_AUTH", "X-Mfa-Acr": "mfa", "X-Mfa-Auth-Time": ""}
	for _, extra := range [][]string{
		nil, {"Connection: close, X-MFA-User, x-mfa-acr"}, {"Connection: X-MFA-User", "Connection: X-MFA-Methods,X-MFA-Auth-Time"},
	} {
		headers := append(append(spoofed, "Authorization: Bearer "+alice.pair.access), extra...)
		got := arrived("/admin/x", headers...).Header
		for header, values := range got {
			if expected, ok := want[header]; identity(header) && (!ok || len(values) != 1 || expected != "" && values[0] != expected) {
				t.Errorf("with %q, %s is %q behind the gate", extra, header, values)
			}
		}
		for header := range want {
			if got.Get(header) == "" || strings.HasPrefix(got.Get(header), "2030") {
				t.Errorf("with %q, %s is %q behind the gate", extra, header, got.Get(header))
			}
		}
	}
}

// A trailer is a header to backends that merge the two.
func TestATrailerCannotSayItEither(t *testing.T) {
	e := edgetest.New(t)
	trailers := make(chan http.Header, 1)
	e.Upstream.Serve(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		trailers <- r.Trailer
	}))
	e.Start(gated(adminGate))
	alice := enrolled(t, e, "alice", nil)
	for _, path := range []string{"/public", "/admin/x"} {
		r := e.Request("POST", path, alice.pair.access, nil)
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader("body")), -1
		r.Trailer = http.Header{"X-Mfa-User": {"root"}, "X_mfa_acr": {"phr"}, "Sum": {"1"},
			"Authorization": {"Bearer " + e.Token("bob", nil)}, "Cookie": {"session=" + e.Token("bob", nil)}}
		if answer := e.Send(r); answer.Status != 200 {
			t.Fatalf("%d %s", answer.Status, answer.Body)
		}
		for name := range <-trailers {
			if name != "Sum" {
				t.Errorf("%s: the trailer %s arrives", path, name)
			}
		}
	}
}
