package caddymodule

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddymfa/caddy-mfa/caddymodule/internal/configtest"
	"github.com/caddymfa/caddy-mfa/caddymodule/internal/option"
)

// hmacSecret is the key of tokens in configurations that need no files.
const hmacSecret = "0123456789abcdef0123456789abcdef"

// goodOptions make a configuration complete.
const goodOptions = `
	bearer {
		hmac_secret ` + hmacSecret + `
	}
	public_url https://example.com
`

// without takes the option that begins with prefix out of goodOptions.
func without(name string) string {
	switch name {
	case "bearer":
		return "public_url https://example.com\n"
	case "public_url":
		return "bearer {\nhmac_secret " + hmacSecret + "\n}\n"
	}
	panic("no such option: " + name)
}

const oneSite = "http://127.0.0.1:0 {\n\tmfa\n}\n"

// files lists what is in the working folder.
func files(t *testing.T) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if path != "." {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func wantNoFiles(t *testing.T) {
	t.Helper()
	if made := files(t); len(made) != 0 {
		t.Errorf("checking the configuration made %q", made)
	}
}

func TestAGoodConfigurationIsAcceptedWithoutMakingAFile(t *testing.T) {
	for name, options := range map[string]string{
		"required options alone":      goodOptions,
		"dev issuer":                  "bearer dev\npublic_url http://localhost:8080",
		"dev issuer in a block":       "bearer {\ndev\n}\npublic_url http://localhost:8080",
		"store without options":       goodOptions + "store bolt",
		"store elsewhere":             goodOptions + "store bolt {\npath state/mfa.db\n}\nkey_file keys/mfa.key",
		"keys that nobody has yet":    "bearer {\njwks_url https://id.invalid/jwks.json\n}\n" + without("bearer"),
		"issuer that nobody has yet":  "bearer {\noidc https://id.invalid\n}\n" + without("bearer"),
		"mails to a folder to be":     goodOptions + "magic_link {\nfrom a@example.com\ndirectory outbox\n}",
		"mail server out of reach":    goodOptions + "magic_link {\nfrom a@example.com\nsmtp mail.invalid:587\n}",
		"several public URLs":         without("public_url") + "public_url https://example.com https://www.example.com",
		"public URL with a slash":     without("public_url") + "public_url https://example.com/",
		"public URL that has no name": without("public_url") + "public_url http://127.0.0.1:8080",
		"one backup code":             goodOptions + "backup_codes 1",
		"fifty backup codes":          goodOptions + "backup_codes 50",
		"no tolerance":                goodOptions + "totp {\nskew 0\n}",
		"most tolerance":              goodOptions + "totp {\nskew 10\n}",
		"any factor for changes":      goodOptions + "step_up any",
		"the strongest for changes":   goodOptions + "step_up strongest",
		"any age of the sign-in":      goodOptions + "enrollment_max_auth_age 0",
		"deep prefix":                 goodOptions + "prefix /api/v1/mfa",
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			if err := configtest.Validate(configtest.Configuration(t, options, oneSite)); err != nil {
				t.Error(err)
			}
			wantNoFiles(t)
		})
	}
}

func TestTheFullGoldenConfigurationIsAccepted(t *testing.T) {
	t.Setenv("SMTP_PASSWORD", "secret")
	content, err := os.ReadFile("testdata/adapt/full.caddyfiletest")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	full, _, _ := strings.Cut(string(content), configtest.Divider)
	if err := configtest.Validate("{\n\tadmin off\n\tstorage file_system " + t.TempDir() + "\n\tlog {\n\t\toutput discard\n\t}\n" + strings.TrimPrefix(full, "{\n")); err != nil {
		t.Error(err)
	}
	wantNoFiles(t)
}

