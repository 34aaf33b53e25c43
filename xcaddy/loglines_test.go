package main_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

// logLine is a line of the product's log.
type logLine struct {
	Level   string `json:"level"`
	Logger  string `json:"logger"`
	Message string `json:"msg"`
	Code    string `json:"code"`
	Reason  string `json:"reason"`
	LeftOut int    `json:"left_out"`
}

// productLines are the lines of the product that tell of something wrong, from
// the one numbered first on.
func productLines(t *testing.T, e *edgetest.Edge, first int) []logLine {
	t.Helper()
	var all []logLine
	for _, text := range e.LogLines()[first:] {
		var line logLine
		if json.Unmarshal([]byte(text), &line) == nil && strings.HasPrefix(line.Logger, "mfa") && line.Level != "info" ||
			strings.Contains(line.Message, "refused") {
			all = append(all, line)
		}
	}
	return all
}

func TestStrangersCauseOneLogLineAMinuteAndKindAndAllAreCounted(t *testing.T) {
	e := edgetest.New(t)
	e.Start(strings.Replace(edgetest.Caddyfile, "\tmfa\n", "\tmfa\n\tmfa_require /admin/*\n", 1))
	alice := e.Token("alice", nil)
	before := len(e.LogLines())

	const each = 20
	send := func(method, path, token string, body any, status int) func() {
		return func() {
			for range each {
				if a := e.Do(method, path, token, body); a.Status != status {
					t.Fatalf("%s %s: %d %s, want %d", method, path, a.Status, a.Body, status)
				}
			}
		}
	}
	forged := alice[:len(alice)-6] + "AAAAAA"
	link := map[string]any{"token": strings.Repeat("A", 43) + ".1." + strings.Repeat("A", 43)}
	for _, cause := range []func(){
		send("GET", "/mfa/status", "no-token-at-all", nil, 401),
		send("GET", "/admin/x", "no-token-at-all", nil, 401),
		send("POST", "/mfa/setup", forged, map[string]any{"mfaType": "GOOGLE_AUTH"}, 401),
		send("GET", "/admin/x", forged, nil, 401),
		send("POST", "/mfa/magic-link/inspect", "", link, 400),
		send("POST", "/mfa/magic-link/deny", "", link, 400),
		send("POST", "/mfa/magic-link/activate", "", link, 400),
		// What cannot be read, is not there or brings nothing is nobody's event.
		send("POST", "/mfa/magic-link/inspect", "", "no object", 400),
		send("PUT", "/mfa/setup", alice, nil, 405),
		send("GET", "/mfa/status", "", nil, 401),
		send("GET", "/mfa/events", alice, nil, 404),
		send("GET", "/admin/x", alice, nil, 401),
	} {
		cause()
	}
	counts, written := map[string]int{}, map[string]int{}
	count := func() {
		clear(counts)
		clear(written)
		for _, line := range productLines(t, e, before) {
			kind := line.Message + ": " + line.Code + line.Reason
			counts[kind] += 1 + line.LeftOut
			written[kind]++
		}
	}
	count()
	for kind, n := range written {
		if n > 1 {
			t.Errorf("%d lines of the kind %q", n, kind)
		}
	}
	e.Stop() // what is left is written then, without waiting for the minute
	count()
	want := map[string]int{
		"access token refused: the token is not a JWT of three segments": 2 * each,
		"access token refused: the signature does not verify":            2 * each,
		"request refused: invalid_magic_link":                            3 * each,
	}
	if fmt.Sprint(counts) != fmt.Sprint(want) {
		t.Errorf("counted %v, want %v in\n%s", counts, want, e.Log())
	}
	for kind, n := range written {
		if n > 2 {
			t.Errorf("%d lines of the kind %q at the end", n, kind)
		}
	}
	if strings.Contains(e.Log(), forged) || strings.Contains(e.Log(), "no-token-at-all") {
		t.Errorf("the log holds a token:\n%s", e.Log())
	}
}

func TestWhatASubjectHidesDoesNotReachTheConsole(t *testing.T) {
	e := edgetest.New(t)
	e.Start(strings.Replace(edgetest.Caddyfile, "\tmfa {\n", "\tlog {\n\t\tformat console\n\t}\n\tmfa {\n", 1))
	const hidden = "\u202e\u2066\u200f\u061c\u200b\u3164"
	subject := "bob" + hidden
	token := e.Token(subject, map[string]any{"organization": "acme" + hidden})
	e.Do("POST", "/mfa/setup", token, map[string]any{"mfaType": "GOOGLE_AUTH"}).Data(t)
	e.Do("POST", "/mfa/\u202ex/../verify-setup", "bad\u202e", nil)
	e.AwaitLog("setup_begun")
	if log := e.Log(); strings.ContainsAny(log, hidden) || !strings.Contains(log, `bob\\u202e\\u2066`) {
		t.Errorf("the log is\n%q", log)
	}
	for _, args := range [][]string{{"mfa", "users", "list"}, {"mfa", "users", "show", subject}, {"mfa", "users", "list", "--json"}} {
		out, stderr, err := e.Command(append(args, "--address", e.Admin())...)
		if err != nil || strings.ContainsAny(out+stderr, hidden) || !strings.Contains(out, `bob\u202e\u2066`) {
			t.Errorf("%q prints %q, %s: %v", args, out, stderr, err)
		}
	}
}
