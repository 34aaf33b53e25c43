package bearer_test

import (
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/bearer"
)

func TestOrganizationsAreReadInTheShapesThatIssuersUse(t *testing.T) {
	acme := []string{"acme"}
	none := []string(nil)
	cases := []claimCase{
		{name: "a text", payload: `"acme"`, equal: acme},
		{name: "a text with blanks and commas is one", payload: `"acme, inc other"`, equal: []string{"acme, inc other"}},
		{name: "an empty text", payload: `""`, equal: none},
		{name: "null", payload: `null`, equal: none},
		{name: "a number", payload: `12`, equal: []string{"12"}},
		{name: "a list", payload: `["other","acme"]`, equal: []string{"other", "acme"}},
		{name: "a list of texts and numbers", payload: `["acme",7]`, equal: []string{"acme", "7"}},
		{name: "an empty list", payload: `[]`, equal: none},
		{name: "the same twice is one", payload: `["acme","acme",{"id":"acme"}]`, equal: acme},
		{name: "another case is another one", payload: `["acme","Acme"]`, equal: []string{"acme", "Acme"}},
		{name: "objects with IDs", payload: `[{"id":"o1","name":"Acme"},{"id":2,"name":"Acme"}]`, equal: []string{"o1", "2"}},
		{name: "objects with names", payload: `[{"name":"acme","role":"OWNER"},{"id":null,"name":"other"},{"id":"","name":"third"}]`, equal: []string{"acme", "other", "third"}},
		{name: "one object with an ID", payload: `{"id":"o1","name":"Acme","metadata":{}}`, equal: []string{"o1"}},
		{name: "one object with a name", payload: `{"name":"acme"}`, equal: acme},
		{name: "an object by organization (Keycloak)", payload: `{"other":{"id":"1"},"acme":{}}`, equal: []string{"acme", "other"}},
		{name: "organizations called id and name", payload: `{"id":{},"name":{}}`, equal: []string{"id", "name"}},
		{name: "an object that denies some", payload: `{"acme":true,"other":false,"third":null}`, equal: acme},
		{name: "an empty object", payload: `{}`, equal: none},
		{name: "a boolean", payload: `true`, refused: "the organization claim"},
		{name: "a boolean in a list", payload: `["acme",true]`, refused: "the organization claim"},
		{name: "a fraction", payload: `1.5`, refused: "the organization claim"},
		{name: "a list in a list", payload: `[["acme"]]`, refused: "the organization claim"},
		{name: "an object that names none", payload: `[{"title":"acme"}]`, refused: "neither id nor name"},
		{name: "an object whose ID is none", payload: `[{"id":["o1"],"name":"acme"}]`, refused: "the organization claim"},
		{name: "a line break", payload: `"a\rb"`, refused: "control characters"},
		{name: "a line break in a member", payload: `{"a\nb":{}}`, refused: "control characters"},
	}
	for i := range cases {
		cases[i].payload = `"sub":"a","organization":` + cases[i].payload
		cases[i].want = organization
	}
	runClaimCases(t, cases)
}

