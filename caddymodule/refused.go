package caddymodule

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddymfa/caddy-mfa/mfa/api"
)

// refusedPath, below the prefix, is what a request that a gate has refused
// asks for from then on. It is no route of the API.
const refusedPath = "/refused"

// sentVar is the variable of a refused request that holds the URL which the
// client sent, for gates in error routes.
const sentVar = "mfa.sent"

// sentURL returns the URL of r as the client sent it: rewrite, uri,
// handle_path, try_files and php_fastcgi change r.URL alone. Where Caddy has
// not kept it, r.URL is all there is.
func sentURL(r *http.Request) *url.URL {
	original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	if !ok || original.URL == nil {
		return r.URL
	}
	if strings.HasSuffix(original.URL.Path, refusedPath) {
		if sent, ok := caddyhttp.GetVar(r.Context(), sentVar).(*url.URL); ok {
			return sent
		}
	}
	return original.URL
}

// disown keeps a request that was refused from an upstream, as it was asked:
// Caddy hands it to error routes and response handlers, which may have a
// reverse_proxy. From here on it asks for another path, which a rewrite to
// an error page replaces. Where no upstream can get it, it stays as it is.
//
// Caddy restores the URL from the original request before it runs error
// routes, and FastCGI sends the original one, so that changes too. Its
// RequestURI, {http.request.orig_uri}, still says what was asked for.
// What only the edge may say or see is taken out as well. It reports whether
// an upstream can get the request.
func (a *App) disown(r *http.Request) bool {
	server, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok || a.report == nil || !a.report.HandsOn(server) {
		return false
	}
	api.Withhold(r)
	refused := url.URL{Path: a.Prefix + refusedPath}
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok && original.URL != nil {
		if original.URL.Path != refused.Path {
			sent := *original.URL
			caddyhttp.SetVar(r.Context(), sentVar, &sent)
		}
		*original.URL = refused
	}
	*r.URL = refused
	r.RequestURI = refused.Path
	r.Header.Del("Destination") // of WebDAV: a second path
	return true
}

// keepRefused is disown for a request in an error route which has come there
// before every gate that guards it has let it pass, such as one that
// basic_auth has refused. A rewrite that stands before is left alone.
func (a *App) keepRefused(r *http.Request) {
	server, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok {
		return
	}
	original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	if !ok || original.URL == nil {
		return
	}
	v := visitOf(r)
	for i, g := range a.gates[server] {
		if v != nil && v.passed(i) || !g.guards(r, original.URL, v == nil) {
			continue
		}
		now := *r.URL
		rewritten := now.Path != original.URL.Path
		a.disown(r)
		if rewritten {
			*r.URL = now
			r.RequestURI = now.RequestURI()
		}
		return
	}
}

// guards reports whether the gate's paths guard a request for u, or unsure
// for a gate without paths, about which its place in the routes decides.
func (g *Gate) guards(r *http.Request, u *url.URL, unsure bool) bool {
	if g.policy.Paths == nil {
		return unsure
	}
	return g.policy.Paths.MatchRequest(u, r)
}

// passed reports whether the gate of that index let the request pass.
func (v *visit) passed(index int) bool { return index < 64 && v.gates&(1<<index) != 0 }

// pass notes that it did.
func (v *visit) pass(index int) {
	if index < 64 {
		v.gates |= 1 << index
	}
}