func TestABadOptionIsRefusedWithItsNameAndTheMend(t *testing.T) {
	t.Setenv("MFA_TEST_EMPTY", "")
	for _, row := range []struct {
		name    string
		options string
		want    []string
	}{
		// The shape of the block.
		{"unknown option", goodOptions + "lockdown 5", []string{`unknown option "lockdown"`, "it takes", "backup_codes"}},
		{"unknown option of bearer", "bearer {\njwks https://id.example.com\n}\n" + without("bearer"), []string{`unknown option "jwks" in bearer`, "jwks_url"}},
		{"unknown option of the store", goodOptions + "store bolt {\nfile x\n}", []string{`unknown option "file" in store bolt`, "path"}},
		{"unknown option of magic_link", goodOptions + "magic_link {\nsender x\n}", []string{`unknown option "sender" in magic_link`, "from"}},
		{"unknown option of smtp", goodOptions + "magic_link {\nsmtp a:25 {\nuser x\n}\n}", []string{`unknown option "user" in smtp`, "username"}},
		{"unknown option of passkey", goodOptions + "passkey {\nrpid x\n}", []string{`unknown option "rpid" in passkey`, "rp_id"}},
		{"unknown option of totp", goodOptions + "totp {\ndigits 8\n}", []string{`unknown option "digits" in totp`, "skew"}},
		{"duplicate option", goodOptions + "issuer a\nissuer b", []string{`"issuer" is given twice in mfa`, "give it once"}},
		{"duplicate block", goodOptions + "bearer dev", []string{`"bearer" is given twice`, "give it once"}},
		{"duplicate option in a block", "bearer {\ncookie a\ncookie b\n}\n" + without("bearer"), []string{`"cookie" is given twice in bearer`, "give it once"}},
		{"missing value", goodOptions + "issuer", []string{"issuer: takes one value, not 0"}},
		{"empty value", goodOptions + `issuer ""`, []string{"issuer: the value is empty"}},
		{"unquoted value", goodOptions + "issuer Acme Corporation", []string{"issuer: takes one value, not 2", "quote"}},
		{"missing values", goodOptions + "cors_origins", []string{"cors_origins: takes one value or more"}},
		{"value before a block", goodOptions + "passkey example.com", []string{"passkey: takes no value, only a block", "example.com"}},

		// The bearer.
		{"no bearer", without("bearer"), []string{"bearer: missing", "jwks_url"}},
		{"no key source", "bearer {\nissuer x\n}\n" + without("bearer"), []string{"bearer: needs exactly one of jwks_url, jwks_file", "found: none"}},
		{"bearer without a block", "bearer\n" + without("bearer"), []string{"bearer: needs exactly one of jwks_url", "found: none"}},
		{"two key sources", "bearer {\nhmac_secret " + hmacSecret + "\njwks_file x\n}\n" + without("bearer"), []string{"bearer: needs exactly one of", "found: jwks_file, hmac_secret"}},
		{"dev beside real keys", "bearer dev {\nhmac_secret " + hmacSecret + "\n}\n" + without("bearer"), []string{"bearer: needs exactly one of", "found: hmac_secret, dev"}},
		{"dev twice", "bearer dev dev\n" + without("bearer"), []string{"bearer", "in a block"}},
		{"value of dev", "bearer {\ndev yes\n}\n" + without("bearer"), []string{"dev: takes no value"}},
		{"unknown short form", "bearer oidc\n" + without("bearer"), []string{"bearer", "in a block", "bearer dev"}},
		{"short secret", "bearer {\nhmac_secret too-short\n}\n" + without("bearer"), []string{"bearer: hmac_secret", "at least 32"}},
		{"missing key file", "bearer {\npublic_key missing.pem\n}\n" + without("bearer"), []string{"bearer: public_key", "missing.pem", "no such file"}},
		{"missing JWK set", "bearer {\njwks_file missing.json\n}\n" + without("bearer"), []string{"bearer: jwks_file", "missing.json", "no such file"}},
		{"JWK set at no URL", "bearer {\njwks_url id.example.com\n}\n" + without("bearer"), []string{"bearer: jwks_url", "https://"}},
		{"issuer at no URL", "bearer {\noidc id.example.com\n}\n" + without("bearer"), []string{"bearer: oidc", "https://"}},
		{"issuer that contradicts", "bearer {\noidc https://id.example.com\nissuer https://other.example.com\n}\n" + without("bearer"), []string{"bearer: issuer", "contradicts"}},
		{"secret that is no base64", "bearer {\nhmac_secret \"no base64, however long it may be in the end\" base64\n}\n" + without("bearer"), []string{"bearer: hmac_secret", "not base64"}},
		{"secret short once decoded", "bearer {\nhmac_secret MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZQ== base64\n}\n" + without("bearer"), []string{"bearer: hmac_secret: decoded from base64", "31 bytes", "at least 32"}},
		{"secret in another encoding", "bearer {\nhmac_secret " + hmacSecret + " hex\n}\n" + without("bearer"), []string{"hmac_secret: takes the secret, and the word base64"}},
		{"no secret", "bearer {\nhmac_secret\n}\n" + without("bearer"), []string{"hmac_secret: give the secret"}},
		{"bad duration", "bearer {\nhmac_secret " + hmacSecret + "\nclock_skew fast\n}\n" + without("bearer"), []string{`clock_skew: "fast" is no duration such as 90s`}},
		{"negative duration", "bearer {\nhmac_secret " + hmacSecret + "\nclock_skew -5s\n}\n" + without("bearer"), []string{`clock_skew: "-5s" is no duration such as 90s`}},
		{"duration out of range", "bearer {\nhmac_secret " + hmacSecret + "\nclock_skew 1h\n}\n" + without("bearer"), []string{"bearer: clock_skew: 1h0m0s is out of range", "10m"}},
		{"the edge's own cookie for the token", "bearer {\nhmac_secret " + hmacSecret + "\ncookie __host-MFA\n}\n" + without("bearer"), []string{"bearer: cookie", "__host-MFA", "your login"}},
		{"unknown claim field", "bearer {\nhmac_secret " + hmacSecret + "\nclaim name x\n}\n" + without("bearer"), []string{"bearer: claim name: unknown", "subject, email, organization, roles"}},
		{"duplicate claim field", "bearer {\nhmac_secret " + hmacSecret + "\nclaim email x\nclaim email y\n}\n" + without("bearer"), []string{"claim: email is given twice"}},
		{"claim without its source", "bearer {\nhmac_secret " + hmacSecret + "\nclaim email\n}\n" + without("bearer"), []string{"claim: ", "for instance claim subject userId"}},
		{"empty claim", "bearer {\nhmac_secret " + hmacSecret + "\nclaim email \"\"\n}\n" + without("bearer"), []string{"bearer: claim email", "empty"}},

		// The store and what it is sealed with.
		{"unknown store", goodOptions + "store redis", []string{`store: this build has no engine "redis"`, "bolt", "xcaddy"}},
		{"store without its engine", goodOptions + "store", []string{"store: name the engine", "bolt"}},
		{"value of the store", goodOptions + "store bolt x.db", []string{"bolt: takes no value", "x.db"}},

		// The addresses.
		{"no public URL", without("public_url"), []string{"public_url: missing", "https://example.com"}},
		{"public URL with a path", without("public_url") + "public_url https://example.com/app", []string{"public_url", `"https://example.com/app" is not of the form https://example.com`}},
		{"public URL with a query", without("public_url") + "public_url https://example.com?a=b", []string{"public_url", "is not of the form"}},
		{"public URL with a fragment", without("public_url") + "public_url https://example.com#a", []string{"public_url", "is not of the form"}},
		{"public URL with a password", without("public_url") + "public_url https://a:b@example.com", []string{"public_url", "is not of the form"}},
		{"public URL without a scheme", without("public_url") + "public_url example.com", []string{"public_url", "is not of the form"}},
		{"public URL of another scheme", without("public_url") + "public_url ftp://example.com", []string{"public_url", "is not of the form"}},
		{"second public URL", without("public_url") + "public_url https://example.com www.example.com", []string{"public_url", `"www.example.com" is not of the form`}},
		{"origin with a path", goodOptions + "cors_origins https://app.example.com/app", []string{"cors_origins", "is not of the form"}},
		{"any origin", goodOptions + "cors_origins *", []string{"cors_origins", "is not of the form"}},
		{"upgrades to HTTP/2", goodOptions + "upgrades tcp h2c", []string{`upgrades: "h2c" is not allowed`, "no gate has seen", "remove it"}},
		{"upgrades to TLS", goodOptions + "upgrades TLS/1.3", []string{`upgrades: "TLS/1.3" is not allowed`, "no gate has seen"}},
		{"upgrades to what always passes", goodOptions + "upgrades websocket", []string{`upgrades: "websocket" is not needed`, "remove it"}},
		{"upgrades to a list", goodOptions + `upgrades "tcp, spdy/3.1"`, []string{"upgrades: ", "is not the name of a protocol", "SPDY/3.1"}},
		{"upgrades to nothing", goodOptions + "upgrades", []string{"upgrades: takes one value or more"}},
		{"whole site as prefix", goodOptions + "prefix /", []string{`prefix: "/"`, "such as /mfa"}},
		{"prefix without a slash", goodOptions + "prefix mfa", []string{`prefix: "mfa"`, "such as /mfa"}},
		{"prefix in capitals", goodOptions + "prefix /MFA", []string{`prefix: "/MFA"`, "lowercase"}},
		{"prefix with a final slash", goodOptions + "prefix /mfa/", []string{`prefix: "/mfa/"`, "without a trailing slash"}},
		{"prefix with dots", goodOptions + "prefix /mfa/../x", []string{`prefix: "/mfa/../x"`}},
		{"prefix with an escape", goodOptions + "prefix /mf%61", []string{`prefix: "/mf%61"`}},
		{"prefix with a wildcard", goodOptions + "prefix /mfa*", []string{`prefix: "/mfa*"`}},

		// The kinds of factor.
		{"issuer too long", goodOptions + "issuer " + strings.Repeat("x", 65), []string{"issuer", "64"}},
		{"magic link without a sender", goodOptions + "magic_link {\ndirectory outbox\n}", []string{"magic_link: from: missing", "no-reply@example.com"}},
		{"magic link without a way", goodOptions + "magic_link {\nfrom a@example.com\n}", []string{"magic_link: smtp: missing", "directory"}},
		{"magic link by two ways", goodOptions + "magic_link {\nfrom a@example.com\nsmtp a.example.com:587\ndirectory outbox\n}", []string{"magic_link: smtp and directory", "keep one"}},
		{"sender that is no mailbox", goodOptions + "magic_link {\nfrom nobody\ndirectory outbox\n}", []string{"magic_link", `"nobody"`}},
		{"mail server without a port", goodOptions + "magic_link {\nfrom a@example.com\nsmtp mail.example.com\n}", []string{"magic_link", "smtp", "mail.example.com:587"}},
		{"password without TLS", goodOptions + "magic_link {\nfrom a@example.com\nsmtp mail.example.com:25 {\nusername u\npassword hunter2\ntls none\n}\n}", []string{"magic_link", "password may not travel without TLS", "starttls"}},
		{"password without a username", goodOptions + "magic_link {\nfrom a@example.com\nsmtp mail.example.com:25 {\npassword hunter2\n}\n}", []string{"magic_link", "username and password are needed together"}},
		{"unknown TLS mode", goodOptions + "magic_link {\nfrom a@example.com\nsmtp mail.example.com:25 {\ntls on\n}\n}", []string{"magic_link", `tls mode "on"`, "starttls, implicit or none"}},
		{"links that last too long", goodOptions + "magic_link {\nfrom a@example.com\ndirectory outbox\nexpiry 2d\n}", []string{"magic_link", "expiry", "24"}},
		{"links that never work", goodOptions + "magic_link {\nfrom a@example.com\ndirectory outbox\nexpiry 0\n}", []string{"expiry: must be longer than 0"}},
		{"unknown addresses", goodOptions + "magic_link {\nfrom a@example.com\ndirectory outbox\naddresses all\n}", []string{"magic_link", "addresses", `"all"`, "any", "claim"}},
		{"a sender that is none", goodOptions + "magic_link {\nfrom Acme\ndirectory outbox\n}", []string{"magic_link", "from \"Acme\"", "no-reply@example.com"}},
		{"too many wrong codes", goodOptions + "lockout {\nattempts 101\n}", []string{"lockout: attempts", "1 to 100", "not 101"}},
		{"a lockout that is too long", goodOptions + "lockout {\nduration 2d\n}", []string{"lockout: duration", "24h"}},
		{"relying party that does not match", goodOptions + "passkey {\nrp_id example.org\n}", []string{"passkey: origins", "rp_id", `"https://example.com" does not belong`, `"example.org"`}},
		{"relying party with a scheme", goodOptions + "passkey {\nrp_id https://example.com\n}", []string{"passkey: rp_id", "without scheme"}},
		{"origin outside the relying party", goodOptions + "passkey {\norigins https://example.org\n}", []string{"passkey", "https://example.org", `"example.com"`}},
		{"origin that is not secure", goodOptions + "passkey {\norigins http://example.com\n}", []string{"passkey", "not secure", "https"}},
		{"unknown user verification", goodOptions + "passkey {\nuser_verification always\n}", []string{"passkey: user_verification", "always", "required", "preferred", "discouraged"}},
		{"passkeys at an address", without("public_url") + "public_url http://127.0.0.1:8080\npasskey {\nuser_verification required\n}", []string{"passkey", "IP address"}},
		{"tolerance out of range", goodOptions + "totp {\nskew 11\n}", []string{"totp", "skew is 11", "0 to 10"}},
		{"negative tolerance", goodOptions + "totp {\nskew -1\n}", []string{`skew: "-1" is no whole number`}},
		{"no backup codes", goodOptions + "backup_codes 0", []string{`backup_codes: "0" is no whole number from 1 up`}},
		{"too many backup codes", goodOptions + "backup_codes 51", []string{"backup_codes: must be from 1 to 50, not 51"}},
		{"backup codes in words", goodOptions + "backup_codes ten", []string{`backup_codes: "ten" is no whole number`}},
		{"negative age", goodOptions + "enrollment_max_auth_age -1h", []string{`enrollment_max_auth_age: "-1h" is no duration`}},
		{"unknown factor for changes", goodOptions + "step_up weakest", []string{"step_up", `"weakest"`, "strongest", "any"}},

		// Placeholders.
		{"unset variable", "bearer {\nhmac_secret {env.MFA_TEST_UNSET}\n}\n" + without("bearer"), []string{"bearer: hmac_secret", "{env.MFA_TEST_UNSET}", "is the environment variable set"}},
		{"empty variable", goodOptions + "issuer {env.MFA_TEST_EMPTY}", []string{"issuer", "{env.MFA_TEST_EMPTY}", "is the environment variable set"}},
		{"unreadable file", "bearer {\nhmac_secret {file.missing}\n}\n" + without("bearer"), []string{"bearer: hmac_secret", "{file.missing}", "the file readable"}},
		{"unset password", goodOptions + "magic_link {\nfrom a@example.com\nsmtp mail.example.com:587 {\nusername u\npassword {env.MFA_TEST_UNSET}\n}\n}", []string{"magic_link: smtp: password", "{env.MFA_TEST_UNSET}"}},
		{"unset path of the store", goodOptions + "store bolt {\npath {env.MFA_TEST_UNSET}/mfa.db\n}", []string{"store", "path", "{env.MFA_TEST_UNSET}"}},
		{"unknown placeholder", goodOptions + "key_file {vars.folder}/mfa.key", []string{"key_file", "unknown placeholder"}},
		{"secret in braces", "bearer {\nhmac_secret \"{" + hmacSecret + "}\"\n}\n" + without("bearer"), []string{"bearer: hmac_secret", `\{`}},
		{"unset claim", "bearer {\nhmac_secret " + hmacSecret + "\nclaim email {env.MFA_TEST_UNSET}\n}\n" + without("bearer"), []string{"claim email", "{env.MFA_TEST_UNSET}"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			wantRefusal(t, configtest.Validate(configtest.Configuration(t, row.options, oneSite)), row.want)
			wantNoFiles(t)
		})
	}
}

