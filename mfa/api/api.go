// Package api is the product's HTTP interface: its routes, what they take
// and what they answer. It translates between HTTP and package mfa and
// decides nothing itself.
//
// A request goes one way: Routes finds the route for its path, Handler
// authenticates the caller, reads the body, calls one method of
// mfa.Service and writes the answer.
package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/api/openapi"
	"github.com/caddymfa/caddy-mfa/mfa/bearer"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/internal/tokencache"
	"github.com/caddymfa/caddy-mfa/mfa/passkey"
	"github.com/caddymfa/caddy-mfa/mfa/web"
)

// Service is the part of mfa.Service that the routes and the gates call.
type Service interface {
	Assertions

	Setup(ctx context.Context, caller mfa.Caller, request mfa.SetupRequest) (*mfa.Setup, error)
	VerifySetup(ctx context.Context, caller mfa.Caller, t factor.Type, proof factor.Proof) (*mfa.Grant, error)

	VerifyLogin(ctx context.Context, caller mfa.Caller, t factor.Type, proof mfa.LoginProof) (*mfa.Grant, error)
	PasskeyOptions(ctx context.Context, caller mfa.Caller) (passkey.LoginOptions, error)
	SendLink(ctx context.Context, caller mfa.Caller) (*mfa.SentLink, error)
	ActivateMagicLink(ctx context.Context, link mfa.OpenedLink) error
	InspectLink(ctx context.Context, token string) (mfa.LinkInfo, error)
	DenyLink(ctx context.Context, link mfa.OpenedLink) error
	Refresh(ctx context.Context, caller mfa.Caller, token string) (*mfa.Grant, error)
	SignOut(ctx context.Context, caller mfa.Caller, everywhere bool) (ended int, err error)

	Status(ctx context.Context, caller mfa.Caller) (mfa.Status, error)
	Standing(ctx context.Context, caller mfa.Caller) (mfa.Standing, error)
	Knows(ctx context.Context, shown *mfa.Shown, organizations []string) (bool, error)
	See(ctx context.Context, caller mfa.Caller) error
	Methods(ctx context.Context, caller mfa.Caller) ([]mfa.Method, error)
	Enable(ctx context.Context, caller mfa.Caller, t factor.Type) error
	Disable(ctx context.Context, caller mfa.Caller, t factor.Type) error
	SetPrimary(ctx context.Context, caller mfa.Caller, t factor.Type) error
	Reset(ctx context.Context, caller mfa.Caller, subject string, mustEnroll bool) error
	Enforce(ctx context.Context, caller mfa.Caller, enforced bool) error
	ReplaceBackupCodes(ctx context.Context, caller mfa.Caller) ([]string, error)
	Credentials(ctx context.Context, caller mfa.Caller) ([]mfa.Credential, error)
	RenameCredential(ctx context.Context, caller mfa.Caller, id, name string) error
	RemoveCredential(ctx context.Context, caller mfa.Caller, id string) error

	JWKS(ctx context.Context) ([]byte, error)
}

// Verifier checks access tokens. bearer.ErrInvalidToken or
// bearer.ErrKeysUnavailable is returned for one that is not accepted.
type Verifier interface {
	Verify(ctx context.Context, token string) (bearer.Identity, error)
}

// Config is what a Handler is made of.
type Config struct {
	Service  Service  // required
	Verifier Verifier // required
	// Assertions remembers what assertions told; nil means one of the Handler's
	// own.
	Assertions *AssertionCache
	// Cookie is the cookie that may carry the access token, "" for none.
	Cookie string
	// PublicURLs are the origins at which the product is reached itself.
	PublicURLs []string
	// Origins are other origins whose pages may call the API (CORS).
	Origins []string
	// Site is what people meet in a browser. Required.
	Site *web.Site
	// MagicLink says whether links are on offer, and with them their page.
	MagicLink bool
	// Page says whether there is a self-service page at the prefix.
	Page bool
	// Prefix is the path under which the routes stand, such as /mfa.
	Prefix string
	// AdminRoles are the roles whose holders act on others, for refusals
	// to name; none means mfa.DefaultAdminRoles.
	AdminRoles []string
	// LoginURL is where a gate sends browsers that nobody has signed in
	// with, "" for nowhere. Where its query has an empty return_to, that gets
	// the URL of the page that was asked for.
	LoginURL string
	// ClientIP returns the address that a request comes from; nil means
	// that of the connection.
	ClientIP func(*http.Request) string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Log receives what went wrong on this side, and which access tokens were
	// refused; nil means nowhere. Anybody can cause such lines: see package
	// loglimit.
	Log *zap.Logger
}

