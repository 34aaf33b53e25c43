package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddymfa/caddy-mfa/internal/loopback"
	"github.com/caddymfa/caddy-mfa/mfa/bearer"
)

// startDevIssuer makes the key pair of `bearer dev`, if every site is out
// of strangers' reach: who can run commands on this machine can be anyone.
func (a *App) startDevIssuer() error {
	if err := a.requireLoopback(); err != nil {
		return fmt.Errorf("bearer dev: %w", err)
	}
	if _, err := bearer.OpenDevIssuer(a.devIssuerFile()); err != nil {
		return fmt.Errorf("bearer dev: %w", err)
	}
	a.log.Warn("INSECURE: bearer dev accepts tokens that anyone on this machine can make; never use it in production",
		zap.String("key", a.devIssuerFile()))
	return nil
}

// requireLoopback refuses a configuration in which a server listens on an
// address that other machines may reach.
func (a *App) requireLoopback() error {
	app, err := a.ctx.AppIfConfigured("http")
	if errors.Is(err, caddy.ErrNotConfigured) {
		return nil // no sites
	}
	if err != nil {
		return fmt.Errorf("looking for sites: %w", err)
	}
	for name, server := range app.(*caddyhttp.App).Servers {
		for _, listen := range server.Listen {
			address, err := caddy.ParseNetworkAddress(listen)
			if err != nil {
				return fmt.Errorf("reading listen address of server %s: %w", name, err)
			}
			if !address.IsUnixNetwork() && !loopback.Host(address.Host) {
				return fmt.Errorf("a site listens on %s, which is not loopback only: add `bind 127.0.0.1` to the site, or check real tokens", listen)
			}
		}
	}
	return nil
}

// announce ends the log of a start with where to go next. Caddy logs that
// it serves the configuration right after it has made it the active one,
// so the announcement waits one tick longer.
func (a *App) announce(ctx context.Context) {
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for active := false; !active; {
		active = a.active()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
	begin := "ready: get a token with `"
	if a.demo {
		a.log.Info("ready: open " + a.PublicURLs[0] + " in a browser")
		begin = "or get a token with `"
	}
	a.log.Info(begin + program() + " mfa token --subject alice`")
	a.log.Info("then: curl -X POST " + a.PublicURLs[0] + a.Prefix + "/setup" +
		` -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" -d '{"mfaType":"GOOGLE_AUTH"}'`)
}

// active reports whether a belongs to the configuration being served.
func (a *App) active() bool { return activeApp() == a }

// program is how the running program was started, for commands to copy.
func program() string {
	if strings.Contains(os.Args[0], "go-build") {
		return "go run ./xcaddy"
	}
	return os.Args[0]
}
