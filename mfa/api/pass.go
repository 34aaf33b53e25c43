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

// carriedBy returns what Pass took out of r.
func carriedBy(r *http.Request) (tokens, bool) {
	t, ok := r.Context().Value(carriedKey{}).(tokens)
	return t, ok
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
	r = r.WithContext(context.WithValue(r.Context(), carriedKey{}, t))
	r.Header = r.Header.Clone()
	if t.cookie != "" {
		removeAssertionCookie(r)
	}
	if t.assertion != "" {
		c, err := h.unwrap(r.Context(), t.assertion)
		if err != nil {
			h.refuse(w, r, err)
			return nil
		}
		r.Header["Authorization"] = []string{"Bearer " + c.token}
		return r
	}
	// Where it cannot be said now whether the cookie is good, it is left as
	// it is: nothing on this route depends on it.
	if shown, err := h.open(r.Context(), t.cookie); err == nil && shown == nil {
		clearCookie(w)
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
