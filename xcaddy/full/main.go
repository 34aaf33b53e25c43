// Command full is Caddy with caddy-mfa built in, and every store:
//
//	go run ./xcaddy/full run --config Caddyfile
//	go build -o caddy ./xcaddy/full
//
// The same is built outside a checkout with Caddy's xcaddy tool, which takes
// a further --with for each store beside the embedded one:
//
//	xcaddy build --with github.com/caddymfa/caddy-mfa/caddymodule --with github.com/caddymfa/caddy-mfa/caddymodule/postgres
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddymfa/caddy-mfa/caddymodule"
	_ "github.com/caddymfa/caddy-mfa/caddymodule/etcd"
	_ "github.com/caddymfa/caddy-mfa/caddymodule/postgres"
)

func main() {
	caddycmd.Main()
}
