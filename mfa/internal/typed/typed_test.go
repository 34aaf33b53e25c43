package typed_test

import (
	"strings"
	"testing"
	"unicode"

	"github.com/caddymfa/caddy-mfa/mfa/internal/typed"
)

// Codes are the ways in which people type 123456.
var codes = map[string]string{
	"plain":                  "123456",
	"full-width":             "１２３４５６",
	"Arabic-Indic":           "١٢٣٤٥٦",
	"Persian":                "۱۲۳۴۵۶",
	"Devanagari":             "१२३४५६",
	"Bengali":                "১২৩৪৫৬",
	"Thai":                   "๑๒๓๔๕๖",
	"bold":                   "𝟏𝟐𝟑𝟒𝟓𝟔",
	"scripts mixed":          "1２٣۴५৬",
	"blanks":                 " 123 456\t\r\n",
	"no-break blanks":        "123\u00a0456\u202f",
	"an ideographic space":   "１２３\u3000４５６",
	"thin and figure spaces": "1\u20092\u20073 456",
	"dashes":                 "1-2–3—4‑5−6",
	"a Japanese long mark":   "１２３ー４５６",
	"half-width long mark":   "123ｰ456",
	"zero-width":             "\ufeff12\u200b34\u200d5\u20606",
	"direction":              "\u200f123\u200e\u202a456\u202c\u2066\u2069\u061c",
	"soft hyphens":           "123\u00ad456",
	"a variation selector":   "1\ufe0f23456",
}

func TestCodesAreReadAsPeopleTypeThem(t *testing.T) {
	for name, text := range codes {
		if code, ok := typed.Code(text); !ok || code != "123456" {
			t.Errorf("%s: %q is %q, %v", name, text, code, ok)
		}
	}
	for text, want := range map[string]string{
		"ＡＢＣＤ－ｅｆｇｈ": "ABCDefgh", "a.b": "a.b", "12,3": "12,3", "½": "1⁄2", "\xff": "\ufffd", "": "", "一二三": "一二三",
	} {
		if code, ok := typed.Code(text); !ok || code != want {
			t.Errorf("%q is %q, %v; want %q", text, code, ok, want)
		}
	}
	if _, ok := typed.Code(strings.Repeat("1", typed.MaxCode+1)); ok {
		t.Error("a text that is too long was read")
	}
}

func TestEveryDecimalDigitHasItsValue(t *testing.T) {
	for r := range rune(unicode.MaxRune) {
		if !unicode.Is(unicode.Nd, r) {
			continue
		}
		code, _ := typed.Code(string(r))
		if len(code) != 1 || code[0] < '0' || code[0] > '9' {
			t.Fatalf("%U is %q", r, code)
		}
		if before, _ := typed.Code(string(r - 1)); unicode.Is(unicode.Nd, r-1) && (code[0]-'0') != (before[0]-'0'+1)%10 {
			t.Errorf("%U is %s, and the one before it %s", r, code, before)
		}
	}
}

func FuzzReadingACodeNeverPanicsAndChangesNothingTwice(f *testing.F) {
	for _, text := range codes {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		code, ok := typed.Code(text)
		if again, _ := typed.Code(code); ok && len(code) <= typed.MaxCode && again != code {
			t.Errorf("%q is %q, which is %q", text, code, again)
		}
	})
}
