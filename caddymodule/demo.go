package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddymfa/caddy-mfa/internal/demo"
	"github.com/caddymfa/caddy-mfa/mfa/bearer"
	"github.com/caddymfa/caddy-mfa/mfa/panics"
)

func init() {
	caddy.RegisterModule(Demo{})
}

// Demo is a small web application for trying the product: a backend with a
// sign-in that takes everybody's word for who they are. It works with the
// dev issuer alone, which in turn works on loopback addresses alone.
type Demo struct {
	app  *App
	site *demo.App
}

// CaddyModule returns the Caddy module information.
func (Demo) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.mfa_demo",
		New: func() caddy.Module { return new(Demo) },
	}
}

// parseDemo reads the directive mfa_demo, which takes no options.
func parseDemo(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	h.Next() // mfa_demo
	if h.NextArg() {
		return nil, h.Errf("mfa_demo takes no value, not %q", h.Val())
	}
	if h.NextBlock(h.Nesting()) {
		return nil, h.Errf("mfa_demo takes no options, such as %q", h.Val())
	}
	return new(Demo), nil
}

// Provision finds the app and makes sure that it is one for trying things.
func (d *Demo) Provision(ctx caddy.Context) error {
	var err error
	if d.app, err = appFor("mfa_demo", ctx); err != nil {
		return err
	}
	switch b := d.app.Bearer; {
	case !b.Dev:
		return errors.New("mfa_demo lets everybody sign in as anybody, so it works with the dev issuer alone: " +
			"take mfa_demo out, or have bearer { dev … }, which is refused beyond loopback")
	case b.Cookie == "":
		return errors.New("mfa_demo keeps sign-ins in a cookie that the edge has to know: name one with bearer { dev … cookie session }")
	}
	d.app.demo = true
	// The app's own keeps the claims that gates ask for, and is made later.
	verifier, err := d.app.Bearer.verifier(d.app.devIssuerFile(), nil, d.app.log)
	if err != nil {
		return fmt.Errorf("bearer: %w", err)
	}
	config := demo.Config{
		Name:   d.app.Issuer,
		Origin: d.app.PublicURLs[0],
		MFA:    d.app.Prefix + "/",
		Cookie: d.app.Bearer.Cookie,
		Sign:   d.sign,
		Verify: func(ctx context.Context, token string) (string, error) {
			identity, err := verifier.Verify(ctx, token)
			return identity.Subject, err
		},
		Fail: func(what string, err error) { d.app.limited.Error("demo: "+what, zap.Error(err)) },
	}
	if d.app.MagicLink != nil {
		config.Outbox = d.app.MagicLink.Directory
	}
	d.site = demo.New(config)
	return nil
}

// sign makes an access token that the app accepts.
func (d *Demo) sign(ctx context.Context, who demo.Person, lifetime time.Duration) (string, error) {
	if d.app.await(ctx) == nil { // which has seen to it that all is on loopback
		return "", errors.New("the mfa app has not started")
	}
	issuer, err := bearer.OpenDevIssuer(d.app.devIssuerFile())
	if err != nil {
		return "", err
	}
	b := d.app.Bearer
	claims, err := b.devClaims(who.Subject, lifetime, nil, time.Now())
	if err != nil {
		return "", err
	}
	if who.Name != "" {
		claims["name"] = who.Name
	}
	if who.Email != "" {
		claims[b.claimName("email", "email")] = who.Email
	}
	if who.Organization != "" {
		claims[b.claimName("organization", "organization")] = who.Organization
	}
	if who.Roles != nil {
		claims[b.claimName("roles", "roles")] = who.Roles
	}
	return issuer.Sign(claims)
}

func (d *Demo) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	if err := panics.Try(panics.Demo, func() error { d.site.ServeHTTP(w, r); return nil }); err != nil {
		http.Error(w, "The demo met a bug: see the log.", http.StatusInternalServerError)
	}
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Demo)(nil)
	_ caddyhttp.MiddlewareHandler = (*Demo)(nil)
)
