package gate_test

import (
	"net/http"
	"reflect"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/gate"
)

func TestWhatOnlyTheEdgeMaySayIsStripped(t *testing.T) {
	for _, name := range []string{"X-Mfa-User", "x-mfa-user", "X_MFA_User", "X-MFA_ACR", "x_mfa-methods", "X.MFA.User", "X Mfa User", "X-Mfa-"} {
		r := &http.Request{Header: http.Header{name: {"root"}, "Accept": {"*/*"}}}
		gate.StripIdentity(r)
		if want := (http.Header{"Accept": {"*/*"}}); !reflect.DeepEqual(r.Header, want) {
			t.Errorf("%q: left %v", name, r.Header)
		}
	}
}

func TestOtherHeadersStay(t *testing.T) {
	h := http.Header{"X-Mfax-User": {"a"}, "X-Mf": {"b"}, "Xmfauser": {"c"}, "X-Forwarded-For": {"d"}, "Connection": {"Upgrade, keep-alive"}}
	r := &http.Request{Header: h.Clone()}
	gate.StripIdentity(r)
	if !reflect.DeepEqual(r.Header, h) {
		t.Errorf("left %v of %v", r.Header, h)
	}
}

func TestConnectionCannotNameTheHeadersOfTheEdge(t *testing.T) {
	r := &http.Request{Header: http.Header{
		"Connection": {"Upgrade, X-MFA-User", "x-mfa-acr"}, "Trailer": {"X_MFA_User"},
	}, Trailer: http.Header{"X_MFA_User": nil, "Sum": nil}}
	gate.StripIdentity(r)
	if want := (http.Header{"Connection": {"Upgrade"}}); !reflect.DeepEqual(r.Header, want) {
		t.Errorf("left %v", r.Header)
	}
	if want := (http.Header{"Sum": nil}); !reflect.DeepEqual(r.Trailer, want) {
		t.Errorf("left trailers %v", r.Trailer)
	}
}

func TestACookieIsRemovedAndTheOthersStayAsTheyAre(t *testing.T) {
	for _, test := range []struct {
		lines, want []string
		found       bool
	}{
		{[]string{`a=1; __Host-mfa=x; b="odd , value"`}, []string{`a=1; b="odd , value"`}, true},
		{[]string{"__Host-mfa=x"}, nil, true},
		{[]string{"__Host-mfa=x; __Host-mfa=y; c=3"}, []string{"c=3"}, true},
		{[]string{"a=1", "__Host-mfa=x"}, []string{"a=1"}, true},
		{[]string{"a=__Host-mfa"}, []string{"a=__Host-mfa"}, false},
		{[]string{"x__Host-mfa=1"}, []string{"x__Host-mfa=1"}, false},
	} {
		h := http.Header{"Cookie": test.lines}
		if found := gate.RemoveCookie(h, "__Host-mfa"); found != test.found || !reflect.DeepEqual(h["Cookie"], test.want) {
			t.Errorf("%q: %v, left %q", test.lines, found, h["Cookie"])
		}
	}
}
