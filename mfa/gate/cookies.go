package gate

import (
	"net/http"
	"slices"
	"strings"
)

// Cookies returns the values of the cookies called name, as they stand behind
// the equals sign, malformed ones too. Sure is false when a server that reads
// more loosely may find one more: in another case (as ASP.NET does), behind a
// comma or a blank (as parsers of RFC 2109 do), in the middle of quotes, with
// one of the signs that PHP makes an underscore, or percent-encoded (Perl's
// CGI, older releases of Rack and PHP decode names).
func Cookies(h http.Header, name string) (values []string, sure bool) {
	sure = true
	for _, line := range h["Cookie"] {
		loose := spellings(line, name)
		if loose == 0 && !strings.Contains(line, name) {
			continue
		}
		for pair := range strings.SplitSeq(line, ";") {
			if !isCookie(pair, name) {
				continue
			}
			_, value, assigned := strings.Cut(pair, "=")
			values = append(values, value)
			if assigned {
				loose--
			}
		}
		sure = sure && loose == 0
	}
	return values, sure
}

// spellings counts where some server may see a cookie called name begin.
func spellings(line, name string) (n int) {
	begins := true
	for i := 0; i < len(line); {
		if begins {
			if rest, ok := cutName(line[i:], name); ok && assigns(rest) {
				n++
			}
		}
		// What decodes to a blank still is before the beginning of a name.
		c, width := decoded(line[i:], decodings)
		if begins && width > 1 && blank(c) {
			i += width
			continue
		}
		begins = separates(line[i]) || begins && line[i] == '+'
		i++
	}
	return n
}

// cutName returns what follows the name at the beginning of s, in whatever
// spelling some server takes for it.
func cutName(s, name string) (rest string, ok bool) {
	for i := range len(name) {
		if s == "" {
			return "", false
		}
		c, width := decoded(s, decodings)
		if !takenFor(c, name[i]) {
			return "", false
		}
		s = s[width:]
	}
	return s, true
}

// assigns reports whether s, which follows a name, gives it a value. PHP ends a
// name at a NUL.
func assigns(s string) bool {
	for s != "" && s[0] != ';' && s[0] != '=' {
		c, width := decoded(s, decodings)
		switch {
		case c == 0 && width > 1:
			return true
		case width == 1 && separates(c), blank(c):
			s = s[width:]
		default:
			return false
		}
	}
	return s != "" && s[0] == '='
}

// decodings is how often a name may be percent-encoded to be found.
const decodings = 3

// decoded returns the first character of s, which is not empty, as it is when
// its percent-encoding is taken off, up to times times, and how many bytes of
// s make it.
func decoded(s string, times int) (c byte, width int) {
	c, width = s[0], 1
	for ; c == '%' && times > 0; times-- {
		high, highWidth, ok := hexDigit(s[width:], times-1)
		if !ok {
			break
		}
		low, lowWidth, ok := hexDigit(s[width+highWidth:], times-1)
		if !ok {
			break
		}
		c, width = high<<4|low, width+highWidth+lowWidth
	}
	return c, width
}

// hexDigit returns the value of the digit that s begins with.
func hexDigit(s string, times int) (value byte, width int, ok bool) {
	if s == "" {
		return 0, 0, false
	}
	c, width := decoded(s, times)
	switch c = lower(c); {
	case '0' <= c && c <= '9':
		return c - '0', width, true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, width, true
	}
	return 0, 0, false
}

// separates reports whether a name may begin behind c. What is not ASCII is a
// blank in some alphabet.
func separates(c byte) bool {
	return c <= ' ' || c >= 0x7f || c == ';' || c == ',' || c == '"' || c == '\''
}

// blank reports whether a server that has decoded a name may take c off its
// ends. A plus sign encodes a blank.
func blank(c byte) bool { return c <= ' ' || c >= 0x7f || c == '+' }

// takenFor reports whether some server may take c for the character of a name.
func takenFor(c, inName byte) bool {
	return lower(c) == lower(inName) || inName == '_' && (c == '.' || c == ' ' || c == '+' || c == '[')
}

// RemoveCookie takes the cookie called name out of a request's Cookie
// headers, each time that it occurs, and leaves the others as they are, byte
// by byte. It reports whether there was one. The slice of lines is not
// changed: others may hold it.
func RemoveCookie(h http.Header, name string) (present bool) {
	lines := h["Cookie"]
	if !slices.ContainsFunc(lines, func(line string) bool { return hasCookie(line, name) }) {
		return false
	}
	var kept []string
	for _, line := range lines {
		if hasCookie(line, name) {
			if line = withoutCookie(line, name); line == "" {
				continue
			}
		}
		kept = append(kept, line)
	}
	if len(kept) == 0 {
		delete(h, "Cookie")
	} else {
		h["Cookie"] = kept
	}
	return true
}

func hasCookie(line, name string) bool {
	if !strings.Contains(line, name) {
		return false
	}
	for pair := range strings.SplitSeq(line, ";") {
		if isCookie(pair, name) {
			return true
		}
	}
	return false
}

func isCookie(pair, name string) bool {
	key, _, _ := strings.Cut(pair, "=")
	return strings.TrimSpace(key) == name
}

// withoutCookie returns line, which has the cookie, without it. The space that came after
// it goes too where it stood first.
func withoutCookie(line, name string) string {
	if !strings.Contains(line, ";") {
		return ""
	}
	pairs := strings.Split(line, ";")
	first := isCookie(pairs[0], name)
	pairs = slices.DeleteFunc(pairs, func(pair string) bool { return isCookie(pair, name) })
	line = strings.Join(pairs, ";")
	if first {
		line = strings.TrimLeft(line, " ")
	}
	return line
}
