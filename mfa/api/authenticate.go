package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/bearer"
	"github.com/caddymfa/caddy-mfa/mfa/gate"
	"github.com/caddymfa/caddy-mfa/mfa/internal/tokencache"
)

// Assertions opens assertions and tells whether their sessions go on;
// mfa.Service does. mfa.ErrInvalidAssertion is returned for a token that is
// no good assertion.
type Assertions interface {
	OpenAssertion(ctx context.Context, token string) (*mfa.Shown, error)
	Live(ctx context.Context, shown *mfa.Shown) (bool, error)
}

// CookieName is the cookie that carries an assertion. Its prefix keeps
// other hosts, and plain http, from setting it.
const CookieName = "__Host-mfa"

// Bounds of the cache of opened assertions. What changes outside of a
// record, such as a withdrawn signing key, counts within the time; a sign-out
// or a reset at once.
const (
	assertionCacheBytes = 32 << 20
	assertionCacheTime  = time.Minute
)

// credentials are what a request brought, verified.
type credentials struct {
	token    string // the login's access token
	identity bearer.Identity
	byCookie bool // the token came by cookie

	// shown is the second factor that a live assertion of the same person
	// tells of, nil for none.
	shown *mfa.Shown
	// asBearer is not "" when the assertion came as the bearer: it is the
	// Authorization header in which the access token takes its place.
	asBearer string
	// staleCookie says that a cookie came whose assertion is no good.
	staleCookie bool
}

// errUnusable is the refusal of an assertion that came as the bearer.
func errUnusable(reason string) error {
	return &apiError{
		status: http.StatusUnauthorized, code: "invalid_token",
		message:   refusedToken + reason,
		challenge: realm + `, error="invalid_token", error_description="` + quotable(reason) + `"`,
	}
}

// authenticate verifies what a request brought. What was found in it before
// may be nil.
func (h *Handler) authenticate(r *http.Request, found *Presented) (credentials, error) {
	switch {
	case found == nil:
		found = &Presented{tokens: presented(r)}
	case found.by != h:
		// Another handler's word does not count here, as when the
		// configuration was changed in between.
		found = &Presented{tokens: found.tokens}
	}
	c, err := h.complete(r, found)
	h.noteRefused(r, err)
	return c, err
}

// noteRefused logs why an access token was refused, which an operator has to
// know where a login's tokens are other than configured. The reason is one of
// few and holds nothing of the token.
func (h *Handler) noteRefused(r *http.Request, err error) {
	if err == nil {
		return
	}
	reason := ""
	switch e, ok := err.(*apiError); {
	case errors.Is(err, bearer.ErrInvalidToken):
		reason = cutSentinel(err, bearer.ErrInvalidToken)
	case ok && e.code == "invalid_token":
		reason = strings.TrimPrefix(e.message, refusedToken)
	default:
		return
	}
	h.log.Info("access token refused", zap.String("reason", reason),
		zap.String("path", cut(r.URL.Path, maxLoggedPath)), zap.String("client_ip", h.clientIP(r)))
}

// tokens are the tokens of ours that a request presents.
type tokens struct {
	assertion string // as the bearer
	cookie    string // in the cookie
}

// presented finds the assertions in a request.
func presented(r *http.Request) tokens {
	var t tokens
	for _, value := range r.Header["Authorization"] {
		if token, ok := bearerOf(value); ok && mfa.IsAssertion(token) {
			t.assertion = token
		}
	}
	for _, line := range r.Header["Cookie"] {
		if !strings.Contains(line, CookieName) {
			continue // most cookies are others', and not worth parsing
		}
		for pair := range strings.SplitSeq(line, ";") {
			name, value, _ := strings.Cut(pair, "=")
			switch {
			case strings.TrimSpace(name) != CookieName:
			case t.cookie != "":
				t.cookie = noAssertion // which one counts is not for us to guess
			default:
				t.cookie = cookieValue(value)
			}
		}
	}
	return t
}

// noAssertion stands for a cookie that is there and none that could be good.
const noAssertion = "none"

// cookieValue returns the assertion in a cookie, or what stands for none.
func cookieValue(s string) string {
	if s = unquoted(s); s != "" {
		return s
	}
	return noAssertion
}

// unquoted returns the value of a cookie as it stands behind the equals sign,
// without the quotes that it may have (RFC 6265, 4.1.1).
func unquoted(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > 1 && s[0] == '"' && s[len(s)-1] == '"' {
		s = s[1 : len(s)-1]
	}
	return s
}

// complete verifies the access token, and the assertion beside or around it,
// as far as Pass has not done so for this request.
func (h *Handler) complete(r *http.Request, found *Presented) (credentials, error) {
	ctx := r.Context()
	if found.wrapped {
		return found.credentials, nil
	}
	if found.assertion != "" {
		if len(r.Header["Authorization"]) > 1 {
			return credentials{}, errTwoAuthorizations
		}
		return h.unwrap(ctx, found.assertion)
	}
	var c credentials
	var err error
	if c.token, c.byCookie, err = h.token(r); err != nil {
		return c, err
	}
	if c.identity, err = h.verifier.Verify(ctx, c.token); err != nil {
		return c, err
	}
	if found.cookie == "" {
		return c, nil
	}
	shown := found.shown
	if !found.opened {
		opened, err := h.open(ctx, found.cookie)
		if err != nil || opened.undecided {
			return c, err
		}
		shown = opened.shown
	}
	if shown == nil || shown.Issuer != c.identity.Issuer || shown.Subject != c.identity.Subject {
		c.staleCookie = true
		return c, nil
	}
	c.shown = shown
	return c, nil
}

