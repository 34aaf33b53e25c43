package demo

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// told is what a request tells a backend behind the edge.
type told struct {
	Target  string
	Headers []fact // X-MFA-*, as the gate sets them
	Claims  []fact // of the access token, which is not shown itself
	Way     string // by which the token came
	Cookies []string
}

// Gated reports whether a gate has let the request through.
func (t told) Gated() bool { return t.Headers != nil }

// fact is a name with a value, and what that means.
type fact struct{ Name, Value, Note string }

// headers are what a gate sets, in the order of showing.
var headers = []struct{ name, note string }{
	{"X-MFA-User", "the access token's subject"},
	{"X-MFA-Methods", "which factor was shown"},
	{"X-MFA-ACR", "how strong that is: mail, mfa or phr"},
	{"X-MFA-Auth-Time", "when it was shown"},
}

// told answers every request that is none of the application's own pages.
func (a *App) told(w http.ResponseWriter, r *http.Request) {
	t := a.read(r)
	if wantsHTML(r) {
		a.show(w, r, http.StatusOK, "told", page{Told: t})
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintf(w, "Hello from the backend: %s\n", t.Target)
	for _, header := range t.Headers {
		fmt.Fprintf(w, "%s: %s\n", header.Name, header.Value)
	}
}

func (a *App) read(r *http.Request) told {
	t := told{Target: r.Method + " " + r.URL.RequestURI()}
	for _, header := range headers {
		if value := r.Header.Get(header.name); value != "" {
			t.Headers = append(t.Headers, fact{header.name, value, header.note})
		}
	}
	for _, cookie := range r.Cookies() {
		t.Cookies = append(t.Cookies, cookie.Name)
	}
	token, way := a.token(r)
	if token == "" {
		return t
	}
	if _, err := a.config.Verify(r.Context(), token); err == nil {
		t.Claims, t.Way = claims(token), way
	}
	return t
}

// claims lists the claims of a token that has been verified, as they stand
// in it.
func claims(token string) []fact {
	_, rest, _ := strings.Cut(token, ".")
	payload, _, _ := strings.Cut(rest, ".")
	decoded, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(decoded))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil
	}
	var all []fact
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return all
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return all
		}
		all = append(all, fact{fmt.Sprint(name), readable(value), when(fmt.Sprint(name), value)})
	}
	return all
}

// readable is a text without its quotes, anything else as JSON.
func readable(value json.RawMessage) string {
	var text string
	if json.Unmarshal(value, &text) == nil {
		return text
	}
	return string(value)
}

// when says a claim that is a time as people do.
func when(name string, value json.RawMessage) string {
	var seconds int64
	switch name {
	case "iat", "exp", "nbf", "auth_time":
		if json.Unmarshal(value, &seconds) == nil {
			return time.Unix(seconds, 0).UTC().Format(time.RFC3339)
		}
	}
	return ""
}
