package gate

import "strings"

// Bounds on how many cookieless parts of a path are read closely, and on how
// many places are looked at that may begin one.
const (
	maxCookieless      = 2
	maxCookielessTries = 32
)

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

// withoutCookieless returns a path without one or more of its cookieless
// parts, in each way that ASP.NET has taken them out: with the slash before
// them, so that /ad/(S(x))min is /admin, and without. It returns nil for a path
// that has none, and many reports that there are too many to tell.
func withoutCookieless(s string) (readings []string, many bool) {
	type part struct{ before, text string }
	var parts []part
	for from, tries := 0, 0; ; {
		i := strings.IndexByte(s[from:], '(')
		if i < 0 {
			break
		}
		from += i
		if !beginsCookieless(s[from:]) {
			from++
			continue
		}
		if tries++; tries > maxCookielessTries {
			return nil, true
		}
		length := cookieless(s[from:])
		if length == 0 {
			from++
			continue
		}
		if len(parts) == maxCookieless {
			return nil, true
		}
		parts = append(parts, part{s[:from], s[from : from+length]})
		s, from = s[from+length:], 0
	}
	readings = []string{""}
	for _, part := range parts {
		var longer []string
		for _, begun := range readings {
			longer = append(longer, begun+part.before+part.text, begun+part.before)
			if before, ok := withoutSlash(begun + part.before); ok {
				longer = append(longer, before)
			}
		}
		readings = longer
	}
	for i := range readings {
		readings[i] += s
	}
	return readings[1:], false // the first has all of them
}

// withoutSlash returns s, a path's beginning, without the slash at its end, and
// without what reads as nothing before that.
func withoutSlash(s string) (string, bool) {
	s, ok := strings.CutSuffix(s, "/")
	if !ok {
		return "", false
	}
	var kept []string
	for text := range strings.SplitSeq(s, "/") {
		segment := readSegment(text)
		switch {
		case segment.up:
			kept = kept[:max(0, len(kept)-1)]
		case !segment.skip:
			kept = append(kept, text)
		}
	}
	if len(kept) == 0 {
		return "", true
	}
	return "/" + strings.Join(kept, "/"), true
}
