package etcd

import (
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddymfa/caddy-mfa/caddymodule/internal/configtest"
)

var update = flag.Bool("update", false, "write what the Caddyfiles in testdata are adapted to into their files")

const password = "hunter2-hunter2"

func TestCaddyfilesAreAdaptedToTheirJSON(t *testing.T) {
	t.Setenv("ETCD_PASSWORD", password)
	configtest.Check(t, *update, password)
}

// configuration is a whole Caddyfile with options of the store.
func configuration(t *testing.T, options string) string {
	t.Helper()
	return configtest.Configuration(t, `
	bearer {
		hmac_secret 0123456789abcdef0123456789abcdef
	}
	public_url https://example.com
	store etcd {
		`+options+`
	}
`, "http://127.0.0.1:0 {\n\tmfa\n}\n")
}

func TestAGoodConfigurationIsAcceptedWithoutConnectingToAnything(t *testing.T) {
	t.Setenv("ETCD_PASSWORD", password)
	for name, options := range map[string]string{
		"endpoints alone":          "endpoints etcd.invalid:2379",
		"several endpoints":        "endpoints http://etcd-1.invalid:2379 http://etcd-2.invalid:2379/",
		"an address":               "endpoints [::1]:2379",
		"prefix that is a path":    "endpoints https://etcd.invalid:2379\nprefix /acme/mfa",
		"user":                     "endpoints https://etcd.invalid:2379\nusername caddy\npassword {env.ETCD_PASSWORD}",
		"authorities nobody reads": "endpoints https://etcd.invalid:2379\ntls {\nca /nowhere/ca.pem\n}",
		"certificate":              "endpoints etcd.invalid:2379\ntls {\ncert a.pem\nkey b.pem\nserver_name etcd\n}",
		"patience":                 "endpoints etcd.invalid:2379\ntimeout 1m",
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			if err := configtest.Validate(configuration(t, options)); err != nil {
				t.Error(err)
			}
			if made, err := os.ReadDir("."); err != nil || len(made) != 0 {
				t.Errorf("checking the configuration made %v, %v", made, err)
			}
		})
	}
}

func TestABadOptionIsRefusedWithItsNameAndTheMend(t *testing.T) {
	t.Setenv("MFA_TEST_EMPTY", "")
	for _, row := range []struct {
		name    string
		options string
		want    []string
	}{
		{"no endpoints", "prefix x", []string{"store", "endpoints: name the members", "https://etcd-1.example.com:2379"}},
		{"endpoints without a value", "endpoints", []string{"endpoints: takes one value or more"}},
		{"endpoint without a port", "endpoints https://etcd.example.com", []string{"endpoints", "https://etcd.example.com", "https://host:port"}},
		{"endpoint of another kind", "endpoints ftp://etcd.example.com:2379", []string{"endpoints", "ftp://", "https://host:port"}},
		{"endpoint with a path", "endpoints https://etcd.example.com:2379/v3", []string{"endpoints", "https://host:port"}},
		{"both kinds of endpoints", "endpoints https://a.example.com:2379 http://b.example.com:2379", []string{"endpoints", "give all of them https"}},
		{"tls beside a plain endpoint", "endpoints http://a.example.com:2379\ntls {\nca x\n}", []string{"endpoints", "not encrypted", "tls is set", "write https"}},
		{"prefix with a slash behind", "endpoints a:1\nprefix mfa/", []string{"prefix", "ends with a slash", "take it off"}},
		{"prefix that is too long", "endpoints a:1\nprefix " + strings.Repeat("x", 257), []string{"prefix", "257 bytes", "256"}},
		{"user without a password", "endpoints a:1\nusername caddy", []string{"password: missing"}},
		{"password without a user", "endpoints a:1\npassword " + password, []string{"username: missing"}},
		{"password that is not there", "endpoints a:1\nusername caddy\npassword {env.MFA_TEST_EMPTY}", []string{"password", "is the environment variable set"}},
		{"certificate without its key", "endpoints a:1\ntls {\ncert x\n}", []string{"tls: cert and key belong together"}},
		{"unknown option", "endpoints a:1\nhosts b", []string{`unknown option "hosts" in store etcd`, "endpoints"}},
		{"unknown option of tls", "endpoints a:1\ntls {\ninsecure\n}", []string{`unknown option "insecure" in tls`, "ca, cert, key, server_name"}},
		{"option given twice", "endpoints a:1\nendpoints b:1", []string{`"endpoints" is given twice in store etcd`}},
		{"no time at all", "endpoints a:1\ntimeout 0", []string{"timeout: must be longer than 0"}},
		{"too fresh", "endpoints a:1\nfresh 1ms", []string{"fresh: must be from 100ms to 10s"}},
		{"too stale", "endpoints a:1\nstale 1d", []string{"stale: must be at most 1h"}},
		{"time that is none", "endpoints a:1\ntimeout soon", []string{"timeout", `"soon" is no duration`}},
	} {
		t.Run(row.name, func(t *testing.T) {
			configtest.WantRefusal(t, configtest.Validate(configuration(t, row.options)), row.want, password)
		})
	}
}

func TestBadJSONIsRefusedWithTheMend(t *testing.T) {
	for _, row := range []struct {
		name  string
		store string
		want  []string
	}{
		{"unknown field", `{"engine":"etcd","hosts":["a:1"]}`, []string{"store", `unknown field "hosts"`}},
		{"negative time", `{"engine":"etcd","endpoints":["a:1"],"timeout":-1}`, []string{"store", "timeout: must not be negative"}},
		{"empty endpoint", `{"engine":"etcd","endpoints":[""]}`, []string{"store", "endpoints", "https://host:port"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			config, err := json.Marshal(map[string]any{
				"admin":   map[string]any{"disabled": true},
				"storage": map[string]any{"module": "file_system", "root": t.TempDir()},
				"logging": map[string]any{"logs": map[string]any{"default": map[string]any{"writer": map[string]any{"output": "discard"}}}},
				"apps": map[string]any{"mfa": map[string]any{
					"bearer":      map[string]any{"hmac_secret": "0123456789abcdef0123456789abcdef"},
					"public_urls": []string{"https://example.com"},
					"store":       json.RawMessage(row.store),
				}},
			})
			if err != nil {
				t.Fatal(err)
			}
			configtest.WantRefusal(t, configtest.ValidateJSON(config), row.want)
		})
	}
}

func TestConfigurationsThatDifferShareNoStore(t *testing.T) {
	key := func(s Store) string {
		t.Helper()
		if err := s.Provision(caddy.Context{}); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(s.PoolKey(), s.Password) && s.Password != "" {
			t.Errorf("the key tells the password: %s", s.PoolKey())
		}
		return s.PoolKey()
	}
	all := map[string]bool{}
	for _, s := range []Store{
		{Endpoints: []string{"a:1"}},
		{Endpoints: []string{"b:1"}},
		{Endpoints: []string{"a:1"}, Prefix: "x"},
		{Endpoints: []string{"a:1"}, Username: "u", Password: "p1"},
		{Endpoints: []string{"a:1"}, Username: "u", Password: "p2"},
		{Endpoints: []string{"a:1"}, TLS: &TLS{}},
		{Endpoints: []string{"a:1"}, TLS: &TLS{CA: "x"}},
		{Endpoints: []string{"a:1"}, Timeout: 1},
	} {
		if all[key(s)] {
			t.Errorf("%+v has the key of another", s)
		}
		all[key(s)] = true
	}
	if !all[key(Store{Endpoints: []string{"a:1"}})] {
		t.Error("the same configuration has another key")
	}
}
