package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// maxBody is the size of the largest request body, in bytes.
	maxBody = 64 << 10

	// bodyTimeout is how long a body may take to arrive.
	bodyTimeout = 10 * time.Second
)

var errNoBody = badRequest(`The request body is empty: send a JSON object, such as {"mfaType":"GOOGLE_AUTH"}.`)

// readJSON decodes the body of r, which must be one JSON object, into the
// struct that into points to. It accepts what only one reading is
// possible of: no duplicate members, no trailing data, no invalid UTF-8,
// no member that is a field's name in another case.
func readJSON(w http.ResponseWriter, r *http.Request, into any) error {
	if err := checkContentType(r); err != nil {
		return err
	}
	defer limitBodyTime(w)()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return errTooLarge // see discardBody for what is left
	}
	r.Body = http.NoBody // read to its end, or given up
	if err != nil {
		return badRequest("The request body could not be read to its end.")
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return errNoBody
	}
	if r.Header.Get("Content-Type") == "" {
		return errUnsupportedMediaType
	}
	if !utf8.Valid(body) {
		return badRequest("The request body is not valid UTF-8.")
	}
	if err := checkMembers(body, fieldNames(into)); err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return decodeError(err)
	}
	return nil
}

// readOptionalJSON is readJSON for a request that may also come without a
// body.
func readOptionalJSON(w http.ResponseWriter, r *http.Request, into any) error {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return nil
	}
	err := readJSON(w, r, into)
	if errors.Is(err, errNoBody) {
		return nil // one without a length, which turned out to be empty
	}
	return err
}

// limitBodyTime limits how long the body may take to arrive, until the
// function it returns is called: a body that never ends would hold up the
// end of the server. Where no deadline can be set, the server's own hold.
func limitBodyTime(w http.ResponseWriter) (lift func()) {
	connection := http.NewResponseController(w)
	_ = connection.SetReadDeadline(time.Now().Add(bodyTimeout))
	return func() { _ = connection.SetReadDeadline(time.Time{}) }
}

// discardBody reads what a refusal has left of the body. A server that
// closes a connection with data unread resets it, and the client may lose
// the answer that says what was wrong.
func discardBody(w http.ResponseWriter, r *http.Request) {
	if r.Body == nil || r.Body == http.NoBody || r.Header.Get("Expect") != "" || early(r) {
		return // a client that waits to be asked for the body sends none; nothing is read of early data
	}
	defer limitBodyTime(w)()
	_, _ = io.CopyN(io.Discard, r.Body, maxBody) // more than this is the client's risk
}

func checkContentType(r *http.Request) error {
	contentType := r.Header.Get("Content-Type")
	if contentType == "" {
		return nil // refused later, unless there is no body to be typed
	}
	mediaType, params, err := mime.ParseMediaType(contentType)
	charset := params["charset"]
	if err != nil || mediaType != "application/json" || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return errUnsupportedMediaType
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return errUnsupportedMediaType
	}
	return nil
}

// fieldNames returns the JSON names of the fields of the struct that into
// points to.
func fieldNames(into any) []string {
	t := reflect.TypeOf(into).Elem()
	names := make([]string, t.NumField())
	for i := range names {
		names[i] = t.Field(i).Tag.Get("json")
	}
	return names
}

// checkMembers walks over body, which must be one JSON object, and refuses
// what encoding/json would settle silently: a name that is there twice, be
// it in another case, or that differs from one of fields in case alone.
func checkMembers(body []byte, fields []string) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if first, err := d.Token(); err != nil {
		return decodeError(err)
	} else if first != json.Delim('{') {
		return badRequest(`The request body must be a JSON object, such as {"mfaType":"GOOGLE_AUTH"}.`)
	}
	// open holds, for each object or array around the current token, the
	// names seen in it, in lower case; nil for an array.
	open := []map[string]bool{{}}
	for len(open) > 0 {
		names := open[len(open)-1]
		token, err := d.Token()
		if err != nil {
			return decodeError(err)
		}
		if name, ok := token.(string); ok && names != nil {
			folded := strings.ToLower(strings.ToUpper(name))
			if names[folded] {
				return badRequest(fmt.Sprintf("The member %q is in the request body twice.", shorten(name)))
			}
			names[folded] = true
			if len(open) == 1 {
				for _, field := range fields {
					if name != field && strings.EqualFold(name, field) {
						return badRequest(fmt.Sprintf("The member %q must be written %q.", shorten(name), field))
					}
				}
			}
			if token, err = d.Token(); err != nil { // its value
				return decodeError(err)
			}
		}
		switch token {
		case json.Delim('{'):
			open = append(open, map[string]bool{})
		case json.Delim('['):
			open = append(open, nil)
		case json.Delim('}'), json.Delim(']'):
			open = open[:len(open)-1]
		}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return badRequest("The request body has data after its JSON object.")
	}
	return nil
}

// decodeError says what is wrong with a body without quoting from it.
func decodeError(err error) error {
	if wrongType := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrongType) {
		return badRequest(fmt.Sprintf("The member %q must be %s.", wrongType.Field, describe(wrongType.Type)))
	}
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
		return badRequest(fmt.Sprintf("The request body is not valid JSON: error at byte %d.", syntax.Offset))
	}
	return badRequest("The request body is not valid JSON: it ends too early.")
}

func describe(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Struct:
		return "an object"
	default:
		return "of another type"
	}
}

// shorten keeps an error text readable whatever was sent.
func shorten(name string) string { return cut(name, 40) }

// cut returns the first bytes of text, most at most.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
