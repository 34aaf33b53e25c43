package gate

import (
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds on what is read closely; a path beyond them is guarded.
const (
	maxLength    = 8 << 10
	maxQuery     = 16 << 10 // where parameters are read at all
	maxDecodings = 4        // of percent-encoding, the edge's own included
	maxMarks     = 32       // in a segment, see segment

	// Bytes of text that are read in all, over the readings of a path or a
	// query, and how many each reading counts for at least.
	maxRead   = 64 << 10
	leastRead = 128
)

// matchReadings reads a path in all the ways that a backend may.
func (p *Paths) matchReadings(u *url.URL) bool {
	r := reader{paths: p, left: maxRead}
	sources := [2]string{u.EscapedPath(), u.RawPath}
	if r.match(sources[0]) {
		return true
	}
	// RawPath differs only where it does not fit Path.
	return sources[1] != "" && sources[1] != sources[0] && r.match(sources[1])
}

// reader reads one path, or what stands for one.
type reader struct {
	paths *Paths
	left  int // bytes that are read yet before it is given up, and guarded
}

// match reads a text after each decoding.
func (r *reader) match(s string) bool {
	if len(s) > maxLength {
		return true
	}
	for decodings := 0; ; decodings++ {
		if !utf8.ValidString(s) && r.matchForms(foldValid(s)) {
			return true // what is no text read as no text, and next as overlong
		}
		s = fold(s)
		if r.matchForms(s) {
			return true
		}
		decoded := unescape(s)
		if decoded == s {
			return false
		}
		if decodings == maxDecodings {
			return true
		}
		s = decoded
	}
}

// matchForms reads a folded text as it is, with slashes for its backslashes,
// and without what servers take out of paths.
func (r *reader) matchForms(s string) bool {
	if r.matchForm(s) {
		return true
	}
	return strings.Contains(s, `\`) && r.matchForm(strings.ReplaceAll(s, `\`, "/"))
}

func (r *reader) matchForm(s string) bool {
	if r.left -= max(len(s), leastRead); r.left < 0 || r.paths.matchSegments(s) {
		return true
	}
	if len(r.paths.queries) > 0 {
		// A query whose question mark was encoded, to who decodes first.
		if i := strings.IndexByte(s, '?'); i >= 0 && r.matchQuery(s[i+1:]) {
			return true
		}
	}
	if i := gluedInfo(s); i >= 0 && r.matchForm("/"+s[i:]) {
		return true
	}
	readings, many := withoutCookieless(s)
	// What is left may hold an escape, or another such part, that was in two.
	return many || slices.ContainsFunc(readings, r.match)
}

// matchSegments reports whether some reading of a folded path's segments is
// covered.
func (p *Paths) matchSegments(s string) bool {
	var segments []segment
	up := false
	// Who reads a target as a URL reference, as browsers read links, takes
	// //x/admin for /admin at the host x (RFC 3986, section 4.2).
	mayBeHost, begun := strings.HasPrefix(s, "//"), false
	before, last := -1, -1 // the last two segments that do not read as nothing
	for text := range strings.SplitSeq(strings.Trim(s, "/"), "/") {
		segment := readSegment(text)
		up = up || segment.up
		segment.script = segment.script || endInFront(segments, before, last)
		if !segment.skip {
			before, last = last, len(segments)
		}
		if !begun {
			begun = !segment.skip
			segment.skip, mayBeHost = segment.skip || mayBeHost, true
		}
		segments = append(segments, segment)
	}
	if strings.HasSuffix(s, "/") { // a script before it is asked for /
		segments = append(segments, segment{skip: true})
	}
	nothing := true // follows
	for i := len(segments) - 1; i >= 0; i-- {
		segments[i].last = nothing || up || segments[i].end
		nothing = nothing && (segments[i].skip || segments[i].index)
	}
	return slices.ContainsFunc(p.patterns, func(p pattern) bool { return p.coversReading(segments, up) })
}

// coversReading runs the pattern over segments as an automaton: reached[i]
// says that i segments of the pattern have been found. Where a path climbs,
// any of its segments may be gone in the end. Behind what may be a script, the
// path may begin anew.
func (p *pattern) coversReading(segments []segment, up bool) bool {
	n := len(p.segments)
	reached := make([]bool, n+1)
	reached[0] = true
	for k := range segments {
		segment := &segments[k]
		reached[0] = reached[0] || k > 0 && segments[k-1].script
		if p.below && reached[n] {
			return true
		}
		for i := n; i >= 0; i-- {
			found := i > 0 && reached[i-1] && segment.matches(&p.segments[i-1])
			if i < n && reached[i] && segment.mayHide(p.segments[i].glob) {
				return true
			}
			skipped := reached[i] && (up || segment.skip || segment.index && segment.last || p.floating && i == 0)
			reached[i] = found || skipped
			if i == n && reached[i] && segment.end {
				return true
			}
		}
	}
	return reached[n]
}

// segment is a segment of a path and what backends make of it. They cut it,
// or the whole path, at a mark (a parameter, a query or fragment that was
// encoded, a control character, the name of an NTFS stream), or leave out
// what is no text.
type segment struct {
	first string
	more  []string

	skip   bool // may read as nothing
	up     bool // may read as ".."
	end    bool // some take the path to end in it
	last   bool // the path may end with it
	script bool // may be a script, which the rest is a path for
	index  bool // may be the file that stands for its folder

	// known is what can be read of a segment in which something cannot, as
	// doubtful says.
	known    string
	doubtful bool
}

func readSegment(s string) segment {
	var g segment
	g.first = g.read(s)
	if i := malformed(s); i >= 0 {
		g.doubtAt(s, i)
	}
	if name := trimBeforeDots(s); name != s {
		g.add(name)
	}
	first, marks := 0, 0
	for i, r := range s {
		if !isMark(s, i, r) {
			continue
		}
		if marks == 0 {
			first = i
		}
		if marks++; marks > maxMarks {
			g.doubtAt(s, first)
			break
		}
		g.add(s[:i])
	}
	if marks > 0 {
		g.end = true
		g.add(s)
	}
	return g
}

// doubtAt notes that s can be read up to i only.
func (g *segment) doubtAt(s string, i int) {
	known := trim(strings.Map(withoutJunk, s[:i]))
	if !g.doubtful || len(known) < len(g.known) {
		g.known = known
	}
	g.doubtful = true
	g.script = g.script || strings.Contains(s, ".")
}

// add adds the readings of a part of the segment, whole and without junk.
func (g *segment) add(s string) {
	g.more = append(g.more, g.read(s))
	if clean := strings.Map(withoutJunk, s); clean != s {
		g.more = append(g.more, g.read(clean))
	}
}

// read trims one reading and notes what it may come to.
func (g *segment) read(s string) string {
	trimmed := trim(s)
	if trimmed == "" {
		g.skip = true
		g.up = g.up || strings.Contains(s, "..")
	}
	g.script = g.script || mayBeScript(trimmed)
	g.index = g.index || isIndex(trimmed)
	return trimmed
}

// is reports whether the segment may read as s.
func (g *segment) is(s string) bool { return g.first == s || slices.Contains(g.more, s) }

func (g *segment) matches(want *name) bool {
	return want.matches(g.first, g.last) ||
		slices.ContainsFunc(g.more, func(s string) bool { return want.matches(s, g.last) })
}

// mayHide reports whether want may stand in the part of the segment that
// cannot be read.
func (g *segment) mayHide(want string) bool {
	if !g.doubtful {
		return false
	}
	literal, _, _ := strings.Cut(want, "*")
	return strings.HasPrefix(literal, g.known) || strings.HasPrefix(g.known, literal)
}

func isMark(s string, i int, r rune) bool {
	switch r {
	case ';', '?', '#':
		return true
	case ':':
		return strings.HasPrefix(s[i:], "::") || strings.HasPrefix(s[i:], ":$")
	}
	return isJunk(r)
}

// isJunk reports whether r is left out, or ends a text, in some languages:
// control and invisible characters, and what is not valid UTF-8.
func isJunk(r rune) bool {
	return r == utf8.RuneError || r < ' ' || r >= 0x7f && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r))
}

func withoutJunk(r rune) rune {
	if isJunk(r) {
		return -1
	}
	return r
}

// blanks are what file systems, and frameworks for a name without its suffix,
// take off the ends of a name.
const blanks = " \t\r\n\v\f\x00"

// trim takes off what file systems do: blanks, and dots at the end.
func trim(s string) string {
	return strings.TrimLeft(strings.TrimRight(s, "."+blanks), blanks)
}

// trimBeforeDots takes blanks off the end of what stands before each dot.
func trimBeforeDots(s string) string {
	if !strings.Contains(s, ".") || !strings.ContainsAny(s, blanks) {
		return s
	}
	parts := strings.Split(s, ".")
	for i := range parts[:len(parts)-1] {
		parts[i] = strings.TrimRight(parts[i], blanks)
	}
	return strings.Join(parts, ".")
}
