package caddymodule

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddymfa/caddy-mfa/caddymodule/internal/configtest"
)

// site is a site whose gate has these paths and options.
func site(paths, options string) string {
	return "http://localhost:1 {\n\tbind 127.0.0.1\n\tmfa\n\tmfa_require " + paths + " {\n" + options + "\n}\n\trespond upstream\n}\n"
}

// tame reports whether a text stays among the options that it is put into, and
// reads no file or variable of the machine that fuzzes.
func tame(text string) bool {
	depth := 0
	for _, r := range text {
		switch r {
		case '{':
			depth++
		case '}':
			depth--
		}
		if depth < 0 {
			return false
		}
	}
	return depth == 0 && len(text) < 2000 && !strings.Contains(text, "import") && !strings.ContainsAny(text, "<`$")
}

// adapted checks that what a Caddyfile is adapted to can be read, provisioned
// and validated, or is refused, without a panic, and that it comes out the same
// when it is written and read again.
func adapted(t *testing.T, caddyfile string) {
	t.Helper()
	config, _, err := configtest.Adapt(caddyfile)
	if err != nil {
		if strings.TrimSpace(err.Error()) == "" {
			t.Fatal("the refusal says nothing")
		}
		return
	}
	_ = configtest.ValidateJSON(config)

	var whole struct {
		Apps struct {
			MFA json.RawMessage `json:"mfa"`
		} `json:"apps"`
	}
	if err := json.Unmarshal(config, &whole); err != nil {
		t.Fatal(err)
	}
	if whole.Apps.MFA == nil {
		return
	}
	var app, again App
	if err := caddy.StrictUnmarshalJSON(whole.Apps.MFA, &app); err != nil {
		t.Fatalf("what it is adapted to does not read: %v", err)
	}
	first, err := json.Marshal(&app)
	if err != nil {
		t.Fatal(err)
	}
	if err := caddy.StrictUnmarshalJSON(first, &again); err != nil {
		t.Fatal(err)
	}
	if second, err := json.Marshal(&again); err != nil || string(second) != string(first) {
		t.Fatalf("it becomes\n%s\nand then\n%s\n%v", first, second, err)
	}
}

func FuzzOptions(f *testing.F) {
	for _, g := range configtest.Goldens(f) {
		_, options, _ := strings.Cut(g.Caddyfile, "mfa {")
		if end := strings.Index(options, "\n\t}\n}"); end > 0 && tame(options[:end]) {
			f.Add(options[:end])
		}
	}
	for _, options := range []string{
		"bearer dev", "bearer {\nhmac_secret x\nclaim subject email\n}", "bearer {\nclaim\n}", "magic_link {\nfrom \"a@b.\"\nsmtp x:1 {\ntls none\n}\n}",
		"page off", "page {\naccent red\nlogin_url x\n}", "totp {\nskew -1\n}", "lockout {\nattempts 0\nduration -5m\n}", "backup_codes 99999999999999999999",
		"passkey {\nrp_id b.\norigins x\n}", "cors_origins *", "prefix \"\"", "step_up any", "token_lifetime 1d", "unknown", "bearer dev\nbearer dev", "issuer \"\u202e\"",
		"public_url http:", "admin_roles \"\"", "store bolt {\npath\n}", "magic_link {\nfrom x\ndirectory y\nexpiry 0\naddresses z\n}", "\"\"",
	} {
		f.Add(options)
	}
	f.Fuzz(func(t *testing.T, options string) {
		if !tame(options) {
			return
		}
		if !strings.Contains(options, "bearer") {
			options += "\nbearer dev"
		}
		if !strings.Contains(options, "public_url") {
			options += "\npublic_url http://localhost:1"
		}
		adapted(t, configtest.Configuration(t, options, site("*", "")))
	})
}

func FuzzGateOptions(f *testing.F) {
	f.Add("*", "max_age 15m\nmethods PASSKEY GOOGLE_AUTH\nacr mfa")
	f.Add("admin*", "except claim a b\nexcept claim\nenrollment optional")
	f.Add("", "handle_errors\nreason \"Payments\"")
	f.Add("@x", "acr x\nmethods MAGIC_LINK BACKUP_CODE x\nmax_age -1")
	f.Add("a b;c \"\" ..", "except claim \"\" \"\"\nquery q rest_route\nunknown")
	f.Fuzz(func(t *testing.T, paths, options string) {
		// Paths with a slash are what gates guard.
		if !tame(paths) || !tame(options) || strings.ContainsAny(paths, "{}\n") {
			return
		}
		var all []string
		for path := range strings.FieldsSeq(paths) {
			if path != "*" && !strings.HasPrefix(path, "@") {
				path = "/" + path
			}
			all = append(all, path)
		}
		adapted(t, configtest.Configuration(t, "bearer dev\npublic_url http://localhost:1", site(strings.Join(all, " "), options)))
	})
}
