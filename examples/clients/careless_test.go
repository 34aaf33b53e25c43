package clients_test

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// documented is the request body that the API's document shows.
const documented = `{"mfaType":"GOOGLE_AUTH","email":"user@example.com","deviceInfo":{"name":"iPhone 12","type":"mobile"}}`

const (
	asJSON = "application/json"
	asForm = "application/x-www-form-urlencoded"
)

// mistake is a request as careless clients send it, and what they are
// told. An expectation left empty is not checked.
type mistake struct {
	name          string
	method        string   // POST when empty
	contentType   string   // none when empty
	authorization []string // one line each; the good token when nil
	body          io.Reader

	status    int
	code      string
	error     string // a part of the text
	challenge string // the start of WWW-Authenticate
	allow     string
}

// noAuthorization, unlike nil, stands for no such header at all.
var noAuthorization = []string{}

// mistakes returns fresh requests, because a body can be read only once.
func mistakes(token string) []mistake {
	const limit = 64 << 10
	body := func(s string) io.Reader { return strings.NewReader(s) }
	large := func() string {
		const start, end = `{"mfaType":"GOOGLE_AUTH","email":"`, `"}`
		return start + strings.Repeat("a", limit+1-len(start)-len(end)) + end
	}
	return []mistake{
		// The document's Python sample.
		{name: "no body", contentType: asJSON,
			status: 400, code: "invalid_request"},
		// The document's Ruby sample: its headers become a form.
		{name: "headers sent as a form", contentType: asForm, authorization: noAuthorization,
			body:   body("params&headers[Content-Type]=application%2Fjson&headers[Authorization]=Bearer+x"),
			status: 401, challenge: "Bearer realm="},
		// curl -d without a header.
		{name: "JSON declared as a form", contentType: asForm, body: body(documented),
			status: 415},
		{name: "a form", contentType: asForm, body: body("mfaType=GOOGLE_AUTH&email=user%40example.com"),
			status: 415},

		{name: "the value in the wrong case", contentType: asJSON, body: body(`{"mfaType":"google_auth"}`),
			status: 400, code: "invalid_mfa_type", error: "Invalid MFA type specified"},
		{name: "the key in the wrong case", contentType: asJSON, body: body(`{"MfaType":"GOOGLE_AUTH"}`),
			status: 400, error: "mfaType"},
		{name: "a number for a string", contentType: asJSON, body: body(`{"mfaType":1}`),
			status: 400, code: "invalid_request"},
		{name: "an array for the body", contentType: asJSON, body: body("[" + documented + "]"),
			status: 400, code: "invalid_request"},
		{name: "null for the body", contentType: asJSON, body: body("null"),
			status: 400, code: "invalid_request"},
		{name: "a trailing comma", contentType: asJSON, body: body(`{"mfaType":"GOOGLE_AUTH",}`),
			status: 400, code: "invalid_request"},
		{name: "single quotes", contentType: asJSON, body: body(`{'mfaType':'GOOGLE_AUTH'}`),
			status: 400, code: "invalid_request"},
		{name: "a body cut short", contentType: asJSON, body: body(documented[:len(documented)-1]),
			status: 400, code: "invalid_request"},
		{name: "trailing data", contentType: asJSON, body: body(documented + documented),
			status: 400, code: "invalid_request"},
		{name: "duplicate keys", contentType: asJSON, body: body(`{"mfaType":"GOOGLE_AUTH","mfaType":"GOOGLE_AUTH"}`),
			status: 400, code: "invalid_request"},
		{name: "duplicate keys further in", contentType: asJSON,
			body:   body(`{"mfaType":"GOOGLE_AUTH","deviceInfo":{"name":"a","name":"b"}}`),
			status: 400, code: "invalid_request"},
		{name: "invalid UTF-8", contentType: asJSON, body: body("{\"mfaType\":\"GOOGLE_AUTH\",\"email\":\"\xff@example.com\"}"),
			status: 400, code: "invalid_request"},
		{name: "a body over the limit", contentType: asJSON, body: body(large()),
			status: 413},
		{name: "a body over the limit, of unannounced length", contentType: asJSON,
			body:   io.MultiReader(body(large())), // hides the length from net/http
			status: 413},

		{name: "no Authorization", contentType: asJSON, authorization: noAuthorization, body: body(documented),
			status: 401, challenge: "Bearer realm="},
		{name: "Basic for Bearer", contentType: asJSON, authorization: []string{"Basic dXNlcjpwYXNz"}, body: body(documented),
			status: 401, challenge: "Bearer "},
		{name: "garbage for a token", contentType: asJSON, authorization: []string{"Bearer not.a.token"}, body: body(documented),
			status: 401, challenge: "Bearer ", code: "invalid_token"},
		{name: "two Authorization headers", contentType: asJSON,
			authorization: []string{"Bearer " + token, "Bearer " + token}, body: body(documented),
			status: 400},
		{name: "GET for POST", method: http.MethodGet,
			status: 405, allow: http.MethodPost},
	}
}

