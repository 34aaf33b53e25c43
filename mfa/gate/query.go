package gate

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// ReadQuery returns paths that are also looked for in the values of the query
// parameters of these names, for backends that take a route from there:
// index.php?r=admin/x. The empty name is for a query without a name, as in
// ?/admin/x. Names are compared as loosely as backends read them: without
// regard to case, percent-encoded or not, as a list (q[]) or not, and with the
// underscore that PHP has for dots and blanks. An error is returned for a name
// that could not match what it says.
func (p *Paths) ReadQuery(names []string) (*Paths, error) {
	q := &Paths{patterns: p.patterns}
	for _, s := range names {
		if !utf8.ValidString(s) || strings.ContainsAny(s, "%&=;?#+[]") || strings.ContainsFunc(s, isJunk) {
			return nil, fmt.Errorf("name %q holds a control character or one of %% & = ; ? # + [ ]: "+
				"write it decoded, and without [] for a list", s)
		}
		read := parameterName(fold(s))
		if read == "" && s != "" {
			return nil, fmt.Errorf("name %q is blank: the query that has no name is \"\"", s)
		}
		q.queries = append(q.queries, read)
	}
	if len(q.queries) == 0 {
		return nil, errors.New("no name is given")
	}
	return q, nil
}

// matchQuery reports whether a query has a guarded path in one of the
// parameters that hold paths.
func (p *Paths) matchQuery(raw string) bool {
	if raw == "" {
		return false
	}
	if len(raw) > maxQuery {
		return true
	}
	r := reader{paths: p, left: maxRead}
	return r.matchQuery(raw)
}

// matchQuery reads a query, all values of each parameter: backends take the
// first, the last, or a list. A semicolon separates parameters to some.
func (r *reader) matchQuery(raw string) bool {
	for pair := range strings.SplitSeq(raw, "&") {
		if r.matchPair(pair) {
			return true
		}
		if !strings.Contains(pair, ";") {
			continue
		}
		for pair := range strings.SplitSeq(pair, ";") {
			if r.matchPair(pair) {
				return true
			}
		}
	}
	return false
}

func (r *reader) matchPair(pair string) bool {
	sent, value, named := strings.Cut(pair, "=")
	for _, name := range r.paths.queries {
		if name == "" {
			// What has no name is the name of something empty to most parsers,
			// also where a value follows that belongs to the route.
			if pair != "" && !named || named && holdsSlash(sent) {
				if r.matchValue(sent) || named && r.matchValue(pair) {
					return true
				}
			}
		}
		if named && isParameter(name, sent) && r.matchValue(value) {
			return true
		}
	}
	return false
}

// matchValue reads the value of a parameter as a path from the root, whether
// it begins with a slash or not.
func (r *reader) matchValue(value string) bool {
	if len(value) > maxLength {
		return true
	}
	return r.match(rooted(value)) || strings.Contains(value, "+") && r.match(rooted(strings.ReplaceAll(value, "+", "%20")))
}

// rooted returns the value of a parameter with one slash before it, unless it
// has one or more of its own.
func rooted(s string) string {
	if strings.HasPrefix(s, "/") {
		return s
	}
	if decoded := unescape(s); strings.HasPrefix(decoded, "/") {
		return decoded
	}
	return "/" + s
}

// holdsSlash reports whether the name of a parameter has a slash in it.
func holdsSlash(sent string) bool {
	for range maxDecodings {
		if strings.ContainsAny(sent, `/\`) {
			return true
		}
		decoded := fold(unescape(sent))
		if decoded == sent {
			return false
		}
		sent = decoded
	}
	return true
}

// isParameter reports whether some backend may take a parameter's name, as it
// was sent, for name.
func isParameter(name, sent string) bool {
	if plainName(sent) {
		return strings.EqualFold(name, sent)
	}
	if len(sent) > maxLength {
		return true
	}
	sent = strings.ReplaceAll(sent, "+", " ")
	for range maxDecodings + 1 {
		sent = fold(sent)
		if parameterName(sent) == name {
			return true
		}
		if i := malformed(sent); i >= 0 && strings.HasPrefix(name, parameterName(sent[:i])) {
			return true // what the rest is cannot be known
		}
		decoded := unescape(sent)
		if decoded == sent {
			return false
		}
		sent = decoded
	}
	return true
}

// plainName reports whether there is but one way to read a parameter's name,
// apart from the case of its letters.
func plainName(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("%+.[?", c) >= 0 {
			return false
		}
	}
	return true
}

// parameterName brings a folded name to the form in which it is compared:
// without what makes it a list, and as PHP has it.
func parameterName(s string) string {
	s = strings.TrimLeft(s, " ?")
	if i := strings.IndexAny(s, "[\x00"); i >= 0 {
		s = s[:i]
	}
	s = strings.Map(withoutJunk, s)
	return asPHP.Replace(s)
}

var asPHP = strings.NewReplacer(".", "_", " ", "_")
