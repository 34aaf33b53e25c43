package gate

import (
	"net/http"
	"slices"
	"strings"
)

// Cookies returns the values of the cookies called name, as they stand behind
// the equals sign, malformed ones too. Sure is false when a server that reads
// more loosely may find one more: in another case (as ASP.NET does), behind a
// comma or a blank (as parsers of RFC 2109 do), in the middle of quotes, or
// with one of the signs that PHP makes an underscore.
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
	for i := 0; i+len(name) < len(line); i++ {
		if begins && takenFor(line[i:i+len(name)], name) {
			rest := line[i+len(name):]
			for len(rest) > 0 && rest[0] != ';' && separates(rest[0]) {
				rest = rest[1:]
			}
			if len(rest) > 0 && rest[0] == '=' {
				n++
			}
		}
		begins = separates(line[i])
	}
	return n
}

// separates reports whether a name may begin behind c. What is not ASCII is a
// blank in some alphabet.
func separates(c byte) bool {
	return c <= ' ' || c >= 0x7f || c == ';' || c == ',' || c == '"' || c == '\''
}

// takenFor reports whether some server may take s, which is as long, for the
// name.
func takenFor(s, name string) bool {
	for i := range len(name) {
		switch c := lower(s[i]); {
		case c == lower(name[i]):
		case name[i] == '_' && (c == '.' || c == ' ' || c == '['):
		default:
			return false
		}
	}
	return true
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
