package gate_test

import (
	"net/http"
	"reflect"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/gate"
)

func TestAHostLosesTheDotsAtItsEnd(t *testing.T) {
	for host, want := range map[string]string{
		"example.com.":      "example.com",
		"example.com..:443": "example.com:443",
		"example.com":       "example.com",
		"example.com:443":   "example.com:443",
		"[::1]":             "[::1]",
		"[::1]:80":          "[::1]:80",
		"":                  "",
	} {
		r := &http.Request{Host: host}
		if gate.Normalize(r); r.Host != want {
			t.Errorf("%q becomes %q, want %q", host, r.Host, want)
		}
	}
}

func TestAMethodIsWrittenAsMatchersKnowIt(t *testing.T) {
	for method, want := range map[string]string{
		"post": "POST", "Delete": "DELETE", "GET": "GET", "PROPFIND": "PROPFIND", "propfind": "propfind", "": "",
	} {
		r := &http.Request{Method: method}
		if gate.Normalize(r); r.Method != want {
			t.Errorf("%q becomes %q, want %q", method, r.Method, want)
		}
	}
}

func TestOnlyPOSTMayStandForAnotherMethod(t *testing.T) {
	for method, stays := range map[string]bool{"GET": false, "get": false, "HEAD": false, "PUT": false, "POST": true, "post": true} {
		r := &http.Request{Method: method, Header: http.Header{
			"X-Http-Method-Override": {"DELETE"}, "X_http_method": {"DELETE"}, "X-Method-Override": {"DELETE"}, "X-Http-Methods": {"kept"},
		}}
		want := http.Header{"X-Http-Methods": {"kept"}}
		if stays {
			want = r.Header.Clone()
		}
		if gate.Normalize(r); !reflect.DeepEqual(r.Header, want) {
			t.Errorf("%s: left %v, want %v", method, r.Header, want)
		}
	}
}

func TestNormalizingCostsNoAllocation(t *testing.T) {
	r := &http.Request{Method: "GET", Host: "example.com:443", Header: http.Header{"Accept": {"*/*"}, "Authorization": {"Bearer x"}, "X-Forwarded-For": {"1.2.3.4"}}}
	if n := testing.AllocsPerRun(100, func() { gate.Normalize(r) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
