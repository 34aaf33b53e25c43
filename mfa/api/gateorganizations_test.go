package api_test

import (
	"context"
	"errors"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/api"
	"github.com/caddymfa/caddy-mfa/mfa/bearer"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// forgetful is a Service that cannot keep organizations.
type forgetful struct {
	api.Service
	err   error
	asked int
}

func (f *forgetful) See(ctx context.Context, caller mfa.Caller) error {
	f.asked++
	if f.err != nil {
		return f.err
	}
	return f.Service.See(ctx, caller)
}

func TestAGateThatOpensKeepsTheOrganizationsOfTheToken(t *testing.T) {
	for name, row := range map[string]struct {
		policy   api.Policy
		identity bearer.Identity // of the present employer
		cookie   bool
	}{
		"by a session":    {api.Policy{}, member("alice", "MEMBER", "rival"), true},
		"by the login":    {api.Policy{TrustAMR: []string{"mfa"}}, bearer.Identity{Subject: "alice", Organizations: []string{"rival"}, AMR: []string{"mfa"}}, false},
		"of another, too": {api.Policy{}, member("alice", "MEMBER", "acme", "rival"), true},
	} {
		t.Run(name, func(t *testing.T) {
			f := &forgetful{}
			e := newEdge(t, func(c *api.Config) { f.Service, c.Service = c.Service, f })
			p := e.enrolled(member("alice", "MEMBER", "acme"))
			boss := e.enrolled(member("boss", "OWNER", "acme"))
			token := e.logins.signIn(row.identity)
			for range 5 {
				r := e.request("GET", "/admin", token)
				if row.cookie {
					r.Header.Set("Cookie", "__Host-mfa="+p.cookie)
				}
				if o, a := e.check(row.policy, r); !o.Pass {
					t.Fatalf("%s %s", o.Decision, a.Body)
				}
			}
			if row.cookie && f.asked != 1 {
				t.Errorf("the record was to be written %d times", f.asked)
			}
			e.want(e.post("/mfa/reset", boss.full, `{"resetUserId":"alice"}`), 404, "User not found")
		})
	}
}

func TestAGateIsNotClosedByAStoreThatCannotKeepOrganizationsNow(t *testing.T) {
	for err, want := range map[error]api.Decision{
		store.ErrUnavailable:    api.Passed,
		errors.New("a fault"):   api.Failed,
		nil:                     api.Passed,
		context.Canceled:        api.Failed,
		store.ErrCorrupt:        api.Failed,
		mfa.ErrInvalidAssertion: api.Failed,
	} {
		f := &forgetful{err: err}
		e := newEdge(t, func(c *api.Config) { f.Service, c.Service = c.Service, f })
		p := e.enrolled(member("alice", "MEMBER", "acme"))
		r := e.request("GET", "/admin", e.logins.signIn(member("alice", "MEMBER", "rival")), "Cookie", "__Host-mfa="+p.cookie)
		if o, _ := e.check(api.Policy{}, r); o.Decision != want {
			t.Errorf("%v: %s", err, o.Decision)
		}
	}
}
