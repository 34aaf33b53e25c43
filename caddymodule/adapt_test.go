package caddymodule

import (
	"bytes"
	"encoding/json"
	"flag"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/caddymodule/internal/configtest"
)

var update = flag.Bool("update", false, "write what the Caddyfiles in testdata are adapted to into their files")

func TestCaddyfilesAreAdaptedToTheirJSON(t *testing.T) {
	// What a Caddyfile refers to must not be looked at by the adapter.
	t.Setenv("MFA_HMAC_SECRET", "adapted-secret")
	t.Setenv("SMTP_PASSWORD", "adapted-secret")
	configtest.Check(t, *update, "adapted-secret")
}

func TestEveryJSONFieldHasACaddyfileOption(t *testing.T) {
	seen := make(map[string]bool)
	for _, g := range configtest.Goldens(t) {
		var config struct {
			Apps struct {
				MFA json.RawMessage `json:"mfa"`
			} `json:"apps"`
		}
		if err := json.Unmarshal([]byte(g.Adapted), &config); err != nil {
			t.Fatalf("%s: %v", g.Name, err)
		}
		var app any
		if err := json.Unmarshal(config.Apps.MFA, &app); err != nil {
			t.Fatalf("%s: %v", g.Name, err)
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
	adapted, _, err := configtest.Adapt(`
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
