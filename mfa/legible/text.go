// Package legible writes texts of strangers so that a person can read them
// for what they are, on a console and in logs. A text may hold characters
// that cannot be seen, turn the direction of what is around them, or command
// a terminal.
package legible

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// invisible are characters that show nothing, though Unicode counts them
// among letters, marks and symbols.
var invisible = map[rune]bool{
	0x034F: true, 0x115F: true, 0x1160: true, 0x17B4: true, 0x17B5: true, 0x2800: true, 0x3164: true, 0xFFA0: true,
}

// Hidden reports whether r cannot be seen, or changes what is around it:
// control characters, line and paragraph separators, direction marks, joiners
// and the like.
func Hidden(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Cf) || invisible[r]
}

// Text returns s as it can be shown in one line. A text in which everything
// can be seen is returned as it is. Another one, one that is not valid UTF-8,
// and one that begins with a quotation mark, is quoted, with \u, \U and \x for
// what cannot be seen, as Go writes it. So different texts look different.
func Text(s string) string {
	if !strings.HasPrefix(s, `"`) && plain(s) {
		return s
	}
	quoted := strconv.Quote(s)
	if strings.ContainsFunc(quoted, Hidden) {
		return Escape(quoted)
	}
	return quoted
}

func plain(s string) bool {
	for i, r := range s {
		if !unicode.IsPrint(r) || Hidden(r) {
			return false
		}
		if r == utf8.RuneError && !strings.HasPrefix(s[i:], string(utf8.RuneError)) {
			return false // not UTF-8
		}
	}
	return true
}

// Escape writes each character beyond ASCII that cannot be seen as JSON does,
// by \u. In a JSON document they stand in strings alone, so that it says the
// same as before.
func Escape(document string) string {
	var b strings.Builder
	for _, r := range document {
		switch {
		case r < 0x7f || unicode.IsPrint(r) && !Hidden(r):
			b.WriteRune(r)
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
