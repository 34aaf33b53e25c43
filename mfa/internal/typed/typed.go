// Package typed reads codes as people type, paste and print them.
package typed

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// MaxCode bounds what is looked at as a code, in bytes. Digits of other scripts
// have up to four, and marks stand between them.
const MaxCode = 256

// Code returns a code without what people, keyboards and paper add to it:
// blanks, dashes, and marks that cannot be seen, such as zero-width ones and
// those of direction. Decimal digits of every script become 0 to 9, and
// full-width letters those of ASCII. Everything else stays. ok is false for a
// text that is too long to be a code.
func Code(text string) (code string, ok bool) {
	if len(text) > MaxCode {
		return "", false
	}
	return strings.Map(func(r rune) rune {
		switch {
		case added(r):
			return -1
		case unicode.Is(unicode.Nd, r):
			return '0' + digit(r)
		}
		return r
	}, norm.NFKC.String(text)), true
}

// added reports whether r says nothing in a code.
func added(r rune) bool {
	switch r {
	case '\u2212', // the minus sign
		'\u30fc',           // what the hyphen's key of a Japanese keyboard types
		'\u034f', '\u3164': // the grapheme joiner, and a filler that looks like a blank
		return true
	}
	return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Pd, r) || unicode.Is(unicode.Variation_Selector, r)
}

// digit is the value of a decimal digit. Those of a script follow each other
// from 0 to 9, and ranges begin with a 0 (Unicode, section 4.6).
func digit(r rune) rune {
	for _, of := range unicode.Nd.R16 {
		if rune(of.Lo) <= r && r <= rune(of.Hi) {
			return (r - rune(of.Lo)) % 10
		}
	}
	for _, of := range unicode.Nd.R32 {
		if rune(of.Lo) <= r && r <= rune(of.Hi) {
			return (r - rune(of.Lo)) % 10
		}
	}
	return 0 // for what is none
}
