package openapi_test

import (
	"bytes"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// node is a part of the document, and its JSON pointer.
type node struct {
	pointer string
	value   any
}

func parsed(t *testing.T) map[string]any {
	t.Helper()
	d, err := jsonschema.UnmarshalJSON(bytes.NewReader(document(t, "/mfa", "https://example.com")))
	if err != nil {
		t.Fatal(err)
	}
	return d.(map[string]any)
}

// nodes are all parts of d, but for what is inside of examples.
func nodes(d map[string]any) []node {
	var all []node
	var walk func(pointer string, value any)
	walk = func(pointer string, value any) {
		all = append(all, node{pointer, value})
		switch value := value.(type) {
		case map[string]any:
			for _, name := range slices.Sorted(maps.Keys(value)) {
				if name != "example" && name != "examples" {
					walk(pointer+"/"+escape(name), value[name])
				}
			}
		case []any:
			for i, child := range value {
				walk(pointer+"/"+strconv.Itoa(i), child)
			}
		}
	}
	walk("", d)
	return all
}

func escape(token string) string {
	return url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(token))
}

// operations are the operations of d by method and path.
func operations(d map[string]any) map[string]map[string]any {
	all := map[string]map[string]any{}
	for path, item := range d["paths"].(map[string]any) {
		for method, operation := range item.(map[string]any) {
			if method != "parameters" {
				all[strings.ToUpper(method)+" "+path] = operation.(map[string]any)
			}
		}
	}
	return all
}

func TestTheDocumentHasWhatOpenAPI31Demands(t *testing.T) {
	d := parsed(t)
	if version, _ := d["openapi"].(string); !regexp.MustCompile(`^3\.1\.\d+$`).MatchString(version) {
		t.Errorf("openapi is %v, want a version 3.1", d["openapi"])
	}
	info := d["info"].(map[string]any)
	for _, name := range []string{"title", "version"} {
		if info[name] == nil {
			t.Errorf("info has no %s", name)
		}
	}
	members := []string{"components", "info", "openapi", "paths", "security", "servers", "tags"}
	if got := slices.Sorted(maps.Keys(d)); !slices.Equal(got, members) {
		t.Errorf("the document has the members %v, want %v", got, members)
	}
	for path := range d["paths"].(map[string]any) {
		if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "/mfa") {
			t.Errorf("path %s does not begin with a slash, or has the prefix", path)
		}
	}
	name := regexp.MustCompile(`^[a-zA-Z0-9._-]+$`)
	for kind, all := range d["components"].(map[string]any) {
		for component := range all.(map[string]any) {
			if !name.MatchString(component) {
				t.Errorf("components/%s/%s is no name for a component", kind, component)
			}
		}
	}
}

func TestEveryReferenceLeadsToAPart(t *testing.T) {
	d := parsed(t)
	all := nodes(d)
	known := map[string]bool{}
	for _, n := range all {
		known["#"+n.pointer] = true
	}
	for _, n := range all {
		if reference, ok := n.value.(string); ok && strings.HasSuffix(n.pointer, "/$ref") && !known[reference] {
			t.Errorf("%s: nothing is at %s", n.pointer, reference)
		}
	}
}

func TestEveryComponentIsUsed(t *testing.T) {
	d := parsed(t)
	// It is any path's answer, which OpenAPI has no place for.
	used := map[string]bool{"/components/responses/MethodNotAllowed": true}
	for _, n := range nodes(d) {
		if reference, ok := n.value.(string); ok && strings.HasSuffix(n.pointer, "/$ref") {
			used[strings.TrimPrefix(reference, "#")] = true
		}
		if requirements, ok := n.value.([]any); ok && strings.HasSuffix(n.pointer, "/security") {
			for _, requirement := range requirements {
				for scheme := range requirement.(map[string]any) {
					used["/components/securitySchemes/"+scheme] = true
				}
			}
		}
	}
	for kind, all := range d["components"].(map[string]any) {
		for name := range all.(map[string]any) {
			pointer := "/components/" + kind + "/" + name
			if !used[pointer] {
				t.Errorf("nothing uses #%s", pointer)
			}
			delete(used, pointer)
		}
	}
	for pointer := range used {
		t.Errorf("nothing is at #%s, which is used", pointer)
	}
}

