package main_test

import (
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

func TestEveryCaddyfileOfTheStoresPageIsValid(t *testing.T) {
	r := readDocument(t, "docs/stores.md")
	e := edgetest.New(t)
	e.Full = true
	e.Env = []string{"MFA_DSN=postgres://mfa:s3cret@db/mfa", "MFA_LISTEN_DSN=postgres://mfa:s3cret@db/mfa",
		"ETCD_PASSWORD=s3cret"}
	r.take("sql", "CREATE TABLE") // mfa/store/postgres
	for _, b := range r.blocks {
		if b.language != "caddyfile" {
			t.Errorf("nothing tests this %s block:\n%s", b.language, b.text)
			continue
		}
		e.Write("shown", b.text)
		if _, stderr, err := e.Command("validate", "--config", "shown", "--adapter", "caddyfile"); err != nil {
			t.Errorf("%v\n%s", err, stderr)
		}
	}
}

func TestAStoreThatIsNotBuiltInIsNamedWithWhatBuildsItIn(t *testing.T) {
	e := edgetest.New(t)
	for engine, module := range map[string]string{"postgres": "postgres", "etcd": "etcd", "redis": "postgres"} {
		e.Write("other", strings.Replace(edgetest.Caddyfile, "		issuer Acme\n", "		issuer Acme\n		store "+engine+"\n", 1))
		_, stderr, err := e.Command("validate", "--config", "other", "--adapter", "caddyfile")
		if err == nil || !strings.Contains(stderr, `no engine \"`+engine+`\"`) || !strings.Contains(stderr, "caddymodule/"+module) {
			t.Errorf("%s: %v: %s", engine, err, stderr)
		}
	}
}

func TestTheRightStoreIsNeitherReachedNorToldByValidate(t *testing.T) {
	e := edgetest.New(t)
	e.Full = true
	e.Write("Caddyfile", strings.Replace(edgetest.Caddyfile, "		issuer Acme\n", "		issuer Acme\n		store postgres {\n			dsn {env.MFA_DSN}\n		}\n", 1))
	for dsn, want := range map[string]string{
		"postgres://mfa:hunter2@127.0.0.1:1/mfa":    "",
		"postgres://mfa:hunter2@127.0.0.1:port/mfa": "the port is no number",
		"": "is the environment variable set",
	} {
		e.Env = []string{"MFA_DSN=" + dsn}
		stdout, stderr, err := e.Command("validate")
		if (err != nil) != (want != "") || !strings.Contains(stderr, want) || strings.Contains(stdout+stderr, "hunter2") {
			t.Errorf("%q: %v\n%s", dsn, err, stderr)
		}
	}
}
