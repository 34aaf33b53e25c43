// Package configtest checks what configurations come to: golden files of
// what Caddyfiles are adapted to, and what is refused with which words.
package configtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	_ "github.com/caddyserver/caddy/v2/modules/standard"
)

// Divider stands between a Caddyfile and the JSON it is adapted to.
const Divider = "----------\n"

// Adapt returns the JSON of a Caddyfile.
func Adapt(caddyfile string) ([]byte, []caddyconfig.Warning, error) {
	return caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), map[string]any{"filename": "Caddyfile"})
}

// Configuration is a whole Caddyfile with a global option mfa of options, and
// sites. It runs beside others, logs nothing and keeps out of the home
// folder.
func Configuration(t testing.TB, options, sites string) string {
	t.Helper()
	return fmt.Sprintf(`
{
	admin off
	persist_config off
	storage file_system %q
	log {
		output discard
	}
	mfa {
		%s
	}
}
%s
`, t.TempDir(), options, sites)
}

// Validate adapts a Caddyfile and checks it as `caddy validate` does.
func Validate(caddyfile string) error {
	adapted, _, err := Adapt(caddyfile)
	if err != nil {
		return err
	}
	return ValidateJSON(adapted)
}

// ValidateJSON checks a configuration as `caddy validate` does.
func ValidateJSON(adapted []byte) error {
	var config caddy.Config
	if err := caddy.StrictUnmarshalJSON(adapted, &config); err != nil {
		return err
	}
	return caddy.Validate(&config)
}

// WantRefusal fails the test unless err says all that is wanted, and none of
// secrets.
func WantRefusal(t testing.TB, err error, want []string, secrets ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("the configuration is accepted")
	}
	t.Log(err)
	for _, part := range want {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not say %q: %v", part, err)
		}
	}
	for _, secret := range secrets {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error tells the secret: %v", err)
		}
	}
}

// Golden is a file of testdata/adapt.
type Golden struct{ Name, Caddyfile, Adapted string }

// Goldens returns all of them.
func Goldens(t testing.TB) []Golden {
	t.Helper()
	paths, err := filepath.Glob("testdata/adapt/*.caddyfiletest")
	if err != nil || len(paths) == 0 {
		t.Fatalf("there are no golden files (%v)", err)
	}
	var all []Golden
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		caddyfile, adapted, _ := strings.Cut(string(content), Divider)
		all = append(all, Golden{path, caddyfile, adapted})
	}
	return all
}

// Check holds what the Caddyfiles are adapted to against their files, or
// writes them anew with update. None may hold one of secrets.
func Check(t *testing.T, update bool, secrets ...string) {
	for _, g := range Goldens(t) {
		t.Run(filepath.Base(g.Name), func(t *testing.T) {
			adapted, warnings, err := Adapt(g.Caddyfile)
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range warnings {
				t.Errorf("warning: %v", w)
			}
			var indented bytes.Buffer
			if err := json.Indent(&indented, adapted, "", "\t"); err != nil {
				t.Fatal(err)
			}
			indented.WriteByte('\n')
			if update {
				if err := os.WriteFile(g.Name, []byte(g.Caddyfile+Divider+indented.String()), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if indented.String() != g.Adapted {
				t.Errorf("is adapted to\n%s\nwant\n%s\n(go test -run Adapted -update in the package's folder writes the files anew)", indented.String(), g.Adapted)
			}
			for _, secret := range secrets {
				if strings.Contains(indented.String(), secret) {
					t.Error("a secret was read into the adapted JSON")
				}
			}
		})
	}
}