// wantRefusal checks that err says all of want, and no secret.
func wantRefusal(t *testing.T, err error, want []string) {
	t.Helper()
	configtest.WantRefusal(t, err, want, hmacSecret, "too-short", "hunter2")
}

func TestABadCaddyfileIsRefusedWithTheMend(t *testing.T) {
	gated := func(gate string) string {
		return configtest.Configuration(t, goodOptions, "http://127.0.0.1:0 {\n\t@x path /x\n\tmfa\n\tmfa_require "+gate+"\n}\n")
	}
	for _, row := range []struct {
		name      string
		caddyfile string
		want      []string
	}{
		{"directive without the global option", "http://127.0.0.1:0 {\n\tmfa\n}\n", []string{"global option mfa", "add mfa { … }"}},
		{"options in the directive", configtest.Configuration(t, goodOptions, "http://127.0.0.1:0 {\n\tmfa {\n\t\tprefix /x\n\t}\n}\n"), []string{"the directive mfa takes no options", `move "prefix" into the global option mfa`}},
		{"value of the directive", configtest.Configuration(t, goodOptions, "http://127.0.0.1:0 {\n\tmfa on\n}\n"), []string{"directive mfa", `"on"`}},
		{"value of the global option", "{\n\tmfa on\n}\n", []string{"mfa: takes no value, only a block", `"on"`}},
		{"query without names", gated("/admin/* {\n\t\tquery\n\t}"), []string{"query: name one query parameter or more", "rest_route"}},
		{"query given twice", gated("/admin/* {\n\t\tquery q\n\t\tquery r\n\t}"), []string{`"query" is given twice`, "with all its values"}},
		{"query of a list", gated("/admin/* {\n\t\tquery q[]\n\t}"), []string{`query: name "q[]"`, "without []"}},
		{"query without paths", gated("{\n\t\tquery q\n\t}"), []string{"query: is for gates with paths", "give the gate its paths"}},
		{"query with a named matcher", gated("@x {\n\t\tquery q\n\t}"), []string{"query: is for gates with paths", "give the gate its paths"}},
		{"two global options", configtest.Configuration(t, goodOptions+"}\nmfa {\n"+goodOptions, oneSite), []string{"the global option mfa is given twice", "keep one"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			wantRefusal(t, configtest.Validate(row.caddyfile), row.want)
			wantNoFiles(t)
		})
	}
}

