// Package demo is a small web application for trying the product: a backend
// with a sign-in of its own, a public page and any number of others. It
// knows nothing of a second factor. Each of its pages shows what the request
// told it, so that one sees what a gate in front of it changes.
//
// Anybody can sign in as anybody, and read the mails that the product left in
// a folder: it is for one's own machine. It answers only to hosts that its
// browser cannot have been lured to by another site.
package demo

import (
	"context"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/caddymfa/caddy-mfa/internal/loopback"
)

// Config is what an App is made of.
type Config struct {
	// Name is what the application is called.
	Name string
	// Origin is where browsers reach it, such as http://localhost:8080.
	Origin string
	// MFA is where the product's page stands, such as /mfa/.
	MFA string
	// Cookie is the cookie that keeps the access token.
	Cookie string
	// Sign makes an access token for somebody who signs in, good for
	// lifetime.
	Sign func(ctx context.Context, who Person, lifetime time.Duration) (token string, err error)
	// Verify returns the subject of an access token that is good.
	Verify func(ctx context.Context, token string) (subject string, err error)
	// Outbox is the folder that gets the product's mails, "" for none.
	Outbox string
	// Fail is told what went wrong on this side.
	Fail func(what string, err error)
}

// App serves the application. It is safe for concurrent use.
type App struct {
	config Config
	forms  http.CrossOriginProtection
	routes *http.ServeMux
}

// New makes an App.
func New(config Config) *App {
	a := &App{config: config, routes: http.NewServeMux()}
	a.routes.HandleFunc("GET /{$}", a.home)
	a.routes.HandleFunc("GET /sign-in", a.signInPage)
	a.routes.HandleFunc("POST /sign-in", a.signIn)
	a.routes.HandleFunc("POST /sign-out", a.signOut)
	a.routes.HandleFunc("GET /inbox", a.inbox)
	a.routes.HandleFunc("GET /base.css", asset("base.css", "text/css; charset=utf-8"))
	a.routes.HandleFunc("GET /demo.css", asset("demo.css", "text/css; charset=utf-8"))
	a.routes.HandleFunc("GET /icon.svg", asset("icon.svg", "image/svg+xml"))
	a.routes.HandleFunc("GET /demo.js", asset("demo.js", "text/javascript; charset=utf-8"))
	a.routes.HandleFunc("/", a.told)
	return a
}

func (a *App) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Security-Policy", contentSecurityPolicy)
	// Not no-referrer, with which browsers send forms without an Origin.
	header.Set("Referrer-Policy", "same-origin")
	if !a.knows(r.Host) {
		// A name of somebody else's that was made to lead to this machine.
		http.Error(w, "The demo answers at "+a.config.Origin+" only.", http.StatusMisdirectedRequest)
		return
	}
	if err := a.forms.Check(r); err != nil {
		http.Error(w, "This was sent by a page of another site: open "+a.config.Origin+" and try again.", http.StatusForbidden)
		return
	}
	a.routes.ServeHTTP(w, r)
}

// knows reports whether host, with or without a port, is this machine or the
// one that the application is known by.
func (a *App) knows(host string) bool {
	if _, own, _ := strings.Cut(a.config.Origin, "://"); strings.EqualFold(own, host) {
		return true
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return loopback.Host(strings.Trim(host, "[]"))
}

// home is the public page at /, for programs what any page is for them.
func (a *App) home(w http.ResponseWriter, r *http.Request) {
	if !wantsHTML(r) {
		a.told(w, r)
		return
	}
	a.show(w, r, http.StatusOK, "home", page{})
}

// wantsHTML reports whether a browser asks, and not a program.
func wantsHTML(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "text/html") }
