// Package gate has what guarding routes takes, apart from who may pass: it
// tells which requests are for a guarded path, however they spell it, and
// takes out of a request what a client must not be able to say.
package gate

import (
	"fmt"
	"net/url"
	"path"
	"strings"
	"unicode"
)

// Paths are patterns of paths that are guarded. They are read more loosely
// than Caddy's path matcher reads them, because backends read paths more
// loosely: whatever some backend might take for a guarded path is one. It is
// safe for concurrent use.
type Paths struct {
	patterns []string // in the form that plainest returns
}

// NewPaths reads patterns as they stand in a Caddyfile: "/admin" is that
// path alone, "/admin/*" that path and all below it, and a "*" elsewhere
// stands for any run of characters but a slash. "*" is everything.
func NewPaths(patterns []string) (*Paths, error) {
	p := &Paths{}
	for _, pattern := range patterns {
		if pattern != "*" && !strings.HasPrefix(pattern, "/") {
			return nil, fmt.Errorf("path %q does not begin with a slash", pattern)
		}
		if strings.ContainsAny(pattern, "%;\\?#") {
			return nil, fmt.Errorf("path %q holds one of %% ; \\ ? #: write it decoded, and without query", pattern)
		}
		plain := plainest(pattern)
		if _, err := path.Match(plain, ""); err != nil {
			return nil, fmt.Errorf("path %q is no pattern: %w", pattern, err)
		}
		p.patterns = append(p.patterns, plain)
	}
	return p, nil
}

// Match reports whether u is, or may be taken for, a guarded path.
func (p *Paths) Match(u *url.URL) bool {
	if u.Opaque != "" || !strings.HasPrefix(u.Path, "/") {
		return true // what an upstream makes of it cannot be known
	}
	if u.RawPath == "" && ordinary(u.Path) {
		return p.matches(u.Path)
	}
	for _, reading := range readings(u) {
		if p.matches(reading) {
			return true
		}
	}
	return false
}

// ordinary reports whether there is but one way to read a path.
func ordinary(s string) bool {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case 'A' <= c && c <= 'Z', c <= ' ', c >= 0x7f, c == '%', c == ';', c == '?', c == '#', c == '\\':
			return false
		case c == '/' && i+1 < len(s) && (s[i+1] == '/' || s[i+1] == '.'):
			return false
		case c == '.' && (i+1 == len(s) || s[i+1] == '/'):
			return false // Windows takes it off
		}
	}
	return true
}

// maxDecodings is how many times a backend, and what stands before it, may
// undo percent-encoding.
const maxDecodings = 3

// readings returns what a path may be taken for: as it came and decoded once
// and more, each time cleaned first and cleaned later, with and without the
// parameters of its segments.
func readings(u *url.URL) []string {
	var all []string
	add := func(s string) {
		// Parameters may be taken off before or after dots are followed, and
		// some cut the whole path at the first.
		for _, form := range []string{s, withoutParameters(s), upToControl(s)} {
			all = append(all, plainest(form), plainest(path.Clean(form)), climbing(form))
		}
	}
	for _, s := range []string{u.EscapedPath(), u.Path} {
		for range maxDecodings {
			add(s)
			decoded := unescape(s)
			if decoded == s {
				break
			}
			s = decoded
		}
		add(s)
	}
	return all
}

// unescape undoes percent-encoding once, where it is well formed.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]) {
			b.WriteByte(hexValue(s[i+1])<<4 | hexValue(s[i+2]))
			i += 2
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func hexValue(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	default:
		return c - 'a' + 10
	}
}

// withoutParameters takes ";…" off each segment (RFC 3986, 3.3).
func withoutParameters(s string) string {
	if !strings.Contains(s, ";") {
		return s
	}
	segments := strings.FieldsFunc(s, func(r rune) bool { return r == '/' || r == '\\' })
	for i, segment := range segments {
		segments[i], _, _ = strings.Cut(segment, ";")
	}
	return "/" + strings.Join(segments, "/")
}

// upToControl cuts a path where programs in C, and careless parsers, end it.
func upToControl(s string) string {
	if i := strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == '?' || r == '#' }); i >= 0 {
		return s[:i]
	}
	return s
}

// plainest returns the form that paths are compared in: letters folded,
// backslashes as slashes, no doubled slashes, no dot segments, no blanks and
// dots at the end of segments.
func plainest(s string) string {
	segments := strings.FieldsFunc(fold(s), func(r rune) bool { return r == '/' })
	var kept []string
	for _, segment := range segments {
		switch trimmed := strings.TrimRight(segment, ". \t\r\n\x00"); {
		case segment == "..":
			if len(kept) > 0 {
				kept = kept[:len(kept)-1]
			}
		case trimmed == "":
		default:
			kept = append(kept, trimmed)
		}
	}
	return "/" + strings.Join(kept, "/")
}

// climbing is plainest for a reader that ignores dot segments.
func climbing(s string) string {
	return plainest(strings.ReplaceAll(fold(s), "..", "."))
}

// fold brings letters to one case and form: capitals, full-width letters, and
// those few that become ASCII in another case. Backslashes become slashes.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\\', r == 0x2215, r == 0x2044, r == 0xff0f, r == 0xff3c:
			return '/'
		case 0xff01 <= r && r <= 0xff5e:
			r -= 0xff01 - '!'
		case r == 0x212a: // Kelvin sign
			return 'k'
		case r == 0x17f: // long s
			return 's'
		}
		return unicode.ToLower(r)
	}, s)
}

// matches reports whether a path in its plainest form is covered by a
// pattern.
func (p *Paths) matches(s string) bool {
	if len(s) > 1 && s[len(s)-1] == '/' {
		s = s[:len(s)-1]
	}
	for _, pattern := range p.patterns {
		if covers(pattern, s) {
			return true
		}
	}
	return false
}

// covers reports whether pattern covers the path s, or, ending in "/*",
// something above it.
func covers(pattern, s string) bool {
	if pattern == "/*" {
		return true
	}
	base, below := strings.CutSuffix(pattern, "/*")
	if !below {
		if strings.HasSuffix(pattern, "*") && !strings.ContainsAny(pattern[:len(pattern)-1], "*?[") {
			return strings.HasPrefix(s, pattern[:len(pattern)-1]) // as Caddy: also across slashes
		}
		if !strings.ContainsAny(pattern, "*?[") {
			return s == pattern
		}
		matched, _ := path.Match(pattern, s)
		return matched
	}
	if !strings.ContainsAny(base, "*?[") {
		return strings.HasPrefix(s, base) && (len(s) == len(base) || s[len(base)] == '/')
	}
	for end := len(s); end >= 0; end = strings.LastIndexByte(s[:end], '/') {
		if matched, _ := path.Match(base, s[:end]); matched {
			return true
		}
		if end == 0 {
			break
		}
	}
	return false
}
