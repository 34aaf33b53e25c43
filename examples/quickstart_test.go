package examples_test

import (
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
	"github.com/caddymfa/caddy-mfa/internal/issuertest"
)

func TestTheQuickstartGuardsAdmin(t *testing.T) {
	e, login := edgetest.New(t), issuertest.Start(t)
	caddyfile := read(t, "quickstart/Caddyfile")
	wantValid(t, e, caddyfile)
	e.Start(here(t, e, caddyfile, "example.com", "https://login.example.com", login.URL))

	about := map[string]any{"iss": login.URL, "aud": e.URL}
	token := login.Token(claims("alice", about))
	wantOpen(t, e, "/hello", token)
	wantShut(t, e, "/admin/users", token)
	_, full := enrol(t, e, token)
	wantShut(t, e, "/admin/users", token)
	wantOpen(t, e, "/admin/users", full)
	requests := e.Upstream.Requests()
	if h := requests[len(requests)-1].Header; h.Get("X-MFA-User") != "alice" || h.Get("Authorization") != "Bearer "+token {
		t.Errorf("the backend gets %v", h)
	}
	// A token that the login made for another backend is none here.
	about["aud"] = "https://other.example.com"
	e.Do("GET", "/admin/users", login.Token(claims("alice", about)), nil).WantError(t, 401, "invalid_token", "")
}
