package caddymodule

import (
	"github.com/caddyserver/caddy/v2"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/api"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// instance is what serves requests for one configuration.
type instance struct {
	app     *App
	handler *api.Handler
	service *mfa.Service
	store   store.Store
	keys    *mfa.KeyFile
}

// activeApp returns the app of the configuration in force, nil for none.
func activeApp() *App {
	module, err := caddy.ActiveContext().AppIfConfigured("mfa")
	if err != nil {
		return nil
	}
	return module.(*App)
}
