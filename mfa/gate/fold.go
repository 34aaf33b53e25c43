package gate

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// fold brings a text to the form in which it is compared: compatibility
// forms such as full-width letters as what they stand for, letters in one
// case and without accents, as most databases compare them, overlong UTF-8 decoded, and all that is taken for a slash or a
// backslash, but a slash, as a backslash.
func fold(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	if !utf8.ValidString(s) {
		s = decodeOverlong(s)
	}
	return foldValid(s)
}

// foldValid is fold for UTF-8; what is not comes out as U+FFFD.
func foldValid(s string) string {
	return strings.Map(foldRune, norm.NFKD.String(strings.Map(foldRune, s)))
}

func decodeOverlong(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			if c, n := overlong(s[i:]); n > 0 {
				if c == '/' {
					c = '\\' // not every backend takes it for a slash
				}
				b.WriteByte(c)
				i += n
				continue
			}
		}
		b.WriteString(s[i : i+size])
		i += size
	}
	return b.String()
}

func foldRune(r rune) rune {
	switch r {
	case 0x2044, 0x2215, 0x2216, 0x29f5, 0x29f8, 0xfe68, 0xff0f, 0xff3c, 0xa5, 0x20a9:
		return '\\' // the last two are at its place in Japan and Korea
	case 0x131: // dotless i, whose capital is I
		return 'i'
	}
	if 0x300 <= r && r <= 0x36f {
		return -1 // an accent
	}
	return unicode.ToLower(r)
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// overlong decodes an ASCII character in more bytes than UTF-8 allows, and
// returns how many there were, 0 for none.
func overlong(s string) (byte, int) {
	zeros := 0
	switch {
	case s[0] == 0xc0 || s[0] == 0xc1:
		if len(s) > 1 && s[1]&0xc0 == 0x80 {
			return s[0]&1<<6 | s[1]&0x3f, 2
		}
		return 0, 0
	case s[0] == 0xe0:
		zeros = 0
	case s[0] == 0xf0:
		zeros = 1
	default:
		return 0, 0
	}
	n := zeros + 3
	if len(s) < n {
		return 0, 0
	}
	for i := 1; i <= zeros; i++ {
		if s[i] != 0x80 {
			return 0, 0
		}
	}
	if hi, lo := s[n-2], s[n-1]; (hi == 0x80 || hi == 0x81) && lo&0xc0 == 0x80 {
		return hi&1<<6 | lo&0x3f, n
	}
	return 0, 0
}
