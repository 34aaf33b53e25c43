package bearer

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// What is decoded here is what the standard library decodes; what is refused
// here alone has a member twice or is nested too deep.
func FuzzDecodingAgreesWithTheStandardLibrary(f *testing.F) {
	for _, seed := range []string{
		`{}`, `[]`, `"text"`, `1`, ``, `{"a":1}x`, "{\"a\":\"\xff\"}",
		` { "a" : [ 1 , -2.5e3 , "x\u0041\ud800\"\\" , { "c" : null , "d" : true } , [ ] , false ] , "e" : { } } `,
		`{"a":1,"a":2}`, `{"\u0061":1,"a":2}`, `{"a\\":"\\","":""}`, `{"a":[{"b":1,"b":1}]}`,
		`{"a":` + strings.Repeat("[", 31) + strings.Repeat("]", 31) + `}`,
		`{"a":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := decodeObject(data)
		if errors.Is(err, errDuplicate) || errors.Is(err, errNestedDeep) {
			if !json.Valid(data) {
				t.Errorf("%q is not JSON, but refused as: %v", data, err)
			}
			return
		}
		var want any
		decoder := json.NewDecoder(bytes.NewReader(data))
		decoder.UseNumber()
		object, ok := map[string]any(nil), false
		if utf8.Valid(data) && json.Valid(data) && decoder.Decode(&want) == nil {
			object, ok = want.(map[string]any)
		}
		if ok != (err == nil) || ok && !reflect.DeepEqual(plain(got), any(object)) {
			t.Errorf("%q: got %v, %v; want %v", data, got, err, want)
		}
	})
}

// plain is a decoded value as the standard library has it.
func plain(value any) any {
	switch value := value.(type) {
	case object:
		members := map[string]any{}
		for _, m := range value {
			inner, ok := value.member(m.name)
			if !ok {
				panic(m.name + " is a member, but not there")
			}
			members[m.name] = plain(inner)
		}
		return members
	case []any:
		for i := range value {
			value[i] = plain(value[i])
		}
	}
	return value
}

// A header is read before anything of the token is known to be signed.
func TestAHeaderFullOfValuesCostsLittle(t *testing.T) {
	for _, unit := range []string{`{}`, `[]`, `1`, `"x"`} {
		list := `[` + strings.Repeat(unit+`,`, 1000) + unit + `]`
		for _, member := range []string{"alg", "typ", "other"} {
			header := []byte(`{"` + member + `":` + list + `}`)
			if allocations := testing.AllocsPerRun(5, func() { _, _ = parseHeader(header) }); allocations > 1100 {
				t.Errorf("%s of 1001 times %s: %v allocations", member, unit, allocations)
			}
		}
	}
}
