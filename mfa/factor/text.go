package factor

import (
	"strings"
	"unicode/utf8"

	"github.com/caddymfa/caddy-mfa/mfa/legible"
)

// Plain reports whether s is text that may stand in a line shown to a
// person: UTF-8 without control characters, line breaks and marks that
// cannot be seen or reverse the order of the text around them.
func Plain(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unshowable)
}

// DisplayText returns at most limit runes of s, without outer spaces and
// what Plain does not allow.
func DisplayText(s string, limit int) string {
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unshowable(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "")))
	if runes := []rune(s); len(runes) > limit {
		s = strings.TrimSpace(string(runes[:limit]))
	}
	return s
}

func unshowable(r rune) bool {
	const nonJoiner, joiner = 0x200C, 0x200D // some scripts, and emoji, are made with them
	return legible.Hidden(r) && r != nonJoiner && r != joiner
}
