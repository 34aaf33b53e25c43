package main_test

import (
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

// demoSite is a configuration with the demo as a backend.
const demoSite = `{
	admin {$ADMIN}
	mfa {
		bearer {
			dev
			cookie session
		}
		public_url http://localhost:{$PORT}
	}
}
http://localhost:{$PORT} {
	bind 127.0.0.1
	mfa_demo
}
`

// TestTheDemoIsRefusedWhereItWouldLetAnybodyIn would fail if a demo that was
// left in a configuration by mistake signed people in for real.
func TestTheDemoIsRefusedWhereItWouldLetAnybodyIn(t *testing.T) {
	for name, test := range map[string]struct{ old, new, want string }{
		"real tokens":     {"\t\t\tdev\n", "\t\t\thmac_secret 0123456789abcdef0123456789abcdef\n", "mfa_demo lets everybody sign in as anybody"},
		"no cookie":       {"\t\t\tcookie session\n", "", "cookie session"},
		"beyond loopback": {"\tbind 127.0.0.1\n", "", "bind 127.0.0.1"},
		"a value":         {"mfa_demo\n", "mfa_demo /x {\n\t\ttitle x\n\t}\n", "mfa_demo takes no options"},
	} {
		t.Run(name, func(t *testing.T) {
			e := edgetest.New(t)
			config := strings.Replace(demoSite, test.old, test.new, 1)
			if log := e.StartRefused(config); !strings.Contains(log, test.want) {
				t.Errorf("it says\n%s\nwant %q", log, test.want)
			}
		})
	}
	e := edgetest.New(t)
	e.NoAPI = true
	e.Start(demoSite)
	if err := e.Reload("{\n\tadmin {$ADMIN}\n}\nhttp://localhost:{$PORT} {\n\tbind 127.0.0.1\n\tmfa_demo\n}\n"); err == nil || !strings.Contains(err.Error(), "mfa_demo needs the global option mfa") {
		t.Errorf("without the option mfa: %v", err)
	}
	// The demo that was running goes on.
	if answer := e.Do("GET", "/x", "", nil); answer.Body != "Hello from the backend: GET /x\n" {
		t.Errorf("%d %s", answer.Status, answer.Body)
	}
}
