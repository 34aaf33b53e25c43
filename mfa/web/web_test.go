package web

import (
	"strings"
	"testing"
)

func TestAnAssetIsFoundByItsExactNameOnly(t *testing.T) {
	for name, want := range map[string]string{
		"magic-link.js": "text/javascript; charset=utf-8", "verify.js": "text/javascript; charset=utf-8",
		"page.css": "text/css; charset=utf-8",
	} {
		content, contentType, ok := Asset(name)
		if !ok || len(content) == 0 || contentType != want {
			t.Errorf("%s: %d bytes of %q, %v", name, len(content), contentType, ok)
		}
	}
	for _, name := range []string{"", ".", "..", "/page.css", "./page.css", "PAGE.CSS", "page.css/", "../web.go", "magic-link.html", "assets/page.css"} {
		if content, contentType, ok := Asset(name); ok || content != nil || contentType != "" {
			t.Errorf("%q is served", name)
		}
	}
}

func TestTheServicesNameIsEscaped(t *testing.T) {
	page, err := MagicLinkPage(`<script>alert("x")</script>`)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(page), "<script>alert") {
		t.Errorf("the name is not escaped:\n%s", page)
	}
}

func TestThePagesStaySmall(t *testing.T) {
	const most = 32 << 10
	total := 0
	for _, page := range []func(string) ([]byte, error){MagicLinkPage, VerifyPage} {
		content, err := page("Acme")
		if err != nil {
			t.Fatal(err)
		}
		total += len(content)
	}
	for _, name := range []string{"magic-link.js", "verify.js", "page.css"} {
		content, _, _ := Asset(name)
		total += len(content)
	}
	if total > most {
		t.Errorf("the pages weigh %d bytes, more than %d", total, most)
	}
}
