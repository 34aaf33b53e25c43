package option_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/caddymodule/internal/option"
)

type inner struct {
	Values []string `json:"values,omitempty"`
}

type options struct {
	Text    string            `json:"text,omitempty"`
	List    []string          `json:"list,omitempty"`
	Claims  map[string]string `json:"claims,omitempty"`
	Block   *inner            `json:"block,omitempty"`
	Blocks  []*inner          `json:"blocks,omitempty"`
	Raw     json.RawMessage   `json:"raw,omitempty"`
	Names   []string          `json:"names,omitempty" option:"empty"`
	private []string
}

func TestWhatACaddyfileCannotSayIsRefusedInJSON(t *testing.T) {
	for document, want := range map[string]string{
		`{}`: "",
		`{"text":"a b","list":["a","b c"],"claims":{"roles":"x"},"block":{"values":["a"]},"blocks":[{"values":["a"]}],"raw":[""]}`: "",
		`{"text":"","block":null,"raw":{}}`:  "",
		`{"text":"  "}`:                      "text: holds nothing but blanks",
		`{"names":["a",""]}`:                 "",
		`{"names":[""]}`:                     "",
		`{"names":[]}`:                       "names: is an empty list",
		`{"list":[]}`:                        "list: is an empty list",
		`{"list":[""]}`:                      "list 1: is empty, or null",
		`{"list":["a",null]}`:                "list 2: is empty, or null",
		`{"list":[" a"]}`:                    `list 1: " a" begins or ends with a blank`,
		`{"list":["a\n"]}`:                   "begins or ends with a blank",
		`{"list":["a\u200bb"]}`:              `list 1: "a\u200bb" holds a character that cannot be seen`,
		`{"claims":{"roles":""}}`:            "claim roles: is empty",
		`{"claims":{"roles":"x "}}`:          "claim roles: \"x \" begins or ends",
		`{"block":{"values":[""]}}`:          "block: values 1: is empty",
		`{"blocks":[{"values":["a"]},null]}`: "blocks 2: is null",
	} {
		o := options{private: []string{""}}
		if err := json.Unmarshal([]byte(document), &o); err != nil {
			t.Fatal(err)
		}
		err := option.Check(&o)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", document, err, want)
		}
	}
}
