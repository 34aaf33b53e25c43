package gate_test

import (
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/http/httpguts"

	"github.com/caddymfa/caddy-mfa/mfa/gate"
)

// canonical is how the loosest of gateways passes the name of a header on:
// each byte that is no letter or digit becomes a dash.
func canonical(name string) string {
	dashed := []byte(strings.ToLower(name))
	for i, c := range dashed {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			dashed[i] = '-'
		}
	}
	return string(dashed)
}

func FuzzNoIdentityHeaderGetsThrough(f *testing.F) {
	f.Add("X-Mfa-User", "alice", "close, x_mfa_user , keep-alive")
	f.Add("x.mfa.user", "a", "X-MFA-ACR")
	f.Add("X\u2010MFA-x", "a", ",,")
	f.Add("X-Request-Id", "1", "X-Request-Id, \tX mfa User")
	f.Add("Connection", "x-mfa-user", "")
	f.Add("trailer", "X-Mfa-User, a", "upgrade")
	f.Fuzz(func(t *testing.T, name, value, connection string) {
		if !httpguts.ValidHeaderFieldName(name) {
			return // which net/http lets nobody send
		}
		h := http.Header{"Connection": {connection, value}, "X-Other": {"kept"}}
		h[name] = append(h[name], value)
		r := &http.Request{Header: h, Trailer: http.Header{name: nil, "X-Sum": nil}}
		gate.StripIdentity(r)
		for _, headers := range []http.Header{r.Header, r.Trailer} {
			for left, values := range headers {
				if strings.HasPrefix(canonical(left), "x-mfa-") {
					t.Fatalf("%q is left", left)
				}
				if !strings.EqualFold(left, "Connection") && !strings.EqualFold(left, "Trailer") {
					continue
				}
				for listed := range strings.SplitSeq(strings.Join(values, ","), ",") {
					if strings.HasPrefix(canonical(strings.TrimSpace(listed)), "x-mfa-") {
						t.Fatalf("%q lists %q", left, listed)
					}
				}
			}
		}
		if name != "X-Other" && (len(r.Header["X-Other"]) != 1 || r.Header["X-Other"][0] != "kept") {
			t.Fatalf("another header is %q", r.Header["X-Other"])
		}
		once := len(r.Header)
		gate.StripIdentity(r)
		gate.StripPaths(r)
		for left := range r.Header {
			switch canonical(left) {
			case "x-original-url", "x-rewrite-url", "script-name", "x-script-name":
				t.Fatalf("%q is left", left)
			}
		}
		if len(r.Header) > once {
			t.Fatal("stripping adds headers")
		}
	})
}
