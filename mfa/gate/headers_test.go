package gate_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/gate"
)

func TestWhatOnlyTheEdgeMaySayIsStripped(t *testing.T) {
	for _, name := range []string{
		"X-Mfa-User", "X-MFA-User", "x-mfa-user", "X_MFA_User", "x_mfa_user", "X-MFA_ACR", "x_mfa-methods", "X.MFA.User", "X.MFA-User",
		"X Mfa User", "X~Mfa!User", "X-Mfa-", "X-Mfa-Auth-Time", "X-Mfa-Anything", "X\x00Mfa\x00User", "X\xffMfa\xffUser",
	} {
		r := &http.Request{Header: http.Header{name: {"root"}, "Accept": {"*/*"}}}
		gate.StripIdentity(r)
		if want := (http.Header{"Accept": {"*/*"}}); !reflect.DeepEqual(r.Header, want) {
			t.Errorf("%q: left %v", name, r.Header)
		}
	}
}

func TestOtherHeadersStay(t *testing.T) {
	h := http.Header{
		"X-Mfax-User": {"a"}, "X-Mf": {"b"}, "Xmfauser": {"c"}, "X-Forwarded-For": {"d"}, "Connection": {"Upgrade,  keep-alive ", ""},
		"X-Mfa": {"e"}, "X0mfa-User": {"f"}, "Y-Mfa-User": {"g"}, "X-Amfa-User": {"h"}, "Trailer": {"Sum"}, "": {"i"}, "x": {"j"},
	}
	r := &http.Request{Header: h.Clone()}
	gate.StripIdentity(r)
	if !reflect.DeepEqual(r.Header, h) {
		t.Errorf("left %v of %v", r.Header, h)
	}
}

func TestNoHeaderTellsABackendOfAnotherPath(t *testing.T) {
	r := &http.Request{Header: http.Header{"X-Original-Url-2": {"x"}, "Accept": {"*/*"}, "X-Original-Uri": {"/x"}}}
	want := r.Header.Clone()
	for _, name := range []string{"X-Original-Url", "X_Original_Url", "x!rewrite.url", "X-Rewrite-Url", "SCRIPT_NAME", "Script-Name", "Script_name", "X-Script-Name", "X_SCRIPT_NAME"} {
		r.Header[name] = []string{"/admin"}
	}
	if gate.StripPaths(r); !reflect.DeepEqual(r.Header, want) {
		t.Errorf("left: %v", r.Header)
	}
}

func TestARequestWithoutHeadersIsStripped(t *testing.T) {
	gate.StripIdentity(&http.Request{})
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

// What is named in Connection the proxy drops, the access token that the edge
// has judged, too.
func TestConnectionNamesNoHeader(t *testing.T) {
	for _, test := range []struct {
		values, want []string
	}{
		{[]string{"Authorization"}, nil},
		{[]string{"keep-alive, Authorization"}, []string{"keep-alive"}},
		{[]string{"Upgrade", "cookie"}, []string{"Upgrade"}},
		{[]string{"close,Cookie,,Host"}, []string{"close"}},
		{[]string{"Keep-Alive, UPGRADE, Close"}, []string{"Keep-Alive, UPGRADE, Close"}},
		{[]string{"Upgrade, HTTP2-Settings"}, []string{"Upgrade"}},
		{[]string{"TE", "X-Forwarded-For, Origin,Early-Data"}, nil},
		{[]string{"close x, clos, keep alive"}, nil},
		{[]string{"", " , "}, []string{"", " , "}},
	} {
		h := http.Header{"Connection": slices.Clone(test.values), "Authorization": {"Bearer x"}, "Cookie": {"a=1"}}
		gate.StripIdentity(&http.Request{Header: h})
		if !reflect.DeepEqual(h["Connection"], test.want) || len(h["Authorization"]) != 1 || len(h["Cookie"]) != 1 {
			t.Errorf("%q: left %q", test.values, h)
		}
	}
}

func TestConnectionKeepsItsOtherNames(t *testing.T) {
	for _, test := range []struct {
		values, want []string
	}{
		{[]string{"keep-alive"}, []string{"keep-alive"}},
		{[]string{"X-MFA-User"}, nil},
		{[]string{" X-MFA-User ,"}, nil},
		{[]string{"X-MFA-User, Upgrade"}, []string{"Upgrade"}},
		{[]string{"close,\tx_mfa_user ,Upgrade"}, []string{"close,Upgrade"}},
		{[]string{"keep-alive, Upgrade", "X.MFA.ACR"}, []string{"keep-alive, Upgrade"}},
		{[]string{"X-MFA-User,X-MFA-ACR,close"}, []string{"close"}},
	} {
		for _, key := range []string{"Connection", "connection", "Trailer"} {
			h := http.Header{key: slices.Clone(test.values)}
			before := slices.Clone(test.values)
			held := h[key]
			gate.StripIdentity(&http.Request{Header: h})
			if !reflect.DeepEqual(h[key], test.want) {
				t.Errorf("%s %q: left %q", key, test.values, h[key])
			}
			if _, there := h[key]; there != (test.want != nil) {
				t.Errorf("%s %q: there is an empty header", key, test.values)
			}
			if !slices.Equal(held, before) {
				t.Errorf("%s %q: the values that others may hold became %q", key, test.values, held)
			}
		}
	}
}

// exchange sends raw HTTP/1.1 to a server with handler and returns the
// status.
func exchange(t *testing.T, handler http.HandlerFunc, raw string) int {
	t.Helper()
	server := httptest.NewServer(handler)
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, raw); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	return answer.StatusCode
}

