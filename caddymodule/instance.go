package caddymodule

import (
	"github.com/caddyserver/caddy/v2"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/api"
)

// instance is what serves requests for one configuration.
type instance struct {
	app     *App
	handler *api.Handler
	service *mfa.Service
	journal *journal
	*state
}

// activeApp returns the app of the configuration in force, nil for none.
func activeApp() *App {
	module, err := caddy.ActiveContext().AppIfConfigured("mfa")
	if err != nil {
		return nil
	}
	return module.(*App)
}
