package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/caddymfa/caddy-mfa/mfa/gate"
)

func FuzzRequestBody(f *testing.F) {
	for _, body := range []string{
		`{"mfaType":"GOOGLE_AUTH"}`, `{"mfaType":"PASSKEY","credential":{"id":"x","response":{}},"deviceInfo":{"name":"a@b."}}`,
		`{"mfaType":1}`, `{"mfaType":"a","mfaType":"b"}`, `{"MFATYPE":"a"}`, `{} {}`, `[`, `{"a":[{"b":{}}]`, "\xff", `{"email":"\ud800"}`, ``, `null`, `{"a":1e999}`,
		`{"K":1,"k":2}`, "{\"\u212a\":1,\"k\":2}", strings.Repeat(`{"a":`, 200),
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		into := struct {
			Type       string          `json:"mfaType"`
			Email      string          `json:"email"`
			Enforced   *bool           `json:"enforced"`
			Credential json.RawMessage `json:"credential"`
			Device     struct {
				Name string `json:"name"`
			} `json:"deviceInfo"`
		}{}
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(string(body)))
		r.Header.Set("Content-Type", "application/json")
		err := readJSON(httptest.NewRecorder(), r, &into)
		if err != nil {
			var known *apiError
			if !errors.As(err, &known) || known.status < 400 || known.status >= 500 || !utf8.ValidString(known.message) || len(known.message) > 300 {
				t.Fatalf("the refusal is %v", err)
			}
			return
		}
		var standard map[string]any
		decoder := json.NewDecoder(bytes.NewReader(body))
		decoder.UseNumber()
		if err := decoder.Decode(&standard); err != nil || !json.Valid(body) || !utf8.Valid(body) {
			t.Fatalf("accepted, but %v", err)
		}
		if email, ok := standard["email"].(string); ok && email != into.Email {
			t.Fatalf("email is %q to us and %q to others", into.Email, email)
		}
	})
}

func FuzzAuthorization(f *testing.F) {
	for _, header := range []string{"Bearer abc", "bearer  abc ", "Basic YTpi", "Bearer", "Bearer a b", "Bearer a,b", "\tBearer x", "Bearer \x00", "BEARER a.b.c"} {
		f.Add(header, "session=abc")
	}
	f.Add("", "session=%61; Session=b; session=\"c\"")
	f.Add("", "session=a; __Host-mfa=b; __host-MFA=\"c;d\", __Host-mfa=e")
	f.Fuzz(func(t *testing.T, authorization, cookie string) {
		h := &Handler{cookie: "session"}
		r := &http.Request{Method: http.MethodGet, Header: http.Header{}, URL: &url.URL{Path: "/"}}
		if authorization != "" {
			r.Header["Authorization"] = []string{authorization}
		}
		if cookie != "" {
			r.Header["Cookie"] = []string{cookie}
		}
		_ = Carries(r)
		token, byCookie, err := h.token(r)
		if err != nil {
			if e := translate(err); e.status < 400 || e.status >= 500 {
				t.Fatalf("the refusal is %d %v", e.status, err)
			}
			return
		}
		if token == "" && byCookie || byCookie && authorization != "" || !byCookie && !strings.Contains(authorization, token) {
			t.Fatalf("the token is %q, by cookie: %v", token, byCookie)
		}
		Strip(r)
		Withhold(r)
		if values, _ := gate.Cookies(r.Header, CookieName); len(values) != 0 {
			t.Fatalf("the edge's own cookie goes on: %q in %q", values, r.Header["Cookie"])
		}
	})
}

func FuzzReturnTo(f *testing.F) {
	for _, target := range []string{"/", "/a?b#c", "//evil.test", "/\\evil.test", "/\t/evil.test", "https://evil.test", "", "/%2f/evil.test", "/a\u00ad", "/.//evil.test", "/@evil"} {
		f.Add(target)
	}
	base, _ := url.Parse("https://example.com/mfa/")
	f.Fuzz(func(t *testing.T, target string) {
		back := ReturnTo(target)
		if back != "/" && back != target || ReturnTo(back) != back {
			t.Fatalf("%q leads back to %q", target, back)
		}
		// Browsers read a backslash as a slash, and drop what is no character of
		// URLs.
		for _, read := range []string{back, strings.ReplaceAll(back, "\\", "/"), strings.Map(func(r rune) rune {
			if r <= ' ' {
				return -1
			}
			return r
		}, back)} {
			u, err := base.Parse(read)
			if err == nil && (u.Host != "example.com" || u.Scheme != "https" || u.User != nil) {
				t.Fatalf("%q leads to %s", target, u)
			}
		}
		h := &Handler{own: []string{"https://example.com"}, loginURL: "https://login.example/?a=1&return_to="}
		location, err := url.Parse(h.loginTarget(httptest.NewRequest(http.MethodGet, "https://example.com/", nil), target))
		if err != nil || location.Host != "login.example" || location.Query().Get("return_to") != "https://example.com"+back {
			t.Fatalf("%q leads to the login as %v, %v", target, location, err)
		}
	})
}

func FuzzParseOrigin(f *testing.F) {
	for _, raw := range []string{"https://example.com", "http://[::1]:8080/", "https://EXAMPLE.com:443", "https://a:b@c", "https://*.x", "https://x; y", "http:x", "https://x:"} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		origin, err := ParseOrigin(raw)
		if err != nil {
			return
		}
		if again, err := ParseOrigin(origin); err != nil || again != origin {
			t.Fatalf("%q is %q, and then %q, %v", raw, origin, again, err)
		}
		if strings.ContainsAny(origin, " ,;'\"*\\\r\n@") || origin != strings.ToLower(origin) {
			t.Fatalf("%q is %q", raw, origin)
		}
	})
}