var snakeCase = regexp.MustCompile(`^[a-z0-9]+(_[a-z0-9]+)*$`)

// runCareless sends every mistake to the server at baseURL, for whose
// access tokens token is one, and checks what the client is told.
func runCareless(t *testing.T, baseURL, token string) {
	for _, m := range mistakes(token) {
		t.Run(m.name, func(t *testing.T) {
			resp := m.send(t, baseURL, token)
			defer resp.Body.Close()

			if resp.StatusCode != m.status {
				t.Errorf("status %d, want %d", resp.StatusCode, m.status)
			}
			checkEnvelope(t, resp, m)
			m.checkChallenge(t, resp.Header)
			if got := resp.Header.Get("Allow"); m.allow != "" && got != m.allow {
				t.Errorf("Allow is %q, want %q", got, m.allow)
			}
		})
	}
}

func (m mistake) send(t *testing.T, baseURL, token string) *http.Response {
	t.Helper()
	method := m.method
	if method == "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(t.Context(), method, baseURL+"/mfa/setup", m.body)
	if err != nil {
		t.Fatal(err)
	}
	if m.contentType != "" {
		req.Header.Set("Content-Type", m.contentType)
	}
	req.Header["Authorization"] = m.authorization
	if m.authorization == nil {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// checkEnvelope checks what all refusals have in common.
func checkEnvelope(t *testing.T, resp *http.Response, m mistake) {
	t.Helper()
	for header, want := range map[string]string{
		"Content-Type":           "application/json",
		"Cache-Control":          "no-store",
		"X-Content-Type-Options": "nosniff",
	} {
		if got := resp.Header.Get(header); got != want {
			t.Errorf("%s is %q, want %q", header, got, want)
		}
	}

	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("reading the answer: %v", err)
	}
	var envelope map[string]any
	if err := json.Unmarshal(body, &envelope); err != nil {
		t.Fatalf("the answer is not JSON: %v\n%s", err, body)
	}
	if success, ok := envelope["success"].(bool); !ok || success {
		t.Errorf("success is %v, want false", envelope["success"])
	}
	text, _ := envelope["error"].(string)
	if text == "" || !strings.Contains(text, m.error) {
		t.Errorf("error is %q, want a text that contains %q", text, m.error)
	}
	code, _ := envelope["code"].(string)
	if !snakeCase.MatchString(code) {
		t.Errorf("code is %q, want snake_case", code)
	}
	if m.code != "" && code != m.code {
		t.Errorf("code is %q, want %q", code, m.code)
	}
	for name := range envelope {
		if name != "success" && name != "error" && name != "code" {
			t.Errorf("the answer also has %q", name)
		}
	}
}

// checkChallenge checks WWW-Authenticate as RFC 6750 section 3 has it:
// whoever sent no credentials is told no error, whoever sent bad ones is.
func (m mistake) checkChallenge(t *testing.T, header http.Header) {
	t.Helper()
	got := header.Get("WWW-Authenticate")
	if m.challenge == "" {
		return
	}
	if !strings.HasPrefix(got, m.challenge) {
		t.Errorf("WWW-Authenticate is %q, want it to start with %q", got, m.challenge)
	}
	switch hasError := strings.Contains(got, "error="); {
	case m.code == "invalid_token" && !strings.Contains(got, `error="invalid_token"`):
		t.Errorf("WWW-Authenticate is %q, want it to have error=\"invalid_token\"", got)
	case len(m.authorization) == 0 && hasError:
		t.Errorf("WWW-Authenticate is %q, want no error in it", got)
	}
}

// refusal returns the text with which the server refuses token.
func refusal(t *testing.T, baseURL, token string) string {
	t.Helper()
	resp := mistake{contentType: asJSON, body: strings.NewReader(documented)}.send(t, baseURL, token)
	defer resp.Body.Close()
	var envelope struct {
		Error string `json:"error"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&envelope); err != nil || envelope.Error == "" {
		t.Fatalf("status %d without an error text: %v", resp.StatusCode, err)
	}
	return envelope.Error
}