// unwrap verifies an assertion that came as the bearer, and the access token
// that it carries.
func (h *Handler) unwrap(ctx context.Context, token string) (credentials, error) {
	opened, err := h.open(ctx, token)
	if err != nil {
		return credentials{}, err
	}
	shown := opened.shown
	if shown == nil {
		return credentials{}, errUnusable("the assertion has expired, was ended, or is not of this service: send your login's access token, and verify or refresh again")
	}
	if shown.Bearer == "" {
		return credentials{}, errUnusable("this assertion carries no access token: it is for the cookie, send fullAccessToken")
	}
	identity, err := h.verifier.Verify(ctx, shown.Bearer)
	if err != nil {
		return credentials{}, err
	}
	if shown.Issuer != identity.Issuer || shown.Subject != identity.Subject {
		return credentials{}, errUnusable("the assertion and the access token in it are of different people")
	}
	return credentials{token: shown.Bearer, identity: identity, shown: shown, asBearer: opened.authorization}, nil
}

// opened is what an assertion tells.
type opened struct {
	shown *mfa.Shown
	// authorization is the header that the access token in it makes, "" where
	// there is none. shown.Bearer is a part of it.
	authorization string
	// undecided says that it may yet be found good.
	undecided bool
}

// open returns what an assertion tells, nothing when it is no good any more
// or never was.
func (h *Handler) open(ctx context.Context, token string) (opened, error) {
	o, ok := h.opened.Get(token)
	if !ok {
		if !mfa.IsAssertion(token) {
			return opened{}, nil
		}
		shown, err := h.service.OpenAssertion(ctx, token)
		if isInvalidAssertion(err) {
			return opened{undecided: errors.Is(err, mfa.ErrUndecidedAssertion)}, nil
		}
		if err != nil {
			return opened{}, err
		}
		o = opened{shown: shown}
		if shown.Bearer != "" {
			o.authorization = "Bearer " + shown.Bearer
			shown.Bearer = o.authorization[len("Bearer "):]
		}
		until := h.now().Add(assertionCacheTime)
		if shown.ExpiresAt.Before(until) {
			until = shown.ExpiresAt
		}
		h.opened.Put(token, o, o.size(), until)
	}
	live, err := h.service.Live(ctx, o.shown)
	if err != nil || !live {
		return opened{}, err
	}
	return o, nil
}

// size is about how much memory all that o points to takes, in bytes.
func (o opened) size() int {
	const fixed = 512
	return fixed + len(o.shown.Issuer) + len(o.shown.Subject) + len(o.authorization)
}

// caller authenticates the request and returns for whom it speaks.
func (h *Handler) caller(r *http.Request) (mfa.Caller, error) {
	c, err := h.authenticate(r, nil)
	if err != nil {
		return mfa.Caller{}, err
	}
	return h.callerOf(r, c), nil
}

// callerOf is the person whose credentials a request brought.
func (h *Handler) callerOf(r *http.Request, c credentials) mfa.Caller {
	caller := mfa.Caller{
		Issuer:        c.identity.Issuer,
		Subject:       c.identity.Subject,
		Claimed:       c.identity.Claimed,
		Email:         c.identity.Email,
		Organizations: c.identity.Organizations,
		Roles:         c.identity.Roles,
		AuthTime:      c.identity.AuthTime,
		Token:         c.token,
		Client:        h.client(r),
	}
	if caller.AuthTime.IsZero() {
		caller.AuthTime = c.identity.IssuedAt
	}
	if c.shown != nil {
		caller.Session = c.shown.Session
	}
	return caller
}

// maxUserAgent is how much of a User-Agent is kept, in bytes.
const maxUserAgent = 256

// client is where a request comes from.
func (h *Handler) client(r *http.Request) mfa.Client {
	agent := r.UserAgent()
	if len(agent) > maxUserAgent {
		agent = agent[:maxUserAgent]
	}
	return mfa.Client{IP: h.clientIP(r), UserAgent: printable(agent)}
}

// printable keeps what a person can be shown of a header's value.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e {
			return -1
		}
		return r
	}, s)
}

// AssertionCache remembers what assertions told. Handlers that follow one
// another may share it as long as their Services are over the same store, with
// the same keys and issuer of assertions: whether a session goes on is asked
// with every request. It is safe for concurrent use.
type AssertionCache struct {
	opened *tokencache.Cache[opened]
}

// NewAssertionCache makes an AssertionCache, in 32 MiB at most. A nil clock
// means time.Now.
func NewAssertionCache(now func() time.Time) *AssertionCache {
	if now == nil {
		now = time.Now
	}
	return &AssertionCache{tokencache.New[opened](assertionCacheBytes, now)}
}

// removeAssertionCookie takes the cookie out of a request, so that the
// upstream does not get it.
func removeAssertionCookie(r *http.Request) {
	if r.Header["Cookie"] != nil {
		gate.RemoveCookie(r.Header, CookieName)
	}
}
