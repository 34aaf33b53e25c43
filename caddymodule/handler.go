package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddymfa/caddy-mfa/mfa/api"
)

func init() {
	caddy.RegisterModule(Handler{})
}

// Handler serves the routes of multi-factor authentication, under the
// prefix that the app `mfa` sets, and passes every other request on
// untouched.
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
	app, err := ctx.AppIfConfigured("mfa")
	if errors.Is(err, caddy.ErrNotConfigured) {
		return errors.New("the mfa handler needs the global option mfa: add mfa { … } to the global options")
	}
	if err != nil {
		return fmt.Errorf("loading mfa app: %w", err)
	}
	h.app = app.(*App)
	h.routes = h.app.routes
	return nil
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	route, ok := h.routes.Find(r.URL.Path)
	if !ok {
		return next.ServeHTTP(w, r)
	}
	if !h.app.waitReady(r) {
		api.Unavailable(w)
		return nil
	}
	h.app.handler.ServeHTTP(w, r, route)
	return nil
}

// readyTimeout is how long a request waits for the store. Caddy starts
// apps in no particular order, so some come before it is open.
const readyTimeout = 3 * time.Second

func (a *App) waitReady(r *http.Request) bool {
	select {
	case <-a.ready:
		return true
	default:
	}
	timeout := time.NewTimer(readyTimeout)
	defer timeout.Stop()
	select {
	case <-a.ready:
		return true
	case <-r.Context().Done():
	case <-timeout.C:
	}
	return false
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
