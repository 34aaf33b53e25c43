package web

import (
	"strings"
	"testing"
)

func TestALogoIsWhatItsContentSays(t *testing.T) {
	for content, want := range map[string]string{
		"\x89PNG\r\n\x1a\n":          "image/png",
		"\xff\xd8\xff":               "image/jpeg",
		"GIF89a":                     "image/gif",
		"RIFF\x00\x00\x00\x00WEBPVP": "image/webp",
		`<svg xmlns="x"/>`:           "image/svg+xml",
		"<?xml version=\"1.0\"?>\n<!-- x -->\n<!DOCTYPE svg>\n<svg></svg>": "image/svg+xml",
	} {
		logo, err := NewLogo([]byte(content))
		if err != nil || logo.contentType != want {
			t.Errorf("%q: %v, want %s", content, err, want)
		}
	}
	for _, content := range []string{"", "<html><svg/></html>", "<!doctype html>", "text", "%PDF-1.4", "\x89PNG\r\n\x1a\n" + strings.Repeat("x", maxLogo)} {
		if logo, err := NewLogo([]byte(content)); err == nil {
			t.Errorf("%.20q is taken for %s", content, logo.contentType)
		}
	}
}

func TestALogoIsServedAsAPictureAndNothingElse(t *testing.T) {
	logo, err := NewLogo([]byte(`<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`))
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t, Config{Title: "Acme", Logo: logo})
	asset, ok := s.Asset("logo")
	if !ok || asset.ContentType != "image/svg+xml" || !strings.Contains(asset.Policy, "sandbox") || !strings.Contains(asset.Policy, "default-src 'none'") {
		t.Errorf("%v %+v", ok, asset)
	}
	if content, _ := s.Page(""); !strings.Contains(string(content), `src="assets/logo"`) {
		t.Error("the page does not show it")
	}
}
