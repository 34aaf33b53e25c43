// Command xcaddy is Caddy with caddy-mfa built in, and the embedded store.
// It takes the commands of Caddy:
//
//	go run ./xcaddy run
//	go build -o caddy ./xcaddy
//
// The same is built outside a checkout with Caddy's xcaddy tool:
//
//	xcaddy build --with github.com/caddymfa/caddy-mfa/caddymodule
//
// and from a checkout, with the changes in it, in its folder:
//
//	xcaddy build --with github.com/caddymfa/caddy-mfa/caddymodule --replace github.com/caddymfa/caddy-mfa=.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddymfa/caddy-mfa/caddymodule"
)

func main() {
	caddycmd.Main()
}
