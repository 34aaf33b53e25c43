package bearer

import (
	"bytes"
	"encoding/json"
	"errors"
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

// decodeObject decodes one JSON object. Numbers keep their digits, and
// nothing is left to chance that two readers might see differently:
// duplicate members (RFC 7515 section 4, RFC 7519 section 4) and invalid
// UTF-8 are refused, names keep their case.
func decodeObject(data []byte) (map[string]any, error) {
	if !utf8.Valid(data) {
		return nil, errNotUTF8
	}
	// Text that is valid is all that the decoder can read.
	if !json.Valid(data) {
		return nil, errNotObject
	}
	d := decoder{rest: data}
	value, err := d.value(0)
	if err != nil {
		return nil, err
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, errNotObject
	}
	return object, nil
}

// decoder reads valid JSON. It relies on that for the right answer, not for
// coming to an end.
type decoder struct {
	rest []byte // what is yet to be read
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

func (d *decoder) object(depth int) (any, error) {
	object := map[string]any{}
	for d.more('}') {
		name, err := d.text()
		if err != nil {
			return nil, err
		}
		if _, ok := object[name]; ok {
			return nil, errDuplicate
		}
		d.skip() // the colon
		if object[name], err = d.value(depth + 1); err != nil {
			return nil, err
		}
	}
	return object, nil
}

// peek passes over white space and returns the byte after it, 0 at the end.
func (d *decoder) peek() byte {
	d.rest = bytes.TrimLeft(d.rest, " \t\r\n")
	if len(d.rest) == 0 {
		return 0
	}
	return d.rest[0]
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
		return string(quoted[1:end]), nil
	}
	var text string
	if err := json.Unmarshal(quoted, &text); err != nil {
		return "", errNotObject
	}
	return text, nil
}

// literal reads a number, true, false or null.
func (d *decoder) literal() string {
	end := bytes.IndexAny(d.rest, ",]} \t\r\n")
	if end < 0 {
		end = len(d.rest)
	}
	literal := string(d.rest[:end])
	d.rest = d.rest[end:]
	return literal
}
