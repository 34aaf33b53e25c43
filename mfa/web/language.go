package web

import (
	_ "embed"
	"encoding/json"
	"maps"
	"regexp"
	"slices"

	"golang.org/x/text/language"
)

// textsJSON holds every text that pages show, by its key, once in each
// language. To add a language, add its tag and one text to each key.
//
//go:embed texts.json
var textsJSON []byte

// catalogue is the texts by key, in the order of languages.
type catalogue struct {
	languages []string
	texts     map[string][]string
	matcher   language.Matcher
}

var texts = mustParse(textsJSON)

func mustParse(content []byte) catalogue {
	var file struct {
		Languages []string            `json:"languages"`
		Texts     map[string][]string `json:"texts"`
	}
	if err := json.Unmarshal(content, &file); err != nil {
		panic(err) // the file is embedded
	}
	var tags []language.Tag
	for _, lang := range file.Languages {
		tags = append(tags, language.MustParse(lang))
	}
	return catalogue{file.Languages, file.Texts, language.NewMatcher(tags)}
}

// word finds what may be the key of a text in a script or the template.
var word = regexp.MustCompile(`"([A-Za-z]+)"`)

// keys are the keys of the texts that are named in the sources.
func (c catalogue) keys(sources ...string) []string {
	keys := make(map[string]bool)
	for _, source := range sources {
		for _, found := range word.FindAllStringSubmatch(source, -1) {
			if _, ok := c.texts[found[1]]; ok {
				keys[found[1]] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(keys))
}

// of returns the texts, in the i-th language, that the sources name.
func (c catalogue) of(i int, sources ...string) map[string]string {
	used := make(map[string]string)
	for _, key := range c.keys(sources...) {
		used[key] = c.texts[key][i]
	}
	return used
}

// maxAcceptLanguage is how much of the header is read, in bytes.
const maxAcceptLanguage = 256

// choose returns the index of the language that fits an Accept-Language
// header (RFC 9110, 12.5.4) best, that of English where none does.
func choose(header string) int {
	if len(header) > maxAcceptLanguage {
		return 0
	}
	tags, _, err := language.ParseAcceptLanguage(header)
	if err != nil {
		return 0
	}
	_, index, confidence := texts.matcher.Match(tags...)
	if confidence == language.No {
		return 0
	}
	return index
}
