package openapi_test

import (
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// compiler compiles schemas of d by their pointers.
func compiler(t *testing.T, d map[string]any) func(pointer string) *jsonschema.Schema {
	t.Helper()
	const location = "https://document.invalid/openapi.json"
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(location, d); err != nil {
		t.Fatal(err)
	}
	return func(pointer string) *jsonschema.Schema {
		t.Helper()
		s, err := c.Compile(location + "#" + pointer)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

func TestNoAnswerHasMembersThatAreNotDocumented(t *testing.T) {
	d := parsed(t)
	compile := compiler(t, d)
	for _, n := range nodes(d) {
		object, ok := n.value.(map[string]any)
		if !ok || object["properties"] == nil || !strings.Contains(n.pointer, "/components/schemas/") {
			continue
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(n.pointer, "/components/schemas/"), "/")
		if strings.HasSuffix(name, "Request") || name == "RegistrationCredential" || name == "AssertionCredential" {
			continue // what clients send
		}
		if object["type"] == "object" && object["additionalProperties"] != false {
			t.Errorf("#%s takes members that are not documented", n.pointer)
		}
	}
	err := compile("/components/schemas/Error").Validate(map[string]any{"success": false, "error": "x", "code": "x", "more": 1})
	if err == nil {
		t.Error("an error with a further member is valid")
	}
}

func TestExamplesAreValid(t *testing.T) {
	d := parsed(t)
	compile := compiler(t, d)
	count := 0
	check := func(pointer, schema string, value any) {
		count++
		if err := compile(schema).Validate(value); err != nil {
			t.Errorf("example of #%s: %v", pointer, err)
		}
	}
	for _, n := range nodes(d) {
		object, ok := n.value.(map[string]any)
		if !ok {
			continue
		}
		if value, ok := object["example"]; ok {
			check(n.pointer, n.pointer+"/schema", value)
		}
		switch examples := object["examples"].(type) {
		case map[string]any: // of a media type
			for _, example := range examples {
				check(n.pointer, n.pointer+"/schema", example.(map[string]any)["value"])
			}
		case []any: // of a schema
			for _, value := range examples {
				check(n.pointer, n.pointer, value)
			}
		}
	}
	if count < 50 {
		t.Errorf("found %d examples, there are more", count)
	}
}

func TestEverySchemaIsValid(t *testing.T) {
	d := parsed(t)
	compile := compiler(t, d)
	for name := range d["components"].(map[string]any)["schemas"].(map[string]any) {
		compile("/components/schemas/" + name)
	}
	for _, n := range nodes(d) {
		if strings.HasSuffix(n.pointer, "/schema") {
			compile(n.pointer)
		}
	}
}
