package edgetest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
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

// NewAnswer makes an Answer of what somebody else, such as a browser, has
// got.
func NewAnswer(status int, body string) Answer {
	answer := Answer{Status: status, Body: body}
	_ = json.Unmarshal([]byte(body), &answer.JSON) // stays nil when it is no object
	return answer
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
	return e.Send(e.Request(method, path, token, body))
}

// Request makes the request that Do sends.
func (e *Edge) Request(method, path, token string, body any) *http.Request {
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
	return r
}

// Send sends r. An answer of the API must be as its OpenAPI document says.
func (e *Edge) Send(r *http.Request) Answer {
	e.t.Helper()
	answer, err := Try(r)
	// net/http closes a connection without an answer when its request comes as
	// the server of the configuration before begins to stop.
	for tries := 1; e.reloaded && closed(err) && tries < 5; tries++ {
		again := r.Clone(r.Context())
		if r.GetBody != nil {
			again.Body, _ = r.GetBody() // fails for no reader of Request
		}
		answer, err = Try(again)
	}
	e.reloaded = false
	if err != nil {
		e.t.Fatal(err)
	}
	e.Check(r, answer)
	return answer
}

// closed reports whether err says that a connection ended without an answer.
func closed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)
}

// Try sends r from any goroutine, and while the edge may be down.
func Try(r *http.Request) (Answer, error) {
	response, err := client.Do(r)
	if err != nil {
		return Answer{}, err
	}
	return read(response)
}

func read(response *http.Response) (Answer, error) {
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return Answer{}, err
	}
	answer := NewAnswer(response.StatusCode, string(body))
	answer.Header = response.Header
	return answer, nil
}

// Raw sends request as it stands on a connection of its own, adds the
// headers that make it complete, and returns the whole answer. request is
// a request line, without its version.
func (e *Edge) Raw(request string, headers ...string) Answer {
	e.t.Helper()
	conn, err := net.Dial("tcp", "127.0.0.1:"+e.Port)
	if err != nil {
		e.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	lines := append([]string{request + " HTTP/1.1", "Host: localhost:" + e.Port, "Connection: close"}, headers...)
	if _, err := io.WriteString(conn, strings.Join(lines, "\r\n")+"\r\n\r\n"); err != nil {
		e.t.Fatal(err)
	}
	method, target, _ := strings.Cut(request, " ")
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method}) // HEAD has no body
	if err != nil {
		e.t.Fatalf("%s: %v", request, err)
	}
	answer, err := read(response)
	if err != nil {
		e.t.Fatalf("%s: %v", request, err)
	}
	e.check(method, target, answer)
	return answer
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

// Eventually asks until done says yes, and fails the test when that takes
// longer than within. It is for what announces itself nowhere.
func Eventually(t testing.TB, within time.Duration, what string, done func() bool) {
	t.Helper()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(within); !done(); <-ticker.C {
		if time.Now().After(deadline) {
			t.Fatalf("after %v still not: %s", within, what)
		}
	}
}
