package caddymodule

import (
	"bytes"
	"encoding/json"
	stdflag "flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"

	_ "github.com/caddyserver/caddy/v2/modules/standard"
)

var update = stdflag.Bool("update", false, "write what the Caddyfiles in testdata are adapted to into their files")

// divider stands between a Caddyfile and the JSON it is adapted to.
const divider = "----------\n"

// adapt returns the JSON of a Caddyfile.
func adapt(caddyfile string) ([]byte, []caddyconfig.Warning, error) {
	return caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), map[string]any{"filename": "Caddyfile"})
}

// golden is a file of testdata/adapt.
type golden struct{ name, caddyfile, adapted string }

func goldens(t *testing.T) []golden {
	t.Helper()
	paths, err := filepath.Glob("testdata/adapt/*.caddyfiletest")
	if err != nil || len(paths) == 0 {
		t.Fatalf("there are no golden files (%v)", err)
	}
	var all []golden
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		caddyfile, adapted, _ := strings.Cut(string(content), divider)
		all = append(all, golden{path, caddyfile, adapted})
	}
	return all
}

func TestCaddyfilesAreAdaptedToTheirJSON(t *testing.T) {
	// What a Caddyfile refers to must not be looked at by the adapter.
	t.Setenv("MFA_HMAC_SECRET", "adapted-secret")
	t.Setenv("SMTP_PASSWORD", "adapted-secret")
	for _, g := range goldens(t) {
		t.Run(filepath.Base(g.name), func(t *testing.T) {
			adapted, warnings, err := adapt(g.caddyfile)
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
			if *update {
				if err := os.WriteFile(g.name, []byte(g.caddyfile+divider+indented.String()), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if indented.String() != g.adapted {
				t.Errorf("is adapted to\n%s\nwant\n%s\n(go test ./caddymodule -run Adapted -update writes the files anew)", indented.String(), g.adapted)
			}
			if strings.Contains(indented.String(), "adapted-secret") {
				t.Error("a secret was read into the adapted JSON")
			}
		})
	}
}

func TestEveryJSONFieldHasACaddyfileOption(t *testing.T) {
	seen := make(map[string]bool)
	for _, g := range goldens(t) {
		var config struct {
			Apps struct {
				MFA json.RawMessage `json:"mfa"`
			} `json:"apps"`
		}
		if err := json.Unmarshal([]byte(g.adapted), &config); err != nil {
			t.Fatalf("%s: %v", g.name, err)
		}
		var app any
		if err := json.Unmarshal(config.Apps.MFA, &app); err != nil {
			t.Fatalf("%s: %v", g.name, err)
		}
		collect(app, "", seen)
	}
	fields := append(jsonFields(reflect.TypeFor[App](), ""), "store.engine", "store.path")
	for _, field := range fields {
		if !seen[field] {
			t.Errorf("no golden file sets %s", field)
		}
	}
}

// collect notes the paths of the members of a JSON value.
func collect(value any, path string, into map[string]bool) {
	into[path] = true
	members, _ := value.(map[string]any)
	for name, member := range members {
		collect(member, strings.TrimPrefix(path+"."+name, "."), into)
	}
}

// jsonFields lists the paths of the JSON fields of a struct.
func jsonFields(t reflect.Type, path string) []string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	var fields []string
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if name == "" {
			continue
		}
		field := strings.TrimPrefix(path+"."+name, ".")
		fields = append(fields, field)
		fields = append(fields, jsonFields(t.Field(i).Type, field)...)
	}
	return fields
}

func TestTheDirectiveStandsBetweenForwardAuthAndTheProxy(t *testing.T) {
	adapted, _, err := adapt(`
example.com {
	reverse_proxy 127.0.0.1:3000
	mfa
	forward_auth 127.0.0.1:9000 {
		uri /check
	}
}
`)
	if err != nil {
		t.Fatal(err)
	}
	// forward_auth is a reverse_proxy itself, to its own upstream.
	var at []int
	for _, part := range []string{"127.0.0.1:9000", `"handler":"mfa"`, "127.0.0.1:3000"} {
		at = append(at, bytes.Index(adapted, []byte(part)))
	}
	if at[0] < 0 || !slices.IsSorted(at) {
		t.Errorf("forward_auth, mfa and reverse_proxy are at %v of %s", at, adapted)
	}
}