// listPaths are the options of v that are lists of texts, and those that give
// texts names, as paths of JSON members.
func listPaths(v reflect.Type, path ...string) (lists, maps [][]string) {
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	for i := range v.NumField() {
		field := v.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if !field.IsExported() || name == "" {
			continue
		}
		t, here := field.Type, append(slices.Clone(path), name)
		if t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct {
			moreLists, moreMaps := listPaths(t, here...)
			lists, maps = append(lists, moreLists...), append(maps, moreMaps...)
			continue
		}
		switch {
		case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.String:
			lists = append(lists, here)
		case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct:
			moreLists, _ := listPaths(t.Elem(), append(here, "0")...)
			lists = append(lists, moreLists...)
		case t.Kind() == reflect.Map:
			maps = append(maps, here)
		}
	}
	return lists, maps
}

func TestEveryListInJSONIsHeldToWhatACaddyfileCanSay(t *testing.T) {
	t.Chdir(t.TempDir())
	lists, maps := listPaths(reflect.TypeFor[App]())
	gates, _ := listPaths(reflect.TypeFor[Gate]())
	if len(lists) < 6 || len(gates) < 4 || len(maps) != 1 {
		t.Fatalf("the options are %q, %q and %q", lists, maps, gates)
	}
	// set makes a document in which one option has a value.
	set := func(path []string, value string) string {
		for _, name := range slices.Backward(path) {
			if name == "0" {
				value = "[" + value + "]"
			} else {
				value = `{"` + name + `":` + value + `}`
			}
		}
		return value
	}
	bad := map[string]string{
		`[]`: "is an empty list", `[""]`: "is empty, or null", `["a",null]`: "is empty, or null", `["a "]`: "ends with a blank",
		`["a\u202e"]`: "cannot be seen",
	}
	refused := func(name string, err error, want string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), strings.TrimSuffix(name, "s")) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	for value, want := range bad {
		for _, path := range lists {
			var app App
			if err := json.Unmarshal([]byte(set(path, value)), &app); err != nil {
				t.Fatal(err)
			}
			refused(path[len(path)-1], app.Provision(caddy.Context{Context: t.Context()}), want)
		}
		for _, path := range gates {
			if path[len(path)-1] == "query" && want == "is empty, or null" {
				continue // "" there names the query that has no name
			}
			var gate Gate
			if err := json.Unmarshal([]byte(set(path, value)), &gate); err != nil {
				t.Fatal(err)
			}
			refused(path[len(path)-1], option.Check(&gate), want)
		}
	}
	for _, value := range []string{`""`, `null`, `" "`, `"x "`} {
		var app App
		if err := json.Unmarshal([]byte(set(append(maps[0], "roles"), value)), &app); err != nil {
			t.Fatal(err)
		}
		refused("claim roles", option.Check(&app), "claim roles: ")
	}
}