func TestRolesAreReadOnlyWhereTheyPlainlyAreRoles(t *testing.T) {
	none := []string(nil)
	owner := []string{"OWNER"}
	cases := []claimCase{
		{name: "one text is one role", payload: `"roles":"OWNER"`, equal: owner},
		{name: "blanks and commas split nothing", payload: `"roles":"OWNER of nothing, ADMINISTRATOR"`, equal: []string{"OWNER of nothing, ADMINISTRATOR"}},
		{name: "a blank text", payload: `"roles":"  "`, equal: none},
		{name: "null", payload: `"roles":null`, equal: none},
		{name: "blanks split scope", claims: bearer.Claims{Roles: "scope"}, payload: `"scope":"openid  OWNER"`, equal: []string{"openid", "OWNER"}},
		{name: "blanks split scp", claims: bearer.Claims{Roles: "scp"}, payload: `"scp":"openid OWNER"`, equal: []string{"openid", "OWNER"}},
		{name: "commas do not split scope", claims: bearer.Claims{Roles: "scope"}, payload: `"scope":"openid,OWNER"`, equal: []string{"openid,OWNER"}},
		{name: "a list for scp", claims: bearer.Claims{Roles: "scp"}, payload: `"scp":["openid","a b"]`, equal: []string{"openid", "a b"}},
		{name: "no splitting by another case", claims: bearer.Claims{Roles: "Scope"}, payload: `"Scope":"openid OWNER"`, equal: []string{"openid OWNER"}},
		{name: "no splitting further in", claims: bearer.Claims{Roles: "app.scope"}, payload: `"app":{"scope":"openid OWNER"}`, equal: []string{"openid OWNER"}},
		{name: "a list", payload: `"roles":["x","y z",""]`, equal: []string{"x", "y z"}},
		{name: "an empty list", payload: `"roles":[]`, equal: none},
		{name: "a list of authorities (Spring)", payload: `"roles":[{"authority":"ROLE_OWNER"},{"authority":"ROLE_USER"}]`, equal: []string{"ROLE_OWNER", "ROLE_USER"}},
		{name: "a list of names", payload: `"roles":[{"id":"7","name":"OWNER","composite":false}]`, equal: owner},
		{name: "a list of roles and values", payload: `"roles":[{"role":"OWNER"},{"value":"x"},"y"]`, equal: []string{"OWNER", "x", "y"}},
		{name: "a name before a value", payload: `"roles":[{"value":"x","name":"OWNER"}]`, equal: owner},
		{name: "an object by role (ZITADEL)", payload: `"roles":{"OWNER":{"2011":"acme.example.com"},"EDITOR":{"2011":"acme.example.com","2012":"x"}}`, equal: []string{"EDITOR", "OWNER"}},
		{name: "an object that says true", payload: `"roles":{"OWNER":true,"EDITOR":false}`, equal: owner},

		{name: "a number", payload: `"roles":1`, equal: none},
		{name: "a boolean", payload: `"roles":true`, equal: none},
		{name: "a number in a list", payload: `"roles":["OWNER",1]`, equal: none},
		{name: "null in a list", payload: `"roles":["OWNER",null]`, equal: none},
		{name: "a list in a list", payload: `"roles":[["OWNER"]]`, equal: none},
		{name: "an object that names no role", payload: `"roles":[{"title":"OWNER"}]`, equal: none},
		{name: "an object by role in a list", payload: `"roles":[{"OWNER":true}]`, equal: none},
		{name: "a name that is no text", payload: `"roles":[{"name":["OWNER"]}]`, equal: none},
		{name: "a value that says no", payload: `"roles":[{"name":"OWNER","value":false},"x"]`, equal: []string{"x"}},
		{name: "a value that says nothing", payload: `"roles":[{"name":"OWNER","value":null},"x"]`, equal: []string{"x"}},
		{name: "a value that is a number", payload: `"roles":[{"name":"OWNER","value":0},"x"]`, equal: none},
		{name: "one that is not active", payload: `"roles":[{"name":"OWNER","active":false},{"name":"x","active":true}]`, equal: []string{"x"}},
		{name: "one that is not enabled", payload: `"roles":[{"name":"OWNER","enabled":null}]`, equal: none},
		{name: "an object with other values", payload: `"roles":{"OWNER":"no","EDITOR":0,"USER":null,"GUEST":[],"STAFF":{}}`, equal: none},
		{name: "an object of objects of lists (Keycloak's clients)", payload: `"roles":{"OWNER":{"roles":["x"]}}`, equal: none},
		{name: "one object that describes a role", payload: `"roles":{"name":"OWNER"}`, equal: none},
		{name: "a control character", payload: `"roles":["OWNER","a\u0000"]`, equal: none},
		{name: "a lone surrogate", payload: `"roles":["OWNER\ud800"]`, equal: none},
		{name: "an endless text", payload: `"roles":["OWNER","` + strings.Repeat("x", 1025) + `"]`, equal: none},
	}
	for i := range cases {
		cases[i].payload = `"sub":"a",` + cases[i].payload
		cases[i].want = roles
	}
	runClaimCases(t, cases)
}
