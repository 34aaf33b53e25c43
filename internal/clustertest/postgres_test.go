package clustertest

import (
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/faultproxy"
	"github.com/caddymfa/caddy-mfa/internal/pgtest"
)

func TestAClusterOnPostgreSQL(t *testing.T) {
	Run(t, func(t *testing.T) Engine {
		server := pgtest.New(t)
		database := server.Database()
		var proxies []*faultproxy.Proxy
		for range nodes {
			proxies = append(proxies, faultproxy.New(t, server.Address))
		}
		return Engine{
			Secret: pgtest.Password,
			Store: func(node int) (string, []string) {
				dsn := pgtest.DSN(proxies[node].Address, pgtest.Superuser, database)
				return "store postgres {\n\tdsn {env.MFA_DSN}\n\ttimeout 2s\n}", []string{"MFA_DSN=" + dsn}
			},
			Cut:     func(node int) { proxies[node].Cut() },
			Silence: func(node int) { proxies[node].Silence() },
			Mend:    func(node int) { proxies[node].Mend(t) },
			Crashes: map[string]func(){
				"PostgreSQL": func() {
					server.Kill()
					server.Start()
				},
			},
		}
	})
}