func TestBadJSONIsRefusedWithTheMend(t *testing.T) {
	const required = `"bearer":{"hmac_secret":"` + hmacSecret + `"},"public_urls":["https://example.com"]`
	for _, row := range []struct {
		name string
		app  string
		want []string
	}{
		{"unknown field", `{` + required + `,"lockdown":5}`, []string{`unknown field "lockdown"`}},
		{"unknown store", `{` + required + `,"store":{"engine":"redis"}}`, []string{`store: this build has no engine "redis", only bolt`, "xcaddy"}},
		{"store without its engine", `{` + required + `,"store":{}}`, []string{"store: name the engine", "bolt"}},
		{"unknown field of the store", `{` + required + `,"store":{"engine":"bolt","file":"x"}}`, []string{"store", `unknown field "file"`}},
		{"negative number of codes", `{` + required + `,"backup_codes":-1}`, []string{"backup_codes: must be from 1 to 50"}},
		{"negative age", `{` + required + `,"enrollment_max_auth_age":-1}`, []string{"enrollment_max_auth_age: must not be negative"}},
		{"unknown factor for changes", `{` + required + `,"step_up":"phr"}`, []string{"step_up", `"phr"`, "strongest", "any"}},
		{"negative tolerance", `{` + required + `,"totp":{"skew":-1}}`, []string{"skew"}},
		{"negative expiry", `{` + required + `,"magic_link":{"from":"a@example.com","directory":"x","expiry":-1}}`, []string{"magic_link", "expiry"}},
		{"negative clock skew", `{"bearer":{"hmac_secret":"` + hmacSecret + `","clock_skew":-1},"public_urls":["https://example.com"]}`, []string{"bearer: clock_skew"}},
		{"base64 without a secret", `{"bearer":{"dev":true,"hmac_secret_base64":true},"public_urls":["https://example.com"]}`, []string{"bearer: hmac_secret_base64"}},
		{"empty public URL", `{"bearer":{"hmac_secret":"` + hmacSecret + `"},"public_urls":[""]}`, []string{"public_urls 1: is empty"}},
		{"empty method of the login", `{"bearer":{"hmac_secret":"` + hmacSecret + `","trust_amr":[""]},"public_urls":["https://example.com"]}`, []string{"bearer: trust_amr 1: is empty"}},
		{"no address of the mail server", `{` + required + `,"magic_link":{"from":"a@example.com","smtp":{}}}`, []string{"magic_link", "smtp", "mail.example.com:587"}},
		{"empty audience", `{"bearer":{"hmac_secret":"` + hmacSecret + `","audience":[""]},"public_urls":["https://example.com"]}`, []string{"bearer: audience 1: is empty"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			config, err := json.Marshal(map[string]any{
				"admin":   map[string]any{"disabled": true},
				"storage": map[string]any{"module": "file_system", "root": t.TempDir()},
				"logging": map[string]any{"logs": map[string]any{"default": map[string]any{"writer": map[string]any{"output": "discard"}}}},
				"apps":    map[string]any{"mfa": json.RawMessage(row.app)},
			})
			if err != nil {
				t.Fatal(err)
			}
			wantRefusal(t, configtest.ValidateJSON(config), row.want)
			wantNoFiles(t)
		})
	}
}
