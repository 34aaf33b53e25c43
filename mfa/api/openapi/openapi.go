// Package openapi holds the OpenAPI 3.1 document of the HTTP API. It is
// written once, without the prefix and the public URL, which an operator
// chooses; Document puts them in.
package openapi

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
)

//go:embed openapi.json
var document []byte

// server is the URL under which the routes stand in the document as it is
// written, as JSON.
const server = `"https://example.com/mfa"`

// Document returns the document, in JSON, for routes that stand under prefix
// at publicURL, such as "/mfa" and "https://example.com". An error is
// returned when the two together are not an http or https URL.
func Document(prefix, publicURL string) ([]byte, error) {
	base := publicURL + prefix
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%q is not an http or https URL for the routes to stand under", base)
	}
	quoted, err := json.Marshal(base)
	if err != nil {
		return nil, fmt.Errorf("encoding server URL: %w", err)
	}
	before, after, found := bytes.Cut(document, []byte(server))
	if !found {
		return nil, errors.New("the document names no server")
	}
	return bytes.Join([][]byte{before, after}, quoted), nil
}
