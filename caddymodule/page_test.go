package caddymodule

import (
	"os"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/caddymodule/internal/configtest"
)

// page is goodOptions with options of the page.
func page(options ...string) string {
	return goodOptions + "page {\n" + strings.Join(options, "\n") + "\n}\n"
}

// writeLogos puts a logo, and a file that is none, into the working folder.
func writeLogos(t *testing.T) {
	t.Helper()
	for name, content := range map[string]string{
		"logo.svg": `<svg xmlns="http://www.w3.org/2000/svg"/>`, "logo.txt": "a picture", "large.png": "\x89PNG\r\n\x1a\n" + strings.Repeat("x", 256<<10),
	} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestThePagesOptionsAreAccepted(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("MFA_TEST_ACCENT", "#05d")
	writeLogos(t)
	for _, options := range []string{
		page(), page(`title "Acme & Söhne, 株式会社"`), page("logo logo.svg"), page("logo ./logo.svg"),
		page(`accent "#0b57d0"`), page("accent 0B57D0"), page(`accent "#fff"`), page("accent {env.MFA_TEST_ACCENT}"),
		page("login_url https://example.com/login?a=b"), page("frame_ancestors none"),
		page("frame_ancestors https://app.example.com http://localhost:3000"), goodOptions + "page off",
	} {
		if err := configtest.Validate(configtest.Configuration(t, options, oneSite)); err != nil {
			t.Errorf("%s: %v", options, err)
		}
	}
}

func TestABadOptionOfThePageIsRefusedWithItsNameAndTheMend(t *testing.T) {
	t.Chdir(t.TempDir())
	writeLogos(t)
	for options, want := range map[string][]string{
		page("colour blue"):                              {`unknown option "colour" in page`, "accent"},
		page("accent blue"):                              {"page: accent", `"blue" is no colour`, `"#0b57d0"`},
		page(`accent "#12345"`):                          {"page: accent", `"#12345" is no colour`},
		page("accent #0b57d0"):                           {"accent: the colour is missing", "a # begins a comment", `accent "#0b57d0"`},
		page(`title "a` + "\u202e" + `b"`):               {"page: title", "cannot be shown"},
		page("title " + strings.Repeat("x", 65)):         {"page: title", "longer than 64 characters"},
		page("title Acme Corporation"):                   {"title: takes one value, not 2", "quote"},
		page("logo missing.svg"):                         {"page: logo", "missing.svg", "no such file"},
		page("logo logo.txt"):                            {"page: logo", "logo.txt", "use SVG, PNG, JPEG, WebP or GIF"},
		page("logo large.png"):                           {"page: logo", "at most 262144", "smaller"},
		page("login_url /login"):                         {"page: login_url", `"/login" is not a URL such as https://example.com/login`},
		page("login_url javascript:alert(1)"):            {"page: login_url", "is not a URL"},
		page("frame_ancestors *"):                        {"page: frame_ancestors", "is not of the form https://example.com"},
		page("frame_ancestors https://a.example/app"):    {"page: frame_ancestors", "is not of the form https://example.com"},
		page("frame_ancestors https://a.example;x"):      {"page: frame_ancestors", `"https://a.example;x" has ';' in it`, "one origin at a time"},
		page("frame_ancestors https://a.example,https:"): {"page: frame_ancestors", `has ',' in it`},
		page("frame_ancestors none https://app.example"): {"page: frame_ancestors", "none stands alone"},
		page("frame_ancestors"):                          {"frame_ancestors: takes one value or more"},
		goodOptions + "page on":                          {"page", "in a block", "page off"},
	} {
		err := configtest.Validate(configtest.Configuration(t, options, oneSite))
		if err == nil {
			t.Errorf("is accepted: %s", options)
			continue
		}
		for _, text := range want {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%q does not say %q", err, text)
			}
		}
	}
}
