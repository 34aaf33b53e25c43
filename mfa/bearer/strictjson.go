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
	// Decoder.Token alone neither refuses trailing data nor promises to
	// catch every mistake in between.
	if !json.Valid(data) {
		return nil, errNotObject
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	value, err := decodeValue(decoder, 0)
	if err != nil {
		return nil, err
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, errNotObject
	}
	return object, nil
}

func decodeValue(decoder *json.Decoder, depth int) (any, error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, errNotObject
	}
	delimiter, ok := token.(json.Delim)
	if !ok {
		return token, nil
	}
	if depth == maxDepth {
		return nil, errNestedDeep
	}
	if delimiter == '[' {
		array := []any{}
		for decoder.More() {
			value, err := decodeValue(decoder, depth+1)
			if err != nil {
				return nil, err
			}
			array = append(array, value)
		}
		return array, closeValue(decoder)
	}
	object := map[string]any{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, errNotObject
		}
		name, ok := token.(string)
		if !ok {
			return nil, errNotObject
		}
		if _, ok := object[name]; ok {
			return nil, errDuplicate
		}
		if object[name], err = decodeValue(decoder, depth+1); err != nil {
			return nil, err
		}
	}
	return object, closeValue(decoder)
}

// closeValue takes the bracket that ends an array or an object.
func closeValue(decoder *json.Decoder) error {
	if _, err := decoder.Token(); err != nil {
		return errNotObject
	}
	return nil
}