func TestTrailersOfTheEdgeAreStrippedHoweverTheyCome(t *testing.T) {
	const body = "4\r\nbody\r\n0\r\nX-MFA-User: root\r\nx_mfa_acr: phr\r\nauthorization: Bearer x\r\nCOOKIE: a=b\r\nX-Original-URL: /admin\r\nscript_name: /admin\r\ndestination: /admin\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\nSum: 1\r\n\r\n"
	for _, announced := range []string{"", "Trailer: Sum\r\n", "Trailer: X-MFA-User\r\n", "Trailer: Sum, x_mfa_acr, X-MFA-User, Authorization, cookie\r\n"} {
		for _, copied := range []bool{false, true} {
			t.Run(fmt.Sprintf("%q copied %v", announced, copied), func(t *testing.T) {
				var trailer http.Header
				var got string
				status := exchange(t, func(w http.ResponseWriter, r *http.Request) {
					if copied {
						r = r.WithContext(r.Context()) // as a handler before does
					}
					gate.StripIdentity(r)
					gate.StripIdentity(r) // mfa does, then mfa_require
					b, err := io.ReadAll(r.Body)
					if err != nil {
						t.Error(err)
					}
					got, trailer = string(b), r.Trailer
				}, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"+announced+"\r\n"+body)
				if status != 200 || got != "body" {
					t.Fatalf("%d, body %q", status, got)
				}
				for name := range trailer {
					if name != "Sum" {
						t.Errorf("trailers %v", trailer)
					}
				}
				if strings.Contains(announced, "Sum") && trailer.Get("Sum") != "1" {
					t.Errorf("the other trailer is lost: %v", trailer)
				}
			})
		}
	}
}

func TestABodyThatNoTrailerFollowsIsLeftAlone(t *testing.T) {
	body := io.NopCloser(strings.NewReader("x"))
	for _, r := range []*http.Request{
		{Method: "POST", ContentLength: 1, Body: body},
		{Method: "CONNECT", ContentLength: -1, Body: body},
		{Method: "GET", Body: http.NoBody},
		{Method: "GET"},
	} {
		before := r.Body
		gate.StripIdentity(r)
		if r.Body != before {
			t.Errorf("%s of %d bytes has another body", r.Method, r.ContentLength)
		}
	}
}

// browserRequest is what a browser sends, with a Connection header as over
// HTTP/1.1.
func browserRequest() *http.Request {
	return &http.Request{Method: "GET", Body: http.NoBody, Header: http.Header{
		"Accept": {"text/html,application/xhtml+xml"}, "Accept-Encoding": {"gzip, deflate, br, zstd"}, "Accept-Language": {"en"},
		"Authorization": {"Bearer x.y.z"}, "Cache-Control": {"max-age=0"}, "Connection": {"keep-alive"},
		"Cookie":  {"session=0123456789abcdef; theme=dark; consent=1"},
		"Referer": {"https://example.com/"}, "Sec-Fetch-Dest": {"document"}, "Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Site": {"same-origin"},
		"Upgrade-Insecure-Requests": {"1"}, "User-Agent": {"Mozilla/5.0"}, "X-Forwarded-For": {"192.0.2.1"}, "X-Requested-With": {"XMLHttpRequest"},
	}}
}

func TestABrowsersRequestCostsNoAllocation(t *testing.T) {
	r := browserRequest()
	if n := testing.AllocsPerRun(100, func() { gate.StripIdentity(r) }); n != 0 {
		t.Errorf("stripping: %v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() { gate.RemoveCookie(r.Header, "__Host-mfa") }); n != 0 {
		t.Errorf("looking for the cookie: %v allocations", n)
	}
}

func BenchmarkStripIdentity(b *testing.B) {
	r := browserRequest()
	b.ReportAllocs()
	for b.Loop() {
		gate.StripIdentity(r)
	}
}

func BenchmarkRemoveAbsentCookie(b *testing.B) {
	r := browserRequest()
	b.ReportAllocs()
	for b.Loop() {
		gate.RemoveCookie(r.Header, "__Host-mfa")
	}
}
