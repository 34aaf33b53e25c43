package factor_test

import (
	"testing"
	"unicode/utf8"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

func FuzzDisplayText(f *testing.F) {
	for _, s := range []string{"", "Alice's phone", "a@localhost.", "\u202eevil\u2066", "a\x00b\r\nc", "\xff\xfe", "👩\u200d💻", "  \u00a0x\u2028 ", "\u00ad"} {
		f.Add(s, 5)
	}
	f.Fuzz(func(t *testing.T, s string, limit int) {
		if limit < 0 || limit > 1000 {
			return
		}
		shown := factor.DisplayText(s, limit)
		if !factor.Plain(shown) || utf8.RuneCountInString(shown) > limit || len(shown) > len(s) {
			t.Fatalf("%q is shown as %q", s, shown)
		}
		if again := factor.DisplayText(shown, limit); again != shown {
			t.Fatalf("%q is shown as %q, and then as %q", s, shown, again)
		}
	})
}
