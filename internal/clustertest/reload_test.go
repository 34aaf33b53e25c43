package clustertest

import (
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/faultproxy"
	"github.com/caddymfa/caddy-mfa/internal/pgtest"
)

func TestAReloadKeepsTheStoreThatServes(t *testing.T) {
	server := pgtest.New(t, "fsync=off")
	proxy := faultproxy.New(t, server.Address)
	dsn := pgtest.DSN(proxy.Address, pgtest.Superuser, server.Database())
	const option = "store postgres {\n\tdsn {env.MFA_DSN}\n\ttimeout 2s\n}"
	c := Start(t, Engine{
		Secret: pgtest.Password,
		Store:  func(int) (string, []string) { return option, []string{"MFA_DSN=" + dsn} },
	})
	p := c.enrolled(t)
	node := c.Nodes[0]
	current := strings.Replace(caddyfile, "STORE", option, 1)
	reload := func(changes ...string) error {
		t.Helper()
		return node.Reload(strings.NewReplacer(changes...).Replace(current))
	}
	if err := reload("issuer Acme", "issuer Other"); err != nil {
		t.Errorf("with the same store: %v", err)
	}
	if err := reload("timeout 2s", "timeout 3s"); err != nil {
		t.Errorf("with another limit of time: %v", err)
	}
	for what, change := range map[string][2]string{
		"a server that is not there":   {"{env.MFA_DSN}", strings.Replace(dsn, proxy.Address, "127.0.0.1:1", 1)},
		"a database that there is not": {"{env.MFA_DSN}", pgtest.DSN(proxy.Address, pgtest.Superuser, "nowhere")},
	} {
		err := reload(change[0], change[1])
		if err == nil || !strings.Contains(err.Error(), "opening store") || strings.Contains(err.Error(), pgtest.Password) {
			t.Errorf("%s: %v", what, err)
		}
	}
	p.login(t, c, 0, p.backup[0]).WantMessage(t, "MFA verification successful")

	// In an outage none is taken over, with what its gates remember.
	c.wantOpen(t, p.access)
	proxy.Cut()
	if err := reload("issuer Acme", "issuer Another"); err == nil || !strings.Contains(err.Error(), "store unavailable") {
		t.Errorf("in an outage: %v", err)
	}
	c.wantOpen(t, p.access)
	p.login(t, c, 0, p.backup[1]).WantError(t, 503, "unavailable", "")
	proxy.Mend(t)
	c.works(t, 0)
	p.login(t, c, 0, p.backup[1]).WantMessage(t, "MFA verification successful")
}
