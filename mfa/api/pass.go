package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/gate"
)

// carriedKey is the context key under which Pass leaves, for the gates
// behind it, what it took out of a request.
type carriedKey struct{}

// carried is what Pass took out of a request, and what it found out about
// it, so that the gates behind it need not look again.
type carried struct {
	tokens
	by *Handler // whose findings these are
	// wrapped is what the assertion told that came as the bearer, nil for
	// none.
	wrapped *credentials
	// opened says that the cookie was looked at, and shown what it told.
	opened bool
	shown  *mfa.Shown
}

// carriedBy returns what Pass took out of r, nil when r did not go through
// Pass.
func carriedBy(r *http.Request) *carried {
	c, _ := r.Context().Value(carriedKey{}).(*carried)
	return c
}

// Carries reports whether a request presents an assertion, in which case
// Pass must see it before an upstream does.
func Carries(r *http.Request) bool {
	if r.Header["Authorization"] == nil && r.Header["Cookie"] == nil {
		return false
	}
	return presented(r) != tokens{}
}

// Strip takes out of a request what only the edge may say about a second
// factor.
func Strip(r *http.Request) { gate.StripIdentity(r) }

// Pass makes a request that presents an assertion fit for an upstream: an
// assertion that came as the bearer is replaced by the login's access token
// in it, and the cookie is taken out; one that is no good any more is
// cleared. It returns the request to go on with, nil when it has answered
// with a refusal.
func (h *Handler) Pass(w http.ResponseWriter, r *http.Request) *http.Request {
	t := presented(r)
	found := &carried{tokens: t, by: h}
	r = r.WithContext(context.WithValue(r.Context(), carriedKey{}, found))
	r.Header = r.Header.Clone()
	if t.cookie != "" {
		removeAssertionCookie(r)
	}
	// Where it cannot be said now whether the cookie is good, it is left as
	// it is: nothing on this route depends on it.
	if t.cookie != "" {
		shown, err := h.open(r.Context(), t.cookie)
		if err == nil {
			found.opened, found.shown = true, shown
			if shown == nil {
				clearCookie(w)
			}
		}
	}
	if t.assertion != "" {
		c, err := h.complete(r, found)
		if err != nil {
			h.refuse(w, r, err)
			return nil
		}
		found.wrapped = &c
		r.Header["Authorization"] = []string{"Bearer " + c.token}
	}
	return r
}

// refuse answers a request for a proxied route.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	setHeaders(w)
	h.exposeRefusal(w, r)
	h.fail(w, r, err)
}

func isInvalidAssertion(err error) bool { return errors.Is(err, mfa.ErrInvalidAssertion) }
