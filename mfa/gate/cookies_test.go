package gate_test

import (
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
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
		// Percent-encoded.
		{[]string{"my_session=x; %6Dy_session=y"}, []string{"x"}, false},
		{[]string{"%6dy_session=y; my_session=x"}, []string{"x"}, false},
		{[]string{"my_session=x; %6d%79%5f%73%65%73%73%69%6f%6e=y"}, []string{"x"}, false},
		{[]string{"my_session=x", "my%5Fsession=y"}, []string{"x"}, false},
		{[]string{"my_session=x; my_sessio%4E=y"}, []string{"x"}, false},
		{[]string{"my_session=x; %256Dy_session=y"}, []string{"x"}, false},
		{[]string{"my_session=x; %25256Dy_session=y"}, []string{"x"}, false},
		{[]string{"my_session=x; %%36dy_session=y"}, []string{"x"}, false},
		{[]string{"my_session=x; %25%36%44y_session=y"}, []string{"x"}, false},
		{[]string{"my_session=x; my%2Esession=y"}, []string{"x"}, false},
		{[]string{"my_session=x; my%20session=y"}, []string{"x"}, false},
		{[]string{"my_session=x; my+session=y"}, []string{"x"}, false},
		{[]string{"my_session=x; my%5Bsession=y"}, []string{"x"}, false},
		{[]string{"my_session=x; %20my_session=y"}, []string{"x"}, false},
		{[]string{"my_session=x; +%09%20my_session=y"}, []string{"x"}, false},
		{[]string{"my_session=x; my_session%20 %09=y"}, []string{"x"}, false},
		{[]string{"my_session=x; my_session%00.z=y"}, []string{"x"}, false},
		{[]string{"my_session=x; my_session%C2%A0=y"}, []string{"x"}, false},
		{[]string{"a=1,%6Dy_session=y; my_session=x"}, []string{"x"}, false},
		{[]string{"%6Dy_session=y"}, nil, false},
		// Other cookies stay what they are, whatever their values.
		{[]string{"my_session=x; back=%2F%3Ba%20my_session%3D1; q=%my_session=1; p=50%"}, []string{"x"}, true},
		{[]string{"my_session=x; q=a%20my_session=1; r=a%3Bmy_session=2; s=a+my_session=3"}, []string{"x"}, true},
		{[]string{"my_session=x%3D%3D; %zzmy_session=1; my_session%2E=2; my_session%3D=3; %25"}, []string{"x%3D%3D"}, true},
		{[]string{"my_session=x; %78my_session=1; my_session%78=1; %2525256Dy_session=4"}, []string{"x"}, true},
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
	f.Add("s=1;%73=2;%2573%00=3;%%37%33=4;+s%=5")
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

// A server that splits the pairs and then decodes their names, as Perl's CGI
// does, finds no cookie that goes unnoticed.
func FuzzNoEncodedCookieOfTheNameIsMissed(f *testing.F) {
	f.Add("a_b=1; %61_b=2")
	f.Add("a_b=1; a%5fb%20=2")
	f.Add("%2561%255F%62=1;+a+b=2")
	f.Fuzz(func(t *testing.T, line string) {
		found, sure := gate.Cookies(http.Header{"Cookie": {line}}, "a_b")
		read := 0
		for pair := range strings.SplitSeq(line, ";") {
			name, _, assigned := strings.Cut(pair, "=")
			for range 3 {
				if decoded, err := url.QueryUnescape(name); err == nil {
					name = decoded
				}
			}
			if assigned && strings.TrimSpace(name) == "a_b" {
				read++
			}
		}
		if sure && read > len(found) {
			t.Errorf("%q: %d are read, and %q found", line, read, found)
		}
	})
}
