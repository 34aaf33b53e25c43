// Package gate has what guarding routes takes, apart from who may pass: it
// tells which requests are for a guarded path, however they spell it, and
// takes out of a request what a client must not be able to say.
package gate

import (
	"errors"
	"fmt"
	"net/http"
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
	queries  []string // names of parameters that hold a path, as ReadQuery says
}

// pattern is a pattern of paths, segment by segment.
type pattern struct {
	segments []name
	floating bool // may begin at any segment
	below    bool // covers what is below too
}

// NewPaths reads patterns as they stand in a Caddyfile: "/admin" is that
// path alone, "/admin/*" that path and all below it, "*.php" what ends in
// ".php", "*sub*" what has "sub" in it, and a "*" elsewhere stands for any
// run of characters but a slash. "*" is everything. A pattern whose last
// segment has a "*" covers what is below too: backends take the rest of
// /x.php/y for the path info of /x.php. A pattern is also looked for behind
// whatever may be a script, and its last segment with a suffix: /admin covers
// /index.php/admin and /admin.json. An error is returned for no pattern at
// all and for one that could not match what it says.
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
		p.segments = append(p.segments, makeName(segment))
	}
	if p.floating && len(p.segments) > 1 && p.segments[0].glob == "*" {
		p.segments = p.segments[1:]
	}
	if n := len(p.segments); n > 0 {
		p.below = strings.Contains(p.segments[n-1].glob, "*")
		if p.segments[n-1].glob == "*" {
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
	return p.matchPath(u) || len(p.queries) > 0 && p.matchQuery(u.RawQuery)
}

// MatchRequest reports whether r is, or may be taken for, a request for a
// guarded path, or for copying to one. Sent is the URL that the client sent,
// from which r.URL may differ since: a pattern may name either, and an
// upstream may be told either (CGI's REQUEST_URI is the one that was sent).
func (p *Paths) MatchRequest(sent *url.URL, r *http.Request) bool {
	return p.Match(r.URL) || !sameTarget(sent, r.URL) && p.Match(sent) || p.MatchDestination(r.Header)
}

// sameTarget reports whether two URLs have the same path and query, however
// these are held.
func sameTarget(a, b *url.URL) bool {
	return a.Path == b.Path && a.RawPath == b.RawPath && a.RawQuery == b.RawQuery && a.Opaque == b.Opaque
}

func (p *Paths) matchPath(u *url.URL) bool {
	if u.RawPath == "" || u.RawPath == u.Path { // or parentheses, which net/url would escape
		if ordinary, joined := classify(u.Path); ordinary && !(joined && len(u.Path) > maxLength) {
			return p.matchOrdinary(u.Path, joined)
		}
	}
	return p.matchReadings(u)
}

func (p *Paths) matchOrdinary(s string, joined bool) bool {
	for i := range p.patterns {
		if p.patterns[i].covers(s, joined) {
			return true
		}
	}
	return false
}

// classify reports whether there is but one way to read a path, apart from
// the case of its letters and from what a dot within a segment, or what isCall
// takes, may begin, and whether there is such a character.
func classify(s string) (ordinary, joined bool) {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c <= ' ', c >= 0x7f, c == '%', c == ';', c == '?', c == '#', c == '\\':
			return false, false
		case c == ':' && i+1 < len(s) && (s[i+1] == ':' || s[i+1] == '$'):
			return false, false
		case c == '/' && i+1 < len(s) && (s[i+1] == '/' || beginsFront(s[i+1:])):
			return false, false
		case c == '(' && beginsCookieless(s[i:]):
			return false, false
		case c == '~' && i+1 < len(s) && isDigit(s[i+1]):
			return false, false // a short name
		case c == '.' && (i+1 == len(s) || s[i+1] == '/'):
			return false, false // Windows takes it off
		case c == '.':
			if beginsGlued(s[i:]) {
				return false, false
			}
			joined = true
		case isCall(c):
			joined = true
		}
	}
	return true, joined
}

// covers reports whether the pattern covers an ordinary path.
func (p *pattern) covers(s string, joined bool) bool {
	for may := true; ; {
		s = s[1:]
		if may && p.coversFrom(s, joined) {
			return true
		}
		i := strings.IndexByte(s, '/')
		if i < 0 || !p.floating && !joined {
			return false
		}
		may = p.floating || mayBeScript(s[:i])
		s = s[i:]
	}
}

func (p *pattern) coversFrom(s string, joined bool) bool {
	for i := range p.segments {
		segment, rest, _ := strings.Cut(s, "/")
		if segment == "" {
			return false
		}
		if want := &p.segments[i]; !matchSegment(want.glob, segment) &&
			!(joined && want.matchMore(segment, allIndex(rest))) {
			return false // the rest is short: see matchPath
		}
		s = rest
	}
	return p.below || s == "" || joined && allIndex(s)
}

// allIndex reports whether a path ends before s, but for files that stand for
// their folder.
func allIndex(s string) bool {
	for s != "" {
		segment, rest, _ := strings.Cut(s, "/")
		if !isIndex(segment) {
			return false
		}
		s = rest
	}
	return true
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
		case w < len(want) && (want[w] == lower(s[i]) || want[w] == anyCall && isCall(s[i])):
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
