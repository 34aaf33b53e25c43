package api

import (
	"errors"
	"net/http"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/gate"
)

// Presented is what was found, and taken out, of a request's assertions, so
// that the gates behind need not look again.
type Presented struct {
	tokens
	by *Handler // whose findings these are
	// wrapped says that an assertion came as the bearer, and credentials what
	// it told.
	wrapped     bool
	credentials credentials
	// opened says that the cookie was looked at, and shown what it told.
	opened bool
	shown  *mfa.Shown
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

// Withhold takes out of a request what only the edge may say or see. It is for
// one that was refused, and that an upstream may get all the same, to make a
// page of its own.
func Withhold(r *http.Request) {
	gate.StripIdentity(r)
	if presented(r).assertion != "" {
		delete(r.Header, "Authorization")
	}
	removeAssertionCookie(r)
}

// WithholdBody takes the body out of a request for a route of ours that an
// upstream gets as Withhold says: it may hold a code that is still good.
func WithholdBody(r *http.Request) {
	r.Body, r.ContentLength, r.TransferEncoding, r.Trailer = http.NoBody, 0, nil, nil
	r.Header.Del("Content-Length")
}

// Pass makes a request that presents an assertion fit for an upstream, in
// place: an assertion that came as the bearer is replaced by the login's
// access token in it, and the cookie is taken out; one that is no good any
// more is cleared. It returns what it found, nil when it has answered with a
// refusal, as to early data: what it could do with that, a replay would do
// again.
func (h *Handler) Pass(w http.ResponseWriter, r *http.Request) *Presented {
	if early(r) {
		h.refuse(w, r, errTooEarly)
		return nil
	}
	found := &Presented{tokens: presented(r), by: h}
	if found.cookie != "" {
		removeAssertionCookie(r)
		// Where it cannot be said now whether the cookie is good, it is left
		// as it is: nothing on this route depends on it.
		o, err := h.open(r.Context(), found.cookie)
		if err == nil && !o.undecided {
			found.opened, found.shown = true, o.shown
			if o.shown == nil {
				clearCookie(w)
			}
		}
	}
	if found.assertion != "" {
		c, err := h.complete(r, found)
		if err != nil {
			h.noteRefused(r, err)
			h.refuse(w, r, err)
			return nil
		}
		found.wrapped, found.credentials = true, c
		r.Header["Authorization"] = []string{c.asBearer}
	}
	return found
}

// refuse answers a request for a proxied route.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	setHeaders(w)
	h.exposeRefusal(w, r)
	h.fail(w, r, err)
}

func isInvalidAssertion(err error) bool { return errors.Is(err, mfa.ErrInvalidAssertion) }