// Handler serves the routes. It is safe for concurrent use.
type Handler struct {
	service  Service
	verifier Verifier
	cookie   string
	own      []string // origins of the public URLs
	listed   []string // origins of others
	site     *web.Site
	linkPage bool   // whether there is a landing page of magic links
	page     bool   // whether there is a self-service page
	document []byte // the OpenAPI document
	prefix   string
	roles    []string
	loginURL string
	clientIP func(*http.Request) string
	now      func() time.Time
	opened   *tokencache.Cache[opened]
	log      *zap.Logger
}

// New makes a Handler.
func New(config Config) (*Handler, error) {
	if config.Service == nil || config.Verifier == nil || config.Site == nil {
		return nil, errors.New("a service, a verifier and a site are required")
	}
	h := &Handler{
		service:  config.Service,
		verifier: config.Verifier,
		cookie:   config.Cookie,
		site:     config.Site,
		linkPage: config.MagicLink,
		page:     config.Page,
		prefix:   config.Prefix,
		roles:    config.AdminRoles,
		loginURL: config.LoginURL,
		clientIP: config.ClientIP,
		now:      config.Now,
		log:      config.Log,
	}
	if len(h.roles) == 0 {
		h.roles = mfa.DefaultAdminRoles
	}
	if h.clientIP == nil {
		h.clientIP = connectionIP
	}
	if h.now == nil {
		h.now = time.Now
	}
	if config.Assertions == nil {
		config.Assertions = NewAssertionCache(h.now)
	}
	h.opened = config.Assertions.opened
	var err error
	if h.own, err = parseOrigins(config.PublicURLs); err != nil {
		return nil, fmt.Errorf("reading public URLs: %w", err)
	}
	if h.listed, err = parseOrigins(config.Origins); err != nil {
		return nil, fmt.Errorf("reading origins: %w", err)
	}
	if len(h.own) == 0 {
		return nil, errors.New("a public URL is required")
	}
	if h.document, err = openapi.Document(h.prefix, h.own[0]); err != nil {
		return nil, fmt.Errorf("reading OpenAPI document: %w", err)
	}
	if h.log == nil {
		h.log = zap.NewNop()
	}
	return h, nil
}

// parseOrigins parses every one of raw.
func parseOrigins(raw []string) ([]string, error) {
	var origins []string
	for _, u := range raw {
		origin, err := ParseOrigin(u)
		if err != nil {
			return nil, err
		}
		origins = append(origins, origin)
	}
	return origins, nil
}

// ServeHTTP answers r, whose path is that of route.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, route *Route) {
	setHeaders(w)
	err := recovered(w, func(w http.ResponseWriter) error { return h.serve(w, r, route) })
	if err != nil {
		h.fail(w, r, err)
	}
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request, route *Route) error {
	if early(r) {
		h.exposeRefusal(w, r)
		return errTooEarly
	}
	if !route.Offered() {
		h.exposeRefusal(w, r)
		return errNotFound
	}
	if done := h.cors(w, r, route); done {
		return nil
	}
	serve, ok := route.methods[r.Method]
	if !ok && r.Method == http.MethodHead {
		serve, ok = route.methods[http.MethodGet]
	}
	if !ok {
		w.Header().Set("Allow", route.allow())
		return errMethodNotAllowed(r.Method, route.allow())
	}
	return serve(h, w, r)
}

// setHeaders sets what every answer carries.
func setHeaders(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
}

// connectionIP is the address at the other end of the connection.
func connectionIP(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// allowsOrigin reports whether a page of origin o may send requests that
// the browser authenticates by cookie.
func (h *Handler) allowsOrigin(o string) bool {
	return slices.Contains(h.own, o) || slices.Contains(h.listed, o)
}
