package gate

import "strings"

// name is a segment of a pattern, with what it takes to find it in the other
// ways in which backends write a name.
type name struct {
	glob     string // folded; "*" is any run of characters
	suffixed string // the same with a suffix, such as .json
	literal  string // the beginning of glob, as a short name has it
}

func makeName(glob string) name {
	literal, _, _ := strings.Cut(glob, "*")
	return name{glob: glob, suffixed: glob + ".*", literal: inShortName(literal)}
}

// matches matches one reading of a segment. Last says that the path may end
// with it.
func (n *name) matches(s string, last bool) bool {
	return matchSegment(n.glob, s) || n.matchSuffixed(s, last) || n.matchShort(s)
}

// matchSuffixed reports whether s is the name with a suffix. Frameworks take
// the suffix of a path's last segment for the format of the answer
// (/admin.json), and web servers find the script that a path leaves the suffix
// out of: /admin/x and /admin.php/x are one to them.
func (n *name) matchSuffixed(s string, last bool) bool {
	return matchSegment(n.suffixed, s) && (last || mayBeScript(s))
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

// gluedInfo returns where, in s, the path begins that a PHP script is asked
// for without a slash between, -1 for nowhere: FastCGI clients, Caddy's
// among them, cut /index.phpadmin/x behind the suffix.
func gluedInfo(s string) int {
	const suffix = ".php"
	for from := 0; ; {
		i := strings.IndexByte(s[from:], '.')
		if i < 0 {
			return -1
		}
		from += i
		if end := from + len(suffix); end < len(s) && strings.EqualFold(s[from:end], suffix) && s[end] != '/' {
			return end
		}
		from++
	}
}

// isIndex reports whether servers answer with a file of this name for the
// folder that it is in.
func isIndex(s string) bool {
	base, _, ok := strings.Cut(s, ".")
	return ok && !strings.Contains(s, "/") && (strings.EqualFold(base, "index") || strings.EqualFold(base, "default"))
}

// A short name, as Windows makes them, is at most 8 characters long, and 3 in
// the suffix.
const (
	maxShortBase   = 8
	maxShortSuffix = 3
	shortHash      = 4 // hexadecimal digits
)

// matchShort reports whether s may be the short name (8.3) of a name that n
// stands for: up to six of its characters, or up to two and a hash of four
// digits, then a tilde and a number.
func (n *name) matchShort(s string) bool {
	base, suffix, _ := strings.Cut(s, ".")
	tilde := strings.LastIndexByte(base, '~')
	if tilde < 1 || tilde == len(base)-1 || len(base) > maxShortBase || len(suffix) > maxShortSuffix {
		return false
	}
	for i := tilde + 1; i < len(base); i++ {
		if !isDigit(base[i]) {
			return false
		}
	}
	if s = base[:tilde]; n.mayBegin(s) {
		return true
	}
	from := len(s) - shortHash
	return from > 0 && isHex(s[from:]) && n.mayBegin(s[:from])
}

// mayBegin reports whether a name that n stands for may begin with s. Whether
// s is too long for n does not count.
func (n *name) mayBegin(s string) bool {
	return strings.HasPrefix(n.literal, s) || strings.HasPrefix(s, n.literal)
}

// inShortName returns what short names take of s: no blanks and dots, an
// underscore for what they do not allow, and nothing that is sure from the
// first character on that is not ASCII.
func inShortName(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= 0x80:
			return b.String()
		case c == ' ', c == '.':
		case strings.IndexByte("+,;=[]", c) >= 0:
			b.WriteByte('_')
		default:
			b.WriteByte(c)
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
