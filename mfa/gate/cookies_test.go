package gate_test

import (
	"net/http"
	"reflect"
	"slices"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/gate"
)

func TestACookieIsFoundInEverySpellingThatSomeServerReads(t *testing.T) {
	for _, test := range []struct {
		lines  []string
		values []string
		sure   bool
	}{
		{nil, nil, true},
		{[]string{"theme=dark; my_session2=1; xmy_session=2; lang=my_session"}, nil, true},
		{[]string{`a=1; my_session=x.y.z; b="my_session"`}, []string{"x.y.z"}, true},
		{[]string{"my_session = x"}, []string{" x"}, true},
		{[]string{"my_session"}, []string{""}, true},
		{[]string{"my_session=a=my_session=b"}, []string{"a=my_session=b"}, true},
		// Twice, whatever the value.
		{[]string{"my_session=x; my_session=y"}, []string{"x", "y"}, true},
		{[]string{"my_session=x", "my_session=y"}, []string{"x", "y"}, true},
		{[]string{`my_session=x"\; my_session=y`}, []string{`x"\`, "y"}, true},
		{[]string{"\u2003my_session\u00a0=x"}, []string{"x"}, true},
		// By another parser than one of RFC 6265.
		{[]string{"my_session=x; MY_Session=y"}, []string{"x"}, false},
		{[]string{"a=1,my_session=y; my_session=x"}, []string{"x"}, false},
		{[]string{"my_session=x; a=1 my_session=y"}, []string{"x"}, false},
		{[]string{"my_session=x; a=1\tmy_session = y"}, []string{"x"}, false},
		{[]string{`my_session=x; a="my_session=y"`}, []string{"x"}, false},
		{[]string{"my.session=y; my_session=x"}, []string{"x"}, false},
		{[]string{"my session=y; my_session=x"}, []string{"x"}, false},
		{[]string{"\xa0my_session=y; my_session=x"}, []string{"x"}, false}, // a blank in Latin-1
		{[]string{"MY_SESSION=y"}, nil, false},
	} {
		values, sure := gate.Cookies(http.Header{"Cookie": test.lines}, "my_session")
		if !slices.Equal(values, test.values) || sure != test.sure {
			t.Errorf("%q: %q, sure %v", test.lines, values, sure)
		}
	}
}

func FuzzNoCookieOfTheNameIsMissed(f *testing.F) {
	f.Add("a=1; s=2; b=3")
	f.Add("s=1;s;s =2")
	f.Add(` s=;s=";s="`)
	f.Fuzz(func(t *testing.T, line string) {
		h := http.Header{"Cookie": {line}}
		values, sure := gate.Cookies(h, "s")
		if read := (&http.Request{Header: h}).CookiesNamed("s"); len(read) > len(values) {
			t.Errorf("%q: %v are read, and %q found", line, read, values)
		}
		if len(values) == 0 && sure && gate.RemoveCookie(h, "s") {
			t.Errorf("%q: one is removed that was not found", line)
		}
	})
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
		{[]string{"__Host-mfa2=1; __host-mfa=2"}, []string{"__Host-mfa2=1; __host-mfa=2"}, false},
		{[]string{"a=1;__Host-mfa=x;b=2"}, []string{"a=1;b=2"}, true},
		{[]string{"a=1; __Host-mfa=x"}, []string{"a=1"}, true},
		{[]string{"a=1; __Host-mfa"}, []string{"a=1"}, true},
		{[]string{"a=1;\t__Host-mfa =x==; b"}, []string{"a=1; b"}, true},
		{[]string{" a = 1 ;; __Host-mfa=x;  =;b=\xff,é;"}, []string{" a = 1 ;;  =;b=\xff,é;"}, true},
		{[]string{"__Host-mfa=x", "__Host-mfa=y; a=1", "", "b={\"c\": 2}"}, []string{"a=1", "", "b={\"c\": 2}"}, true},
		{nil, nil, false},
	} {
		h := http.Header{"Accept": {"*/*"}}
		if test.lines != nil {
			h["Cookie"] = slices.Clone(test.lines)
		}
		held := h["Cookie"]
		if found := gate.RemoveCookie(h, "__Host-mfa"); found != test.found || !reflect.DeepEqual(h["Cookie"], test.want) {
			t.Errorf("%q: %v, left %q", test.lines, found, h["Cookie"])
		}
		if !slices.Equal(held, test.lines) {
			t.Errorf("%q: the lines that others may hold became %q", test.lines, held)
		}
		if _, there := h["Cookie"]; there != (test.want != nil) {
			t.Errorf("%q: there is an empty header", test.lines)
		}
	}
}

func FuzzARemovedCookieIsGoneForEveryReader(f *testing.F) {
	f.Add("a=1; s=2; b=3")
	f.Add("s=1;s;s =2")
	f.Add(" s=;s=\";s=\"")
	f.Fuzz(func(t *testing.T, line string) {
		before := (&http.Request{Header: http.Header{"Cookie": {line}}}).Cookies()
		r := &http.Request{Header: http.Header{"Cookie": {line}}}
		if present := gate.RemoveCookie(r.Header, "s"); !present && r.Header.Get("Cookie") != line {
			t.Errorf("%q: changed to %q", line, r.Header["Cookie"])
		}
		others := slices.DeleteFunc(before, func(c *http.Cookie) bool { return c.Name == "s" })
		if after := r.Cookies(); !slices.EqualFunc(after, others, func(a, b *http.Cookie) bool { return a.String() == b.String() }) {
			t.Errorf("%q: left %v, want %v", line, after, others)
		}
	})
}
