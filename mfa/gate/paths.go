// Package gate has what guarding routes takes, apart from who may pass: it
// tells which requests are for a guarded path, however they spell it, and
// takes out of a request what a client must not be able to say.
package gate

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"
)

// Paths are patterns of paths that are guarded. They are read more loosely
// than Caddy's path matcher reads them, because backends read paths more
// loosely: whatever some backend might take for a guarded path is one. It is
// safe for concurrent use.
type Paths struct {
	patterns []pattern
}

// pattern is a pattern of paths, segment by segment.
type pattern struct {
	segments []string // folded; "*" in one is any run of characters
	floating bool     // may begin at any segment
	below    bool     // covers what is below too
}

// NewPaths reads patterns as they stand in a Caddyfile: "/admin" is that
// path alone, "/admin/*" that path and all below it, "*.php" what ends in
// ".php", "*sub*" what has "sub" in it, and a "*" elsewhere stands for any
// run of characters but a slash. "*" is everything. A pattern whose last
// segment has a "*" covers what is below too: backends take the rest of
// /x.php/y for the path info of /x.php. An error is returned for no pattern
// at all and for one that could not match what it says.
func NewPaths(patterns []string) (*Paths, error) {
	if len(patterns) == 0 {
		return nil, errors.New("no path is given")
	}
	p := &Paths{}
	for _, s := range patterns {
		read, err := readPattern(s)
		if err != nil {
			return nil, fmt.Errorf("path %q %w", s, err)
		}
		p.patterns = append(p.patterns, read)
	}
	return p, nil
}

func readPattern(s string) (pattern, error) {
	if s == "" || s[0] != '/' && s[0] != '*' {
		return pattern{}, errors.New("begins with neither a slash nor *")
	}
	if !utf8.ValidString(s) {
		return pattern{}, errors.New("is not valid UTF-8")
	}
	if strings.ContainsAny(s, `%;\?#[]`) || strings.ContainsFunc(s, isJunk) {
		return pattern{}, errors.New(`holds a control character or one of % ; \ ? # [ ]: ` +
			"write it decoded, without query, with * as the only wildcard")
	}
	folded := fold(s)
	for strings.Contains(folded, "**") {
		folded = strings.ReplaceAll(folded, "**", "*")
	}
	if strings.ContainsAny(folded, `%;\?#`) {
		return pattern{}, errors.New(`holds a character that backends take for one of % ; \ ? #`)
	}
	p := pattern{floating: s[0] == '*'}
	for segment := range strings.SplitSeq(folded, "/") {
		if segment == "" {
			continue
		}
		if trim(segment) != segment {
			return pattern{}, errors.New("has a segment with a dot at its end or a space at its edge")
		}
		p.segments = append(p.segments, segment)
	}
	if p.floating && len(p.segments) > 1 && p.segments[0] == "*" {
		p.segments = p.segments[1:]
	}
	if n := len(p.segments); n > 0 {
		p.below = strings.Contains(p.segments[n-1], "*")
		if p.segments[n-1] == "*" {
			p.segments = p.segments[:n-1]
		}
	}
	return p, nil
}

// Match reports whether u is, or may be taken for, a guarded path. What is
// no path, such as the * of OPTIONS, is guarded.
func (p *Paths) Match(u *url.URL) bool {
	if u.Opaque != "" || !strings.HasPrefix(u.Path, "/") {
		return true // what an upstream makes of it cannot be known
	}
	if u.RawPath == "" && ordinary(u.Path) {
		for i := range p.patterns {
			if p.patterns[i].covers(u.Path) {
				return true
			}
		}
		return false
	}
	return p.matchReadings(u)
}

// ordinary reports whether there is but one way to read a path, apart from
// the case of its letters.
func ordinary(s string) bool {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c <= ' ', c >= 0x7f, c == '%', c == ';', c == '?', c == '#', c == '\\':
			return false
		case c == ':' && i+1 < len(s) && (s[i+1] == ':' || s[i+1] == '$'):
			return false
		case c == '/' && i+1 < len(s) && s[i+1] == '/':
			return false
		case c == '.' && (i+1 == len(s) || s[i+1] == '/'):
			return false // Windows takes it off
		}
	}
	return true
}

// covers reports whether the pattern covers an ordinary path.
func (p *pattern) covers(s string) bool {
	for more := true; more; {
		s = s[1:]
		if p.coversFrom(s) {
			return true
		}
		if !p.floating {
			return false
		}
		i := strings.IndexByte(s, '/')
		if more = i >= 0; more {
			s = s[i:]
		}
	}
	return false
}

func (p *pattern) coversFrom(s string) bool {
	for _, want := range p.segments {
		segment, rest, _ := strings.Cut(s, "/")
		if segment == "" || !matchSegment(want, segment) {
			return false
		}
		s = rest
	}
	return p.below || s == ""
}

// matchSegment matches one segment, in any case, to one of a pattern.
func matchSegment(want, s string) bool {
	star, mark := -1, 0
	w := 0
	for i := 0; i < len(s); {
		switch {
		case w < len(want) && want[w] == '*':
			star, mark = w, i
			w++
		case w < len(want) && want[w] == lower(s[i]):
			w++
			i++
		case star >= 0:
			mark++
			w, i = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(want[w:], "*") == ""
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}
