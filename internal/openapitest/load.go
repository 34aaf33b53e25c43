package openapitest

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// location is the URL by which the document's parts refer to each other
// inside the schema compiler.
const location = "https://document.invalid/openapi.json"

// notAllowedPointer is the answer that stands for all paths.
const notAllowedPointer = "/components/responses/MethodNotAllowed"

// methods are the methods that a path item can have operations for.
var methods = []string{
	http.MethodGet, http.MethodPut, http.MethodPost, http.MethodDelete,
	http.MethodOptions, http.MethodHead, http.MethodPatch, http.MethodTrace,
}

// reader reads a document. Parts of it are named by JSON pointers (RFC 6901)
// in the escaped form that a URL's fragment takes.
type reader struct {
	document any
	compiler *jsonschema.Compiler
}

func load(document []byte) (*Document, error) {
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		return nil, err
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.AssertFormat()
	if err := compiler.AddResource(location, parsed); err != nil {
		return nil, err
	}
	r := &reader{document: parsed, compiler: compiler}
	d := &Document{}
	if d.prefix, err = r.prefix(); err != nil {
		return nil, err
	}
	if d.paths, err = r.paths(); err != nil {
		return nil, err
	}
	if _, ok := r.at(notAllowedPointer); ok {
		d.notAllowed, err = r.response(notAllowedPointer)
	}
	return d, err
}

// prefix is the path of the server's URL.
func (r *reader) prefix() (string, error) {
	server, ok := r.at("/servers/0/url")
	if !ok {
		return "", errors.New("the document names no server")
	}
	u, err := url.Parse(fmt.Sprint(server))
	if err != nil {
		return "", fmt.Errorf("reading server URL: %w", err)
	}
	return strings.TrimSuffix(u.Path, "/"), nil
}

func (r *reader) paths() ([]pathItem, error) {
	var items []pathItem
	for template := range r.object("/paths") {
		item := pathItem{template: template, operations: map[string]map[int]*response{}}
		for _, method := range methods {
			operation := "/paths/" + escape(template) + "/" + strings.ToLower(method)
			if _, ok := r.at(operation); !ok {
				continue
			}
			responses, err := r.responses(operation + "/responses")
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", method, template, err)
			}
			item.operations[method] = responses
		}
		items = append(items, item)
	}
	return items, nil
}

func (r *reader) responses(pointer string) (map[int]*response, error) {
	all := map[int]*response{}
	for status := range r.object(pointer) {
		n, err := strconv.Atoi(status)
		if err != nil {
			return nil, fmt.Errorf("status %q is no number", status)
		}
		if all[n], err = r.response(pointer + "/" + escape(status)); err != nil {
			return nil, fmt.Errorf("%s: %w", status, err)
		}
	}
	return all, nil
}

func (r *reader) response(pointer string) (*response, error) {
	pointer, err := r.follow(pointer)
	if err != nil {
		return nil, err
	}
	answer := &response{content: map[string]*jsonschema.Schema{}}
	for name := range r.object(pointer + "/headers") {
		h, err := r.header(name, pointer+"/headers/"+escape(name))
		if err != nil {
			return nil, fmt.Errorf("header %s: %w", name, err)
		}
		answer.headers = append(answer.headers, h)
	}
	for mediaType := range r.object(pointer + "/content") {
		schema, err := r.compile(pointer + "/content/" + escape(mediaType) + "/schema")
		if err != nil {
			return nil, err
		}
		answer.content[mediaType] = schema
	}
	return answer, nil
}

func (r *reader) header(name, pointer string) (header, error) {
	pointer, err := r.follow(pointer)
	if err != nil {
		return header{}, err
	}
	schema, err := r.compile(pointer + "/schema")
	if err != nil {
		return header{}, err
	}
	required, _ := r.at(pointer + "/required")
	kind, _ := r.at(pointer + "/schema/type")
	return header{name: name, required: required == true, integer: kind == "integer", schema: schema}, nil
}

func (r *reader) compile(pointer string) (*jsonschema.Schema, error) {
	return r.compiler.Compile(location + "#" + pointer)
}

// follow returns where the part under pointer stands, behind references.
func (r *reader) follow(pointer string) (string, error) {
	const longest = 8 // a chain longer than that is a circle
	for range longest {
		part, ok := r.at(pointer)
		if !ok {
			return "", fmt.Errorf("nothing is at #%s", pointer)
		}
		object, _ := part.(map[string]any)
		reference, ok := object["$ref"].(string)
		if !ok {
			return pointer, nil
		}
		if pointer, ok = strings.CutPrefix(reference, "#"); !ok {
			return "", fmt.Errorf("the reference %s leads out of the document", reference)
		}
	}
	return "", fmt.Errorf("the references from #%s go in a circle", pointer)
}

// object returns the object under pointer, nil when there is none.
func (r *reader) object(pointer string) map[string]any {
	part, _ := r.at(pointer)
	object, _ := part.(map[string]any)
	return object
}

// at returns the part of the document under pointer.
func (r *reader) at(pointer string) (any, bool) {
	part := r.document
	for _, token := range strings.Split(strings.TrimPrefix(pointer, "/"), "/") {
		token = unescape(token)
		switch parent := part.(type) {
		case map[string]any:
			child, ok := parent[token]
			if !ok {
				return nil, false
			}
			part = child
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(parent) {
				return nil, false
			}
			part = parent[i]
		default:
			return nil, false
		}
	}
	return part, true
}

func escape(token string) string {
	return url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(token))
}

func unescape(token string) string {
	plain, err := url.PathUnescape(token)
	if err != nil {
		plain = token // names nothing then
	}
	return strings.NewReplacer("~1", "/", "~0", "~").Replace(plain)
}
