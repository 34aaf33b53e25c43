package caddymodule

import (
	"errors"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddymfa/caddy-mfa/caddymodule/internal/routecheck"
)

// checkRoutes looks at the routes of all servers, once a configuration, and
// refuses or warns of those that look closed and are open.
//
// The first handler of this package that is provisioned calls it. Caddy has
// the HTTP app in its list by then, whichever app it began with, and has not
// yet replaced the JSON of the routes in which handlers of this package
// stand, so that all of them can be seen. `caddy validate` provisions, too.
func (a *App) checkRoutes(ctx caddy.Context) error {
	if a.report != nil {
		return nil
	}
	app, err := ctx.AppIfConfigured("http")
	if err != nil {
		return nil // the handler is not the HTTP app's
	}
	http, ok := app.(*caddyhttp.App)
	if !ok || a.report != nil {
		return nil
	}
	a.report = routecheck.Check(http.Servers)
	for _, text := range a.report.Warnings {
		a.log.Named("routes").Warn(text)
	}
	a.warnOfLogin()
	if len(a.report.Refusals) > 0 {
		return errors.New(strings.Join(a.report.Refusals, "; "))
	}
	return nil
}

// warnOfLogin warns of a gate before the page that it sends people to.
func (a *App) warnOfLogin() {
	login, err := url.Parse(a.loginURL())
	if err != nil || a.loginURL() == "" {
		return
	}
	origin := login.Scheme + "://" + login.Host
	for _, public := range a.PublicURLs {
		if login.Host == "" || strings.EqualFold(origin, public) {
			if gate := a.report.Covers(login); gate != "" {
				a.log.Named("routes").Warn("page: login_url is behind a gate that sends people there who are not signed in, so that they never arrive: "+
					"give the gate paths that leave the login out", zap.String("gate", gate), zap.String("login_url", a.loginURL()))
			}
			return
		}
	}
}

// serverOf returns the server that a handler is provisioned for, nil when it
// is not one of the HTTP app's.
func serverOf(ctx caddy.Context) *caddyhttp.Server {
	server, _ := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	return server
}

// source is where a directive stands, such as Caddyfile:12.
func source(d *caddyfile.Dispenser) string {
	return filepath.Base(d.File()) + ":" + strconv.Itoa(d.Line())
}
