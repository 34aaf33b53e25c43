package edgetest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
)

// Answer is an HTTP answer, read to its end.
type Answer struct {
	Status int
	Header http.Header
	Body   string
	// JSON is the body when it is a JSON object.
	JSON map[string]any
}

// client follows no redirect: the tests look at each answer.
var client = &http.Client{
	Timeout:       patience,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// Do sends a request to the edge: with token as the bearer unless it is
// "", and with body, unless it is nil, as JSON, or as it is when it is a
// string.
func (e *Edge) Do(method, path, token string, body any) Answer {
	e.t.Helper()
	var reader io.Reader
	switch body := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(body)
	default:
		encoded, err := json.Marshal(body)
		if err != nil {
			e.t.Fatal(err)
		}
		reader = bytes.NewReader(encoded)
	}
	r, err := http.NewRequestWithContext(e.t.Context(), method, e.URL+path, reader)
	if err != nil {
		e.t.Fatal(err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return e.Send(r)
}

// Send sends r.
func (e *Edge) Send(r *http.Request) Answer {
	e.t.Helper()
	answer, err := send(r)
	if err != nil {
		e.t.Fatal(err)
	}
	return answer
}

func send(r *http.Request) (Answer, error) {
	response, err := client.Do(r)
	if err != nil {
		return Answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return Answer{}, err
	}
	answer := Answer{Status: response.StatusCode, Header: response.Header, Body: string(body)}
	_ = json.Unmarshal(body, &answer.JSON) // stays nil when it is no object
	return answer, nil
}

// Data returns the answer's data, and fails the test when it is no
// success.
func (a Answer) Data(t testing.TB) map[string]any {
	t.Helper()
	data, ok := a.JSON["data"].(map[string]any)
	if a.Status != http.StatusOK || a.JSON["success"] != true || !ok {
		t.Fatalf("not a success with data: %d %s", a.Status, a.Body)
	}
	return data
}

// WantError fails the test unless the answer is an error of the given
// status, code and text; "" leaves code or text open.
func (a Answer) WantError(t testing.TB, status int, code, text string) {
	t.Helper()
	if a.Status != status || a.JSON["success"] != false ||
		code != "" && a.JSON["code"] != code || text != "" && a.JSON["error"] != text {
		t.Errorf("got %d %s, want %d code %q error %q", a.Status, a.Body, status, code, text)
	}
}

// WantMessage fails the test unless the answer is a success with message.
func (a Answer) WantMessage(t testing.TB, message string) {
	t.Helper()
	if a.Status != http.StatusOK || a.JSON["success"] != true || a.JSON["message"] != message {
		t.Errorf("got %d %s, want 200 %q", a.Status, a.Body, message)
	}
}

// Code returns what an authenticator app shows now for secret.
func Code(t testing.TB, secret string) string {
	t.Helper()
	code, err := totp.GenerateCode(secret, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return code
}
