package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddymfa/caddy-mfa/mfa/api"
	"github.com/caddymfa/caddy-mfa/mfa/gate"
	"github.com/caddymfa/caddy-mfa/mfa/panics"
)

func init() {
	caddy.RegisterModule(Handler{})
}

// Handler serves the routes of multi-factor authentication, under the
// prefix that the app `mfa` sets, and passes every other request on: an
// assertion in it is exchanged for the login's access token, and what only
// the edge may say of a second factor is taken out. In error routes
// (handle_errors) it takes out alone.
type Handler struct {
	app    *App
	routes *api.Routes
}

// CaddyModule returns the Caddy module information.
func (Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.mfa",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision finds the app.
func (h *Handler) Provision(ctx caddy.Context) error {
	var err error
	if h.app, err = appFor("the mfa handler", ctx); err != nil {
		return err
	}
	h.routes = h.app.routes
	h.app.served = true
	return h.app.checkRoutes(ctx)
}

// appFor returns the app, which a handler needs.
func appFor(handler string, ctx caddy.Context) (*App, error) {
	app, err := ctx.AppIfConfigured("mfa")
	if errors.Is(err, caddy.ErrNotConfigured) {
		return nil, fmt.Errorf("%s needs the global option mfa: add mfa { … } to the global options", handler)
	}
	if err != nil {
		return nil, fmt.Errorf("loading mfa app: %w", err)
	}
	return app.(*App), nil
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	// A panic of what is behind is not for this handler to recover.
	if !h.serve(w, r) {
		if h.app.disown(r) {
			api.WithholdBody(r) // it may hold a code
		}
		return nil
	}
	return next.ServeHTTP(w, r)
}

// serve answers a request, or makes it fit for what is behind and reports
// true.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request) (passes bool) {
	defer panics.Recover(panics.Request, func(error) {
		passes = false
		api.AnswerFailure(w)
	})
	if api.RefuseUnreadable(w, r) {
		return false
	}
	h.app.upgrades.Strip(r)
	gate.Normalize(r)
	route, ours := h.find(r)
	if r.Context().Value(caddyhttp.ErrorCtxKey) != nil {
		// Serving a route would undo the refusal of whatever stands before
		// this handler in the site, such as basic_auth.
		if route != nil {
			api.WithholdBody(r)
		}
		if visitOf(r) == nil {
			api.Withhold(r)
		}
		h.app.keepRefused(r)
		return true
	}
	if route == nil {
		return h.app.pass(w, r)
	}
	handler := h.app.await(r.Context())
	if handler == nil {
		api.Unavailable(w)
		return false
	}
	handler.ServeHTTP(w, ours, route)
	return false
}

// find returns the route of a request and the request as the route serves it,
// or no route. What counts is the path, or else the one that the client sent:
// a try_files or rewrite for the site's own pages runs before this handler, and
// would send the routes, and the codes in their bodies, to the upstream.
func (h *Handler) find(r *http.Request) (*api.Route, *http.Request) {
	if route, ok := h.routes.Find(r.URL.Path); ok {
		return route, r
	}
	sent := sentURL(r)
	if sent.Path == r.URL.Path {
		return nil, nil
	}
	route, ok := h.routes.Find(sent.Path)
	if !ok {
		return nil, nil
	}
	asSent := *r
	u := *sent
	asSent.URL = &u
	return route, &asSent
}

// visitVar is the variable of a request that one of the handlers here has
// made fit for the upstream: what it has put into the request is not to be
// taken out by the next. It holds a *visit.
const visitVar = "mfa.visit"

// visit is what the handlers here know of a request that they have seen.
type visit struct {
	found *api.Presented // nil for nothing
	user  *api.User      // of the last gate, nil for none
	gates uint64         // those that it has passed, a bit each
}

// visitOf returns what is known of r, nil when no handler has seen it.
func visitOf(r *http.Request) *visit {
	v, _ := caddyhttp.GetVar(r.Context(), visitVar).(*visit)
	return v
}

// foreign is the visit of a request in which nothing was found.
var foreign = new(visit)

// pass makes a request that is none of ours, and behind no gate, fit for the
// upstream and reports true, or answers it.
func (a *App) pass(w http.ResponseWriter, r *http.Request) (passes bool) {
	if visitOf(r) != nil {
		return true
	}
	api.Strip(r)
	v := foreign
	if api.Carries(r) {
		handler := a.await(r.Context())
		if handler == nil {
			api.Unavailable(w)
			return false
		}
		found := handler.Pass(w, r)
		if found == nil {
			return false
		}
		v = &visit{found: found}
	}
	caddyhttp.SetVar(r.Context(), visitVar, v)
	return true
}

// startTimeout is how long a request waits for the app to start. Caddy
// starts apps in no particular order, so some requests come before.
const startTimeout = 3 * time.Second

// await returns what serves the routes, once the app has started, or nil.
//
// Where the app does not start, Caddy refuses the configuration and goes
// on with the one before, but the sockets of the refused one may have
// taken requests by then. Where another configuration has come into force,
// connections of the old one may bring more requests. Both are served by
// what runs now: what a configuration no longer trusts counts no more.
func (a *App) await(ctx context.Context) *api.Handler {
	if serving := a.serving(); serving != nil {
		return serving.handler
	}
	select {
	case <-a.started:
	default:
		timeout := time.NewTimer(startTimeout)
		defer timeout.Stop()
		select {
		case <-a.started:
		case <-timeout.C:
		case <-ctx.Done():
			return nil
		}
	}
	serving := a.serving()
	if serving == nil {
		if active := activeApp(); active != nil {
			serving = active.serving()
		}
	}
	if serving == nil {
		return nil
	}
	return serving.handler
}

// serving returns what serves requests, nil before the app has started, where
// it failed to, while its store is out of reach and after it was stopped.
func (a *App) serving() *instance { return a.instance.Load() }

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
