package caddymodule

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/caddymodule/internal/configtest"
	"github.com/caddymfa/caddy-mfa/internal/routecases"
)

// validated checks a configuration as `caddy validate` does, and returns
// what is logged meanwhile.
func validated(t *testing.T, text string, adapted bool) (log string, err error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "log")
	storage := t.TempDir()
	if adapted {
		err = configtest.ValidateJSON([]byte(strings.Replace(text, "{", fmt.Sprintf(
			`{"logging": {"logs": {"default": {"writer": {"output": "file", "filename": %q}}}}, "storage": {"module": "file_system", "root": %q},`, path, storage), 1)))
	} else {
		err = configtest.Validate(strings.Replace(text, "{\n", fmt.Sprintf("{\n\tlog {\n\t\toutput file %q\n\t}\n\tstorage file_system %q\n", path, storage), 1))
	}
	content, _ := os.ReadFile(path)
	return string(content), err
}

// logging takes out of a configuration what validated puts in.
func logging(text string) string {
	text = strings.Replace(text, "\tlog {\n\t\toutput discard\n\t}\n", "", 1)
	return strings.Replace(text, "\tstorage ", "\t# ", 1)
}

// What loading a configuration says is seen in the package xcaddy, on the
// running binary: validating it says the same, without a start.
func TestValidatingSaysOfRoutesWhatLoadingSays(t *testing.T) {
	cases := routecases.Load(t, "../xcaddy/testdata/matrix")
	t.Chdir(t.TempDir())
	env := map[string]string{"ADMIN": "127.0.0.1:2019", "ROOT": t.TempDir()}
	for _, name := range []string{"PORT", "TLSPORT", "OTHERPORT"} {
		env[name] = fmt.Sprint(20001 + len(env))
	}
	for _, name := range []string{"UPSTREAM", "FCGI", "CHECK"} {
		env[name] = net.JoinHostPort("127.0.0.1", fmt.Sprint(10+len(env)))
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			text := c.Expand(c.Text(env), env)
			log, err := validated(t, text, c.JSON)
			if (err != nil) != (c.Refused != "") {
				t.Fatalf("validating: %v, want %q", err, c.Refused)
			}
			said := log + fmt.Sprint(err)
			for _, want := range c.Wanted(text, env) {
				// The options of the log have moved the lines.
				before, after, numbered := strings.Cut(want, "at Caddyfile:")
				if numbered {
					_, after, _ = strings.Cut(after, " ")
				}
				if !strings.Contains(said, before) || !strings.Contains(said, after) {
					t.Errorf("validating does not say %q: %s", want, said)
				}
			}
			if got := strings.Count(log, `"mfa.routes"`); got > 0 != (len(c.Warns) > 0) && c.Refused == "" {
				t.Errorf("validating logs %d warnings of routes: %s", got, log)
			}
		})
	}
}

func TestAGateBeforeTheLoginIsWarnedOf(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, row := range []struct {
		login, gate, site string
		warned            bool
	}{
		{"https://example.com/login", "mfa_require /*", "example.com", true},
		{"https://example.com/login", "mfa_require", "example.com", true},
		{"https://example.com/login?return_to=", "mfa_require /admin/* /login", "example.com", true},
		{"https://example.com/LOGIN", "mfa_require /login/*", "example.com", true},
		{"https://example.com/login", "mfa_require /admin/*", "example.com", false},
		{"https://example.com/login", "mfa_require", "app.example.com", false},
		{"https://id.example.org/login", "mfa_require", "example.com", false},
		{"https://example.com/login", "@changes method POST\nmfa_require @changes", "example.com", false},
	} {
		text := logging(configtest.Configuration(t, goodOptions+"page {\nlogin_url "+row.login+"\n}\n",
			row.site+" {\nmfa\n"+row.gate+"\nrespond ok\n}\n"))
		log, err := validated(t, text, false)
		if err != nil {
			t.Fatalf("%v: %v", row, err)
		}
		if warned := strings.Contains(log, "login_url is behind a gate"); warned != row.warned {
			t.Errorf("%v: warned is %v: %s", row, warned, log)
		}
	}
	text := logging(configtest.Configuration(t, goodOptions+"page {\nlogin_url https://example.com/login\n}\n",
		"example.com {\nroute {\nrespond /login* fine\nmfa\nmfa_require\nrespond ok\n}\n}\n"))
	if log, err := validated(t, text, false); err != nil || strings.Contains(log, "login_url") {
		t.Errorf("a login that is answered before the gate: %v, %s", err, log)
	}
}

func TestAMissingAudienceIsWarnedOf(t *testing.T) {
	t.Chdir(t.TempDir())
	for options, warned := range map[string]bool{
		goodOptions: true,
		strings.Replace(goodOptions, "bearer {", "bearer {\naudience app\n", 1): false,
		"bearer dev\npublic_url https://example.com\n":                          false,
	} {
		text := logging(configtest.Configuration(t, options, oneSite))
		log, err := validated(t, text, false)
		if got := strings.Contains(log, "audience is not set"); err != nil || got != warned {
			t.Errorf("%s: %v, warned is %v: %s", options, err, got, log)
		}
	}
}
