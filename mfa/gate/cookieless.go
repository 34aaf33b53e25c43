package gate

import "strings"

// maxCookieless bounds how many cookieless parts of a path are read closely.
const maxCookieless = 4

// beginsCookieless reports whether s, which begins with a parenthesis, may
// begin with what ASP.NET takes out of paths, such as (S(x)) or (A(x)F(y)): a
// session or a sign-in for clients without cookies.
func beginsCookieless(s string) bool { return len(s) > 2 && isLetter(s[1]) && s[2] == '(' }

// cookieless returns the length of the cookieless part that s begins with, 0
// for none.
func cookieless(s string) int {
	if !beginsCookieless(s) {
		return 0
	}
	i := 1
	for i+1 < len(s) && isLetter(s[i]) && s[i+1] == '(' {
		end := strings.IndexAny(s[i:], ")/")
		if end < 0 || s[i+end] == '/' {
			return 0
		}
		i += end + 1
	}
	if i < len(s) && s[i] == ')' {
		return i + 1
	}
	return 0
}

// withoutCookieless returns a path without its cookieless parts, in each way
// that ASP.NET has taken them out: with the slash before them, so that
// /ad/(S(x))min is /admin, and without. It returns nil for a path that has
// none, and many reports that there are too many to tell.
func withoutCookieless(s string) (readings []string, many bool) {
	if !strings.Contains(s, "(") {
		return nil, false
	}
	var parts []string // what is left of s
	for {
		from, length := 0, 0
		for length == 0 {
			i := strings.IndexByte(s[from:], '(')
			if i < 0 {
				break
			}
			if from += i; from < len(s) {
				if length = cookieless(s[from:]); length == 0 {
					from++
				}
			}
		}
		if length == 0 {
			break
		}
		if len(parts) == maxCookieless {
			return nil, true
		}
		parts = append(parts, s[:from])
		s = s[from+length:]
	}
	if parts == nil {
		return nil, false
	}
	for choice := range 1 << len(parts) {
		var b strings.Builder
		for i, part := range parts {
			if choice>>i&1 == 1 {
				part = strings.TrimSuffix(part, "/")
			}
			b.WriteString(part)
		}
		b.WriteString(s)
		readings = append(readings, b.String())
	}
	return readings, false
}
