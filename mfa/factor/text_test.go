package factor_test

import (
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

func TestTextsThatArePlainAndWhatIsShownOfOthers(t *testing.T) {
	for text, shown := range map[string]string{
		"Zoë's key":            "Zoë's key",
		"山田 👩\u200d💻":          "山田 👩\u200d💻", // one picture, made with a joiner
		"a\u202Eb\u202A":       "ab",
		"a\u2066b\u2069":       "ab",
		"a\u200Eb\u200F\u061C": "ab",
		"a\x00b\x7f\u0085":     "ab",
		"\x1b[31mred":          "[31mred",
		"a\nb\tc":              "abc",
		"a\u2028b\u2029":       "ab",
		"a\u200bb\ufeff":       "ab",
		"a\u3164b\u2800":       "ab",
		"a\xffb\xed\xa0\x80":   "ab",
		" a ":                  "a",
	} {
		if got := factor.DisplayText(text, 64); got != shown {
			t.Errorf("%q is shown as %q, want %q", text, got, shown)
		}
		if plain := factor.Plain(text); plain != (text == shown || text == " a ") {
			t.Errorf("%q is plain: %v", text, plain)
		}
	}
}
