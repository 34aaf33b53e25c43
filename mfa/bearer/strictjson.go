package bearer

import (
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"
)

// maxDepth bounds how deep the claims of a token may be nested.
const maxDepth = 32

var (
	errNotUTF8    = errors.New("are not valid UTF-8")
	errNotObject  = errors.New("are not a JSON object")
	errDuplicate  = errors.New("hold a member twice")
	errNestedDeep = errors.New("are nested too deep")
)

// object is a JSON object of which nothing but the names of its members has
// been decoded: most claims of a token are never asked for. It comes from
// decodeObject, which has looked at all of it.
type object []member

type member struct {
	name string
	rest string // the value, and what follows it
}

// decodeObject decodes one JSON object. Numbers keep their digits, and
// nothing is left to chance that two readers might see differently:
// duplicate members (RFC 7515 section 4, RFC 7519 section 4) and invalid
// UTF-8 are refused, names keep their case.
func decodeObject(data []byte) (object, error) {
	if !utf8.Valid(data) {
		return nil, errNotUTF8
	}
	// Text that is valid is all that the decoder can read.
	if !json.Valid(data) {
		return nil, errNotObject
	}
	d := decoder{rest: string(data)}
	if d.peek() != '{' {
		return nil, errNotObject
	}
	return d.object(0)
}

// member decodes the value of the member called name: nil for null, or a
// string, a json.Number, a bool, an object, or an []any of these.
func (o object) member(name string) (value any, ok bool) {
	for _, m := range o {
		if m.name == name {
			return m.value(), true
		}
	}
	return nil, false
}

// value decodes the value of m, as object.member does.
func (m member) value() any {
	d := decoder{rest: m.rest}
	value, _ := d.value(0) // there is no error, as all was looked at
	return value
}

// manyMembers is from how many members on duplicates are looked for with a
// map.
const manyMembers = 16

// distinct reports whether no two members share a name.
func (o object) distinct() bool {
	if len(o) < manyMembers {
		for i, m := range o {
			for _, other := range o[:i] {
				if m.name == other.name {
					return false
				}
			}
		}
		return true
	}
	seen := make(map[string]struct{}, len(o))
	for _, m := range o {
		seen[m.name] = struct{}{}
	}
	return len(seen) == len(o)
}

// decoder reads valid JSON. It relies on that for the right answer, not for
// coming to an end.
type decoder struct {
	rest string // what is yet to be read
}

func (d *decoder) value(depth int) (any, error) {
	switch next := d.peek(); next {
	case '{', '[':
		if depth == maxDepth {
			return nil, errNestedDeep
		}
		if next == '[' {
			return d.array(depth)
		}
		return d.object(depth)
	case '"':
		return d.text()
	}
	switch literal := d.literal(); literal {
	case "":
		return nil, errNotObject
	case "null":
		return nil, nil
	case "true":
		return true, nil
	case "false":
		return false, nil
	default:
		return json.Number(literal), nil
	}
}

func (d *decoder) array(depth int) (any, error) {
	array := []any{}
	for d.more(']') {
		value, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		array = append(array, value)
	}
	return array, nil
}

func (d *decoder) object(depth int) (object, error) {
	var o object
	if depth == 0 {
		// The one that each token has. Of others there may be thousands, in a
		// token that nobody has signed.
		o = make(object, 0, 8)
	}
	for d.more('}') {
		name, err := d.text()
		if err != nil {
			return nil, err
		}
		d.skip() // the colon
		o = append(o, member{name: name, rest: d.rest})
		if err := d.pass(depth + 1); err != nil {
			return nil, err
		}
	}
	if !o.distinct() {
		return nil, errDuplicate
	}
	return o, nil
}

// pass passes over a value and looks at all of it, at little cost.
func (d *decoder) pass(depth int) error {
	switch next := d.peek(); next {
	case '{', '[':
		if depth == maxDepth {
			return errNestedDeep
		}
		if next == '{' {
			_, err := d.object(depth)
			return err
		}
		for d.more(']') {
			if err := d.pass(depth + 1); err != nil {
				return err
			}
		}
		return nil
	case '"':
		_, err := d.text()
		return err
	}
	if d.literal() == "" {
		return errNotObject
	}
	return nil
}

// peek passes over white space and returns the byte after it, 0 at the end.
func (d *decoder) peek() byte {
	for i := range len(d.rest) {
		switch d.rest[i] {
		case ' ', '\t', '\r', '\n':
		default:
			d.rest = d.rest[i:]
			return d.rest[0]
		}
	}
	d.rest = ""
	return 0
}

// skip passes over the next byte that is not white space.
func (d *decoder) skip() {
	if d.peek() != 0 {
		d.rest = d.rest[1:]
	}
}

// more passes over an opening bracket or a comma, and then reports whether
// there is a value, or else passes over the bracket that closes.
func (d *decoder) more(closing byte) bool {
	if d.peek() != closing {
		d.skip()
	}
	if d.peek() != closing {
		return true
	}
	d.skip()
	return false
}

// text reads a string.
func (d *decoder) text() (string, error) {
	if d.peek() != '"' {
		return "", errNotObject
	}
	end, escaped := 1, false
	for end < len(d.rest) && d.rest[end] != '"' {
		if d.rest[end] == '\\' {
			escaped = true
			end++
		}
		end++
	}
	if end >= len(d.rest) {
		return "", errNotObject
	}
	quoted := d.rest[:end+1]
	d.rest = d.rest[end+1:]
	if !escaped {
		return quoted[1:end], nil
	}
	var text string
	if err := json.Unmarshal([]byte(quoted), &text); err != nil {
		return "", errNotObject
	}
	return text, nil
}

// literal reads a number, true, false or null.
func (d *decoder) literal() string {
	end := strings.IndexAny(d.rest, ",]} \t\r\n")
	if end < 0 {
		end = len(d.rest)
	}
	literal := d.rest[:end]
	d.rest = d.rest[end:]
	return literal
}
