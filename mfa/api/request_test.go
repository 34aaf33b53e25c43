package api_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestABodyThatCouldBeReadTwoWaysIsRefused(t *testing.T) {
	f := newFixture(t)
	for _, row := range []struct{ name, body, text string }{
		{"empty", "", "empty"},
		{"blank", " \n", "empty"},
		{"truncated", `{"mfaType":`, "not valid JSON"},
		{"single quotes", `{'mfaType':'GOOGLE_AUTH'}`, "error at byte"},
		{"trailing comma", `{"mfaType":"GOOGLE_AUTH",}`, "not valid JSON"},
		{"trailing data", `{"mfaType":"GOOGLE_AUTH"} {}`, "after its JSON object"},
		{"trailing brace", `{"mfaType":"GOOGLE_AUTH"}}`, "after its JSON object"},
		{"array", `["GOOGLE_AUTH"]`, "must be a JSON object"},
		{"null", `null`, "must be a JSON object"},
		{"text", `"GOOGLE_AUTH"`, "must be a JSON object"},
		{"twice", `{"mfaType":"GOOGLE_AUTH","mfaType":"PASSKEY"}`, `"mfaType" is in the request body twice`},
		{"twice, escaped", `{"mfaType":"GOOGLE_AUTH","mfa\u0054ype":"PASSKEY"}`, "twice"},
		{"twice further in", `{"mfaType":"PASSKEY","deviceInfo":{"name":"a","name":"b"}}`, "twice"},
		{"twice in an unknown member", `{"mfaType":"PASSKEY","x":[{"y":1,"y":2}]}`, "twice"},
		{"twice further in, in another case", `{"mfaType":"PASSKEY","deviceInfo":{"name":"a","Name":"b"}}`, "twice"},
		{"another case", `{"mfatype":"GOOGLE_AUTH"}`, `"mfatype" must be written "mfaType"`},
		{"a second spelling", `{"mfaType":"GOOGLE_AUTH","MFATYPE":"PASSKEY"}`, "twice"},
		{"number", `{"mfaType":1}`, `"mfaType" must be a string`},
		{"object", `{"mfaType":{}}`, `"mfaType" must be a string`},
		{"device as text", `{"mfaType":"PASSKEY","deviceInfo":"phone"}`, `"deviceInfo" must be an object`},
		{"device's name as number", `{"mfaType":"PASSKEY","deviceInfo":{"name":1}}`, `"deviceInfo.name" must be a string`},
		{"invalid UTF-8", "{\"mfaType\":\"GOOGLE_AUTH\xff\"}", "UTF-8"},
		{"long name", `{"` + strings.Repeat("x", 500) + `":1,"` + strings.Repeat("x", 500) + `":1}`, "…"},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := f.post("/mfa/setup", row.body)
			wantError(t, w, 400, "invalid_request", row.text)
			if len(w.Body.String()) > 300 {
				t.Errorf("the answer echoes the request: %s", w.Body)
			}
		})
	}
}

func TestABodyMustBeJSONOfAtMost64KiB(t *testing.T) {
	f := newFixture(t)
	f.service.setup = appSetup
	const body = `{"mfaType":"GOOGLE_AUTH"}`
	for _, contentType := range []string{"text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1", "json", ""} {
		headers := []string{"Authorization", "Bearer good"}
		if contentType != "" {
			headers = append(headers, "Content-Type", contentType)
		}
		wantError(t, f.do("POST", "/mfa/setup", body, headers...), 415, "unsupported_media_type", "application/json")
	}
	wantError(t, f.post("/mfa/setup", body, "Content-Encoding", "gzip"), 415, "unsupported_media_type", "")
	for _, contentType := range []string{"application/json", "Application/JSON; charset=UTF-8", `application/json;charset="utf-8"`} {
		if w := f.do("POST", "/mfa/setup", body, "Authorization", "Bearer good", "Content-Type", contentType); w.Code != 200 {
			t.Errorf("%s: %d %s", contentType, w.Code, w.Body)
		}
	}
	padding := strings.Repeat(" ", 64<<10-len(body))
	if w := f.post("/mfa/setup", body+padding); w.Code != 200 {
		t.Errorf("64 KiB: %d %s", w.Code, w.Body)
	}
	wantError(t, f.post("/mfa/setup", body+padding+" "), 413, "request_too_large", "64 KiB")
}

func TestARefusalReachesAClientWhoseBodyComesLate(t *testing.T) {
	f := newFixture(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		route, _ := f.routes.Find(r.URL.Path)
		f.handler.ServeHTTP(w, r, route)
	}))
	defer server.Close()
	for range 50 {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{"POST /mfa/setup HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 20\r\n\r\n", "{\n", "        ", "        \n}"} {
			if _, err := io.WriteString(conn, part); err != nil {
				t.Fatal(err)
			}
		}
		answer, err := io.ReadAll(conn)
		if err != nil || !strings.Contains(string(answer), "authentication_required") {
			t.Fatalf("%v after %q", err, answer)
		}
		conn.Close()
	}
}

// The server resets a connection with data unread, and the answer is lost.
func TestARefusalReachesAClientWhoseBodyIsTooLarge(t *testing.T) {
	f := newFixture(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		route, _ := f.routes.Find(r.URL.Path)
		f.handler.ServeHTTP(wrapped{w}, r, route)
	}))
	defer server.Close()
	const size = 100 << 10
	for range 10 {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "POST /mfa/setup HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer good\r\n"+
			"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", size, strings.Repeat(" ", size))
		answer, err := io.ReadAll(conn)
		if err != nil || !strings.Contains(string(answer), "request_too_large") {
			t.Fatalf("%v after %q", err, answer)
		}
		conn.Close()
	}
}

// wrapped is a response as servers with middleware have it: net/http does not
// see through it that a body was too large.
type wrapped struct{ http.ResponseWriter }
