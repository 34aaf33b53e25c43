package web

import (
	"strings"
	"testing"
)

func FuzzLogo(f *testing.F) {
	for _, content := range []string{"", "\x89PNG\r\n\x1a\n", "GIF89a", "<svg xmlns='x'/>", "<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'b'>]><svg>", "<html>", "\xff\xd8\xff", "<a:svg"} {
		f.Add([]byte(content))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		logo, err := NewLogo(content)
		if err == nil && (!strings.HasPrefix(logo.contentType, "image/") || len(logo.content) != len(content)) {
			t.Fatalf("a logo of type %q", logo.contentType)
		}
	})
}

func FuzzColour(f *testing.F) {
	for _, s := range []string{"#0b57d0", "05d", "#fff", "#000000", "red", "#12345", "#\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		colour, err := ParseColour(s)
		if err != nil {
			return
		}
		if again, err := ParseColour(colour.String()); err != nil || again != colour {
			t.Fatalf("%q is %v, and then %v, %v", s, colour, again, err)
		}
		if css := theme(colour); strings.ContainsAny(css, "<>\"'\\") {
			t.Fatalf("%q makes %q", s, css)
		}
	})
}

func FuzzAcceptLanguage(f *testing.F) {
	for _, header := range []string{"", "de-CH,de;q=0.9,en;q=0.8", "*", "xx", "zh-Hant-TW", ";;;q=", "en;q=9", "a-b-c-d-e-f-g-h", "de\x00"} {
		f.Add(header)
	}
	f.Fuzz(func(t *testing.T, header string) {
		if index := choose(header); index < 0 || index >= len(texts.languages) {
			t.Fatalf("%q chooses language %d", header, index)
		}
	})
}