func TestEveryOperationIsNamedOnceAndDescribed(t *testing.T) {
	d := parsed(t)
	tags := map[string]bool{}
	for _, tag := range d["tags"].([]any) {
		tags[tag.(map[string]any)["name"].(string)] = false
	}
	names := map[string]string{}
	for operation, o := range operations(d) {
		name, _ := o["operationId"].(string)
		if other, taken := names[name]; taken || name == "" {
			t.Errorf("%s has the operationId %q, as %q has", operation, name, other)
		}
		names[name] = operation
		if summary, _ := o["summary"].(string); summary == "" || strings.HasSuffix(summary, ".") {
			t.Errorf("%s has the summary %q, want one without a full stop", operation, summary)
		}
		for _, tag := range o["tags"].([]any) {
			if _, ok := tags[tag.(string)]; !ok {
				t.Errorf("%s has the tag %q, which is not described", operation, tag)
			}
			tags[tag.(string)] = true
		}
	}
	for tag, used := range tags {
		if !used {
			t.Errorf("no operation has the tag %q", tag)
		}
	}
}

func TestEveryPathParameterIsDeclared(t *testing.T) {
	parameter := regexp.MustCompile(`\{(\w+)\}`)
	for path, item := range parsed(t)["paths"].(map[string]any) {
		var declared, wanted []string
		parameters, _ := item.(map[string]any)["parameters"].([]any)
		for _, p := range parameters {
			p := p.(map[string]any)
			if p["in"] != "path" || p["required"] != true {
				t.Errorf("%s: %v is not in the path, or may be missing", path, p["name"])
			}
			declared = append(declared, p["name"].(string))
		}
		for _, match := range parameter.FindAllStringSubmatch(path, -1) {
			wanted = append(wanted, match[1])
		}
		if !slices.Equal(declared, wanted) {
			t.Errorf("%s declares %v, want %v", path, declared, wanted)
		}
	}
}

func TestEveryAnswerButARedirectHasContent(t *testing.T) {
	d := parsed(t)
	for operation, o := range operations(d) {
		responses := o["responses"].(map[string]any)
		if responses["200"] == nil {
			t.Errorf("%s never succeeds", operation)
		}
		for status, response := range responses {
			response := target(d, response.(map[string]any))
			content, _ := response["content"].(map[string]any)
			if redirect := strings.HasPrefix(status, "3"); redirect != (len(content) == 0) {
				t.Errorf("%s, %s: content is %v", operation, status, content)
			}
			for mediaType, c := range content {
				if c.(map[string]any)["schema"] == nil {
					t.Errorf("%s, %s: %s has no schema", operation, status, mediaType)
				}
			}
		}
	}
}

func TestEveryAnswerHasTheHeadersThatItsStatusDemands(t *testing.T) {
	d := parsed(t)
	demanded := map[string]string{"401": "WWW-Authenticate", "429": "Retry-After", "503": "Retry-After"}
	for operation, o := range operations(d) {
		for status, response := range o["responses"].(map[string]any) {
			headers, _ := target(d, response.(map[string]any))["headers"].(map[string]any)
			for _, name := range []string{"Cache-Control", "X-Content-Type-Options", demanded[status]} {
				if name == "" {
					continue
				}
				h, ok := headers[name].(map[string]any)
				if !ok || target(d, h)["required"] != true {
					t.Errorf("%s, %s: header %s is not required", operation, status, name)
				}
			}
		}
	}
}

func TestAnOperationThatTakesABearerCanRefuseIt(t *testing.T) {
	d := parsed(t)
	for operation, o := range operations(d) {
		_, open := o["security"]
		_, refuses := o["responses"].(map[string]any)["401"]
		if open == refuses {
			t.Errorf("%s: open is %v, and 401 documented is %v", operation, open, refuses)
		}
	}
}

func TestAnOperationThatTakesABodyCanRefuseIt(t *testing.T) {
	for operation, o := range operations(parsed(t)) {
		_, takes := o["requestBody"]
		for _, status := range []string{"413", "415"} {
			if _, refuses := o["responses"].(map[string]any)[status]; refuses != takes {
				t.Errorf("%s: body taken is %v, and %s documented is %v", operation, takes, status, refuses)
			}
		}
	}
}

// target is the part that object refers to, or object.
func target(d, object map[string]any) map[string]any {
	reference, ok := object["$ref"].(string)
	if !ok {
		return object
	}
	var part any = d
	for _, token := range strings.Split(strings.TrimPrefix(reference, "#/"), "/") {
		part = part.(map[string]any)[token]
	}
	return part.(map[string]any)
}
