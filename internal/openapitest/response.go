package openapitest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// response is a documented answer.
type response struct {
	headers []header
	// content has the schema of the body by media type. It is empty for
	// an answer without a body.
	content map[string]*jsonschema.Schema
}

// header is a documented header.
type header struct {
	name     string
	required bool
	integer  bool
	schema   *jsonschema.Schema
}

func (r *response) verify(e Exchange) error {
	var problems []error
	for _, h := range r.headers {
		if err := h.verify(e.Header); err != nil {
			problems = append(problems, fmt.Errorf("header %s: %w", h.name, err))
		}
	}
	if err := r.verifyBody(e); err != nil {
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

// verify wants the header once, as its schema says.
func (h header) verify(all http.Header) error {
	values := all.Values(h.name)
	switch {
	case len(values) == 0 && !h.required:
		return nil
	case len(values) != 1:
		return fmt.Errorf("is there %d times", len(values))
	}
	var value any = values[0]
	if _, err := strconv.Atoi(values[0]); err == nil && h.integer {
		value = json.Number(values[0])
	}
	return h.schema.Validate(value)
}

func (r *response) verifyBody(e Exchange) error {
	contentType := e.Header.Get("Content-Type")
	if len(r.content) == 0 {
		if len(e.Body) > 0 || contentType != "" {
			return errors.New("a body came, of which the document knows nothing")
		}
		return nil
	}
	mediaType, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return fmt.Errorf("reading Content-Type %q: %w", contentType, err)
	}
	schema, ok := r.content[mediaType]
	if !ok || mediaType == jsonType && len(params) > 0 { // RFC 8259, 11: it has none
		return fmt.Errorf("the Content-Type %q is not documented", contentType)
	}
	if e.Method == http.MethodHead {
		return nil
	}
	var body any = string(e.Body)
	if mediaType == jsonType {
		if body, err = jsonschema.UnmarshalJSON(bytes.NewReader(e.Body)); err != nil {
			return fmt.Errorf("decoding body: %w", err)
		}
	}
	if err := schema.Validate(body); err != nil {
		return fmt.Errorf("body: %w", err)
	}
	return nil
}

const jsonType = "application/json"
