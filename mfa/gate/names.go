package gate

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// name is a segment of a pattern, with what it takes to find it in the other
// ways in which backends write a name.
type name struct {
	glob     string // folded; "*" is any run of characters
	suffixed string // the same with a suffix, such as .json
	called   string // the same with what is called on it
	literal  string // the beginning of glob, as a short name has it
}

// anyCall stands for one of the characters that isCall takes. No pattern has
// it, as it is a control character.
const anyCall = '\x01'

// isCall reports whether c begins, behind a name, what some backends call on
// it: OData a key, as in /users(5), Struts and Google's API conventions a
// method, as in /users!delete.action and /users:batchDelete.
func isCall(c byte) bool { return c == '(' || c == '!' || c == ':' }

func makeName(glob string) name {
	literal, _, _ := strings.Cut(glob, "*")
	return name{glob: glob, suffixed: glob + ".*", called: glob + string(anyCall) + "*", literal: inShortName(literal)}
}

// matches matches one reading of a segment. Last says that the path may end
// with it.
func (n *name) matches(s string, last bool) bool {
	return matchSegment(n.glob, s) || n.matchMore(s, last) || n.matchShort(s)
}

// matchMore reports whether s is the name with something called on it, or with
// a suffix. Frameworks take the suffix of a path's last segment for the format
// of the answer (/admin.json), and web servers find the script that a path
// leaves the suffix out of: /admin/x and /admin.php/x are one to them.
func (n *name) matchMore(s string, last bool) bool {
	return matchSegment(n.called, s) || matchSegment(n.suffixed, s) && (last || mayBeScript(s))
}

// mayBeScript reports whether a segment may be the name of a script, behind
// which CGI, PHP, ASP.NET and JSP take the rest of the path for the path that
// the script is asked for (PATH_INFO). Which suffixes are scripts is up to each
// server: any that begins with a letter counts.
func mayBeScript(s string) bool {
	for i := 1; i+1 < len(s); i++ {
		if s[i] == '.' && isLetter(s[i+1]) {
			return true
		}
	}
	return false
}

// fronts are folders, one or two segments long, of which each entry stands before the path that is asked
// for: a script of any name, and a build of a Next.js application, which has
// the data of its pages there.
var fronts = [][]string{{"cgi-bin"}, {"fcgi-bin"}, {"_next", "data"}}

// beginsFront reports whether s begins with the first segment of a front.
func beginsFront(s string) bool {
	for _, front := range fronts {
		if n := len(front[0]); len(s) > n && s[n] == '/' && strings.EqualFold(s[:n], front[0]) {
			return true
		}
	}
	return false
}

// endInFront reports whether a front ends in the last of two segments, which
// are given by their places, -1 for none.
func endInFront(segments []segment, before, last int) bool {
	return last >= 0 && slices.ContainsFunc(fronts, func(front []string) bool {
		if len(front) == 1 {
			return segments[last].is(front[0])
		}
		return before >= 0 && segments[before].is(front[0]) && segments[last].is(front[1])
	})
}

// gluedInfo returns where, in s, the path begins that a PHP script is asked
// for without a slash between, -1 for nowhere: FastCGI clients, Caddy's
// among them, cut /index.phpadmin/x behind the suffix.
func gluedInfo(s string) int {
	for from := 0; ; from++ {
		i := strings.IndexByte(s[from:], '.')
		if i < 0 {
			return -1
		}
		if from += i; beginsGlued(s[from:]) {
			return from + len(phpSuffix)
		}
	}
}

const phpSuffix = ".php"

// beginsGlued reports whether s begins with the suffix of a PHP script with
// neither a slash nor the end behind it.
func beginsGlued(s string) bool {
	n := len(phpSuffix)
	return len(s) > n && s[n] != '/' && strings.EqualFold(s[:n], phpSuffix)
}

// isIndex reports whether servers answer with a file of this name for the
// folder that it is in. A suffix alone, such as .json, is one for the folder.
func isIndex(s string) bool {
	if strings.Contains(s, "/") {
		return false
	}
	base, _, ok := strings.Cut(s, ".")
	return ok && (strings.EqualFold(base, "index") || strings.EqualFold(base, "default")) || strings.HasPrefix(s, ".")
}

// A short name, as Windows makes them, has up to eight characters before its
// suffix.
const (
	maxShort  = 8
	shortHash = 4 // hexadecimal digits
)

// matchShort reports whether s may be the short name (8.3) of a name that n
// stands for: up to six of its characters, or up to two and a hash of four
// digits, then a tilde and a number.
func (n *name) matchShort(s string) bool {
	s, _, _ = strings.Cut(s, ".")
	tilde := strings.LastIndexByte(s, '~')
	if tilde < 1 || tilde == len(s)-1 || len(s) > maxShort {
		return false
	}
	for i := tilde + 1; i < len(s); i++ {
		if !isDigit(s[i]) {
			return false
		}
	}
	if s = s[:tilde]; n.mayBegin(s) {
		return true
	}
	from := len(s) - shortHash
	return from > 0 && isHex(s[from:]) && n.mayBegin(s[:from])
}

// mayBegin reports whether a name that n stands for may begin with s, of a
// short name, in which an underscore stands for what is not allowed there.
// Whether s is too long for n does not count.
func (n *name) mayBegin(s string) bool {
	for i := range min(len(s), len(n.literal)) {
		if s[i] != n.literal[i] && s[i] != '_' {
			return false
		}
	}
	return true
}

// inShortName returns what short names take of s: no blanks and dots, and
// nothing that is sure from the first character on that is not ASCII.
func inShortName(s string) string {
	var b strings.Builder
	for i := 0; i < len(s) && s[i] < utf8.RuneSelf; i++ {
		if s[i] != ' ' && s[i] != '.' {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

func isHex(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := lower(s[i]); !isDigit(c) && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isLetter(c byte) bool {
	c = lower(c)
	return 'a' <= c && c <= 'z'
}
