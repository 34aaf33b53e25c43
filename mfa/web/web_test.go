package web

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func newSite(t *testing.T, c Config) *Site {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAnAssetIsFoundByItsExactNameOnly(t *testing.T) {
	s := newSite(t, Config{Title: "Acme"})
	for _, name := range AssetNames() {
		want := "text/javascript; charset=utf-8"
		switch name {
		case "logo":
			continue
		case "page.css":
			want = "text/css; charset=utf-8"
		}
		asset, ok := s.Asset(name)
		if !ok || len(asset.Content) == 0 || asset.ContentType != want || len(asset.ETag) < 10 {
			t.Errorf("%s: %d bytes of %q, %v", name, len(asset.Content), asset.ContentType, ok)
		}
	}
	for _, name := range []string{"", ".", "..", "/page.css", "./page.css", "PAGE.CSS", "page.css/", "../web.go", "page.html", "assets/page.css", "logo"} {
		if _, ok := s.Asset(name); ok {
			t.Errorf("%q is served", name)
		}
	}
}

func TestTextsOfTheConfigurationAreEscaped(t *testing.T) {
	const evil = `</script><script>alert("x")</script>`
	s := newSite(t, Config{Title: evil, LoginURL: "https://example.com/?" + evil})
	for _, page := range []func(string) ([]byte, string){s.Page, s.LinkPage} {
		content, _ := page("")
		if strings.Contains(string(content), "<script>alert") {
			t.Errorf("the configuration is not escaped:\n%s", content)
		}
		if got := pageData(t, content); got.Title != evil {
			t.Errorf("the scripts are told the title %q", got.Title)
		}
	}
}

// pageData reads what a page tells its scripts.
func pageData(t *testing.T, page []byte) data {
	t.Helper()
	_, rest, _ := strings.Cut(string(page), `type="application/json">`)
	raw, _, found := strings.Cut(rest, "</script>")
	var d data
	if err := json.Unmarshal([]byte(raw), &d); err != nil || !found {
		t.Fatalf("the page's data: %v\n%s", err, raw)
	}
	return d
}

func TestThePagesStaySmall(t *testing.T) {
	const most = 61_000 // bytes of a page with all that it loads, nothing compressed
	s := newSite(t, Config{Title: "Acme"})
	for _, lang := range texts.languages {
		page, _ := s.Page(lang)
		link, _ := s.LinkPage(lang)
		for name, size := range map[string]int{"page.js": len(page), "link.js": len(link)} {
			modules := pageModules
			if name == "link.js" {
				modules = linkModules
			}
			for _, loaded := range append([]string{styleName}, modules...) {
				asset, _ := s.Asset(loaded)
				size += len(asset.Content)
			}
			t.Logf("the page of %s weighs %d bytes in %s", name, size, lang)
			if size > most {
				t.Errorf("the page of %s weighs %d bytes in %s, more than %d", name, size, lang, most)
			}
		}
	}
}

func TestNoTextInAScriptHoldsSpacesThatAreTakenOut(t *testing.T) {
	literal := regexp.MustCompile("\"(?:[^\"\\\\\n]|\\\\.)*\"|`[^`]*`")
	for _, name := range slices.Concat(pageModules, linkModules) {
		content, err := files.ReadFile("assets/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(content)) {
			if strings.HasPrefix(strings.TrimSpace(line), "//") {
				continue
			}
			for _, text := range literal.FindAllString(line, -1) {
				for i := 0; i < len(scriptSpaces); i += 2 {
					if strings.Contains(text, scriptSpaces[i]) {
						t.Errorf("%s: the text %s holds %q", name, text, scriptSpaces[i])
					}
				}
			}
		}
	}
}

var placeholder = regexp.MustCompile(`\{\w+\}`)

func TestEveryLanguageHasEveryTextWithTheSamePlaceholders(t *testing.T) {
	for key, all := range texts.texts {
		if len(all) != len(texts.languages) {
			t.Errorf("%s has %d texts for %d languages", key, len(all), len(texts.languages))
			continue
		}
		want := slices.Sorted(slices.Values(placeholder.FindAllString(all[0], -1)))
		for i, text := range all {
			got := slices.Sorted(slices.Values(placeholder.FindAllString(text, -1)))
			if text == "" || strings.TrimSpace(text) != text || !slices.Equal(got, want) {
				t.Errorf("%s in %s is %q, with the placeholders %q, not %q", key, texts.languages[i], text, got, want)
			}
		}
	}
}

func TestTheScriptsNameTextsThatThereAre(t *testing.T) {
	sources := []string{pageHTML}
	for _, name := range AssetNames() {
		if strings.HasSuffix(name, ".js") {
			sources = append(sources, string(source(name)))
		}
	}
	all := strings.Join(sources, "\n")
	for _, found := range regexp.MustCompile(`(?:\bt\(|\.Text )"(\w+)"`).FindAllStringSubmatch(all, -1) {
		if _, ok := texts.texts[found[1]]; !ok {
			t.Errorf("there is no text %q", found[1])
		}
	}
	if got, want := texts.keys(sources...), slices.Sorted(maps.Keys(texts.texts)); !slices.Equal(got, want) {
		t.Errorf("%d texts are named in the scripts, %d there are", len(got), len(want))
	}
	// A text over several lines would be changed when it is served.
	if strings.Contains(all, "`") {
		t.Error("a script has a template literal")
	}
}

func TestTheLanguageIsTheOneThatFitsBest(t *testing.T) {
	s := newSite(t, Config{Title: "Acme"})
	for header, want := range map[string]string{
		"": "en", "de": "de", "de-AT,de;q=0.9,en;q=0.8": "de", "fr-CA": "fr", "es-419": "es", "ja-JP": "ja", "en-GB,de": "en",
		"pl,de;q=0.5": "de", "pl": "en", "*": "en", "nonsense header;;;": "en", "fr;q=0.1,ja;q=0.9": "ja",
		strings.Repeat("de,", 1000): "en",
	} {
		content, _ := s.Page(header)
		if got := pageData(t, content).Lang; got != want || !strings.Contains(string(content), `<html lang="`+want+`">`) {
			t.Errorf("%.40q: %q, want %q", header, got, want)
		}
	}
}

func TestOnlyTheConfiguredOriginsMayFrameThePage(t *testing.T) {
	s := newSite(t, Config{Title: "Acme"})
	if _, policy := s.Page(""); !strings.HasSuffix(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") {
		t.Errorf("policy %q", policy)
	}
	s = newSite(t, Config{Title: "Acme", FrameAncestors: []string{"https://a.example", "https://b.example"}})
	if _, policy := s.Page(""); !strings.HasSuffix(policy, "frame-ancestors https://a.example https://b.example") {
		t.Errorf("policy %q", policy)
	}
	if _, policy := s.LinkPage(""); !strings.HasSuffix(policy, "frame-ancestors 'none'") {
		t.Errorf("the link page's policy is %q", policy)
	}
}
