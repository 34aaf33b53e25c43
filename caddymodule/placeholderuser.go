package caddymodule

import (
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddymfa/caddy-mfa/mfa/api"
)

// userPrefix is what the placeholders of the user begin with, as of Caddy's
// own authentication.
const userPrefix = "http.auth.user."

// meet makes user the one that the placeholders {http.auth.user.*} tell of.
// What an authentication before has set tells of somebody else, and goes.
func (v *visit) meet(r *http.Request, user api.User) {
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok || user.ID == "" {
		return
	}
	repl.DeleteByPrefix(userPrefix)
	first := v.user == nil
	v.user = &user
	if first {
		repl.Map(v.placeholder)
	}
}

// placeholder is the value of a placeholder, made when it is asked for.
func (v *visit) placeholder(name string) (any, bool) {
	field, ok := strings.CutPrefix(name, userPrefix)
	if !ok {
		return nil, false
	}
	switch field {
	case "id":
		return v.user.ID, true
	case "issuer":
		return v.user.Issuer, true
	case "email":
		return v.user.Email, true
	case "mfa_methods":
		return strings.Join(v.user.Methods, ","), true
	case "mfa_acr":
		return v.user.ACR, true
	case "mfa_auth_time":
		if v.user.AuthTime.IsZero() {
			return "", true
		}
		return v.user.AuthTime.UTC().Format(time.RFC3339), true
	}
	return nil, false
}
