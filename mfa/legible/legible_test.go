package legible_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddymfa/caddy-mfa/mfa/legible"
)

// strange are texts that must not reach a terminal, and how they are shown.
var strange = map[string]string{
	"a\u202Ab\u202Bc\u202Cd\u202De\u202Ef": `"a\u202ab\u202bc\u202cd\u202de\u202ef"`,
	"a\u2066b\u2067c\u2068d\u2069":         `"a\u2066b\u2067c\u2068d\u2069"`,
	"a\u200Eb\u200Fc\u061Cd":               `"a\u200eb\u200fc\u061cd"`,
	"a\u200Bb\u200Cc\u200Dd\u2060e\uFEFFf": `"a\u200bb\u200cc\u200dd\u2060e\ufefff"`,
	"a\x00\x01\x07\b\x1f\x7fb":             `"a\x00\x01\a\b\x1f\x7fb"`,
	"a\u0080\u0085\u009bb":                 `"a\u0080\u0085\u009bb"`,
	"\x1b[31mred\x1b]0;title\x07":          `"\x1b[31mred\x1b]0;title\a"`,
	"a\nb\r\tc\v\f":                        `"a\nb\r\tc\v\f"`,
	"a\u2028b\u2029c":                      `"a\u2028b\u2029c"`,
	"a\xffb":                               `"a\xffb"`,
	"a\xed\xa0\x80b":                       `"a\xed\xa0\x80b"`, // a lone surrogate
	"a\u00a0b\u3000c\u00add":               `"a\u00a0b\u3000c\u00add"`,
	"a\u3164b\u2800c\u034fd\uffa0":         `"a\u3164b\u2800c\u034fd\uffa0"`,
	"\U000E0041\U000E0001":                 `"\U000e0041\U000e0001"`,
	`"bob\u202e"`:                          `"\"bob\\u202e\""`,
	"":                                     "",
	"alice":                                "alice",
	"Zoë <zoe@example.com>, Ωmega, 山田, בוב, 😀": "Zoë <zoe@example.com>, Ωmega, 山田, בוב, 😀",
	`DOMAIN\user`: `DOMAIN\user`,
	`a\u202eb`:    `a\u202eb`,
	"a\ufffdb":    "a\ufffdb", // is valid
}

func TestWhatCannotBeSeenIsShown(t *testing.T) {
	shown := map[string]string{}
	for text, want := range strange {
		got := legible.Text(text)
		if got != want {
			t.Errorf("%q is shown as %s, want %s", text, got, want)
		}
		if other, ok := shown[got]; ok {
			t.Errorf("%q and %q are both shown as %s", text, other, got)
		}
		shown[got] = text
	}
}

func TestADocumentSaysTheSameWithNothingHidden(t *testing.T) {
	for text := range strange {
		encoded, err := json.MarshalIndent(map[string]string{"name": text}, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		escaped := legible.Escape(string(encoded))
		wantVisible(t, strings.ReplaceAll(escaped, "\n", ""))
		var back, want map[string]string
		if err := errors.Join(json.Unmarshal([]byte(escaped), &back), json.Unmarshal(encoded, &want)); err != nil || back["name"] != want["name"] {
			t.Errorf("%q is read back as %q: %v", text, back["name"], err)
		}
	}
}

func wantVisible(t *testing.T, text string) {
	t.Helper()
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) || legible.Hidden(r) }) || !utf8.ValidString(text) {
		t.Errorf("%q holds what cannot be seen", text)
	}
}

func TestLogLinesAreLegibleWhateverTheEncoder(t *testing.T) {
	for name, encoder := range map[string]zapcore.Encoder{
		"console": zapcore.NewConsoleEncoder(zap.NewProductionEncoderConfig()),
		"json":    zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()),
	} {
		for text := range strange {
			var out strings.Builder
			log := legible.Log(zap.New(zapcore.NewCore(encoder, zapcore.AddSync(&out), zap.InfoLevel)))
			log.With(zap.String("with", text)).Info("said "+text, zap.String("subject", text), zap.Error(errors.New(text)), zap.Int("n", 1))
			log.Debug("not at this level")
			line, ended := strings.CutSuffix(out.String(), "\n")
			if !ended || strings.Contains(line, "\n") {
				t.Errorf("%s: %q makes the lines %q", name, text, out.String())
			}
			wantVisible(t, strings.ReplaceAll(line, "\t", ""))
		}
	}
}

func FuzzText(f *testing.F) {
	for text := range strange {
		f.Add(text, text+"x")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		shown := legible.Text(a)
		wantVisible(t, shown)
		if a != b && shown == legible.Text(b) {
			t.Errorf("%q and %q are both shown as %s", a, b, shown)
		}
	})
}
