package postgres

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/caddymfa/caddy-mfa/caddymodule"
)

func TestTheCaddyfileIsAdaptedToItsJSON(t *testing.T) {
	t.Setenv("MFA_DSN", "adapted-secret")
	source, err := os.ReadFile("testdata/full.caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/full.json")
	if err != nil {
		t.Fatal(err)
	}
	adapted, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt(source, nil)
	if err != nil || len(warnings) > 0 {
		t.Fatalf("%v, %v", warnings, err)
	}
	var config struct {
		Apps struct {
			MFA struct {
				Store json.RawMessage `json:"store"`
			} `json:"mfa"`
		} `json:"apps"`
	}
	if err := json.Unmarshal(adapted, &config); err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := json.Indent(&got, config.Apps.MFA.Store, "", "\t"); err != nil {
		t.Fatal(err)
	}
	if got.String() != string(bytes.TrimSpace(want)) {
		t.Errorf("is adapted to\n%s\nwant\n%s", &got, want)
	}
}

func TestABadOptionIsRefusedInTheCaddyfile(t *testing.T) {
	for _, row := range []struct{ options, want string }{
		{"dsn", "dsn: takes one value, not 0"},
		{`dsn ""`, "dsn: the value is empty"},
		{"dsn a b", "dsn: takes one value, not 2"},
		{"dsn a\n dsn b", `option "dsn" is given twice in store postgres`},
		{"host db", `unknown option "host" in store postgres: it takes dsn, fresh, listen, max_connections, stale, timeout`},
		{"max_connections 0", `max_connections: "0" is no whole number from 1 up`},
		{"fresh 0", "fresh: must be longer than 0"},
		{"stale never", `stale: "never" is no duration`},
		{"timeout 0", "timeout: must be longer than 0"},
		{"timeout soon", `timeout: "soon" is no duration`},
	} {
		err := new(Store).UnmarshalCaddyfile(caddyfile.NewTestDispenser("postgres {\n" + row.options + "\n}"))
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%q: %v, want %q", row.options, err, row.want)
		}
	}
	err := new(Store).UnmarshalCaddyfile(caddyfile.NewTestDispenser("postgres postgres://db/mfa"))
	if err == nil || !strings.Contains(err.Error(), "takes no value, only a block") {
		t.Errorf("a value beside the name: %v", err)
	}
}

func TestABadDSNIsRefusedWithoutBeingRepeated(t *testing.T) {
	t.Setenv("MFA_TEST_EMPTY", "")
	for _, row := range []struct{ dsn, want string }{
		{"", "dsn: missing"},
		{"{env.MFA_TEST_EMPTY}", "dsn: "},
		{"postgres://mfa:hunter2@db:port/mfa", "the port is no number"},
		{"postgres://mfa:hunter2%zz@db/mfa", "it is no URL"},
		{"mfa hunter2", "it is neither a URL"},
		{"postgres://mfa:hunter2@db/mfa?sslmode=hunter2", "sslmode"},
		{"postgres://mfa:hunter2@db/mfa?sslrootcert=/nowhere.pem&sslmode=verify-full", "/nowhere.pem"},
		{"postgres://mfa:hunter2@db/mfa?pool_max_conns=many", "pool_"},
		{"postgres://mfa:hunter2@db/mfa?connect_timeout=soon", "connect_timeout"},
		{"postgres://mfa:hunter2@db/mfa?target_session_attrs=best", "target_session_attrs"},
		{"postgres://mfa:hun/ter2@db/mfa", "dsn: "},
		{"host=db password=hunter2 'x", "dsn: "},
	} {
		s := Store{DSN: row.dsn}
		err := s.Provision(caddy.Context{})
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%q: %v, want %q", row.dsn, err, row.want)
		}
		if err != nil && strings.Contains(strings.ReplaceAll(err.Error(), "/", ""), "hunter2") {
			t.Errorf("%q: the error repeats it: %v", row.dsn, err)
		}
	}
	s := Store{DSN: "postgres://mfa@db/mfa", Listen: "postgres://mfa:hunter2@db:port/mfa"}
	if err := s.Provision(caddy.Context{}); err == nil || !strings.HasPrefix(err.Error(), "listen: ") {
		t.Errorf("a bad listen: %v", err)
	}
}

func TestFreshAndStaleHaveBounds(t *testing.T) {
	for want, near := range map[string]caddymodule.Near{
		"fresh: must be from 100ms to 10s": {Fresh: caddy.Duration(time.Millisecond)},
		"stale: must be at most 1h":        {Stale: caddy.Duration(2 * time.Hour)},
	} {
		s := Store{DSN: "postgres://mfa@db/mfa", Near: near}
		if err := s.Provision(caddy.Context{}); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestThePoolKeyTellsStoresApartAndNoPassword(t *testing.T) {
	t.Setenv("MFA_TEST_DSN", "postgres://mfa:hunter2@db/mfa")
	seen := make(map[string]bool)
	for _, s := range []Store{
		{DSN: "{env.MFA_TEST_DSN}"},
		{DSN: "postgres://mfa:hunter3@db/mfa"},
		{DSN: "{env.MFA_TEST_DSN}", Listen: "{env.MFA_TEST_DSN}"},
		{DSN: "{env.MFA_TEST_DSN}", MaxConnections: 3},
		{DSN: "{env.MFA_TEST_DSN}", Timeout: 3},
	} {
		if err := s.Provision(caddy.Context{}); err != nil {
			t.Fatal(err)
		}
		key := s.PoolKey()
		if seen[key] || strings.Contains(key, "hunter") {
			t.Errorf("the key of %+v is %s", s, key)
		}
		seen[key] = true
	}
	same := Store{DSN: "postgres://mfa:hunter2@db/mfa"}
	if err := same.Provision(caddy.Context{}); err != nil || !seen[same.PoolKey()] {
		t.Errorf("the same database has two keys (%v)", err)
	}
}
