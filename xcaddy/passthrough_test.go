package main_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

// routes are the paths that the product reserves.
var routes = []string{
	"/mfa", "/mfa/setup", "/mfa/verify-setup", "/mfa/verify-login", "/mfa/status", "/mfa/methods", "/mfa/enable", "/mfa/disable",
	"/mfa/primary", "/mfa/reset", "/mfa/organization/enforce", "/mfa/magic-link", "/mfa/magic-link/send", "/mfa/magic-link/activate",
	"/mfa/magic-link/inspect", "/mfa/magic-link/deny", "/mfa/passkey/auth-options", "/mfa/passkey/complete-registration",
	"/mfa/backup-codes", "/mfa/backup-codes/confirm", "/mfa/events", "/mfa/refresh", "/mfa/sign-out", "/mfa/credentials", "/mfa/credentials/abc", "/mfa/jwks.json", "/mfa/openapi.json",
}

func TestWhatIsNotReservedReachesTheUpstreamToTheByte(t *testing.T) {
	e := edgetest.New(t)
	e.Start(edgetest.Caddyfile)
	targets := []string{
		"/", "/?", "/?a=b&a=%20+;x", "/a//b/%2e%2e", "//x", "///", "/a/../b", "/./a", "/a;b=c", "/%41%2f", "/a%20b", "/%E2%82%AC", "/a%00b",
		"/mfa/other", "/mfa/setup/more", "/mfax/setup", "/xmfa/setup", "/mfa/../setup", "/x/mfa/setup", "/mfa-setup", "/mf%61x",
		"/mfa/credentials/a/b", "/mfa/setup.json", "/mfa/setup;x", "/mfa%2fsetup%2fx", "/MFA/Other", "/?to=/mfa/setup",
		"/mfa/assets", "/mfa/assets/other.js", "/" + strings.Repeat("x", 4000),
	}
	var want []string
	for _, target := range targets {
		for _, method := range []string{"GET", "POST", "DELETE", "PURGE"} {
			if answer := e.Raw(method + " " + target); answer.Status != 200 {
				t.Errorf("%s %.50s: %d %.100s", method, target, answer.Status, answer.Body)
			}
			want = append(want, method+" "+target)
		}
	}
	var got []string
	for _, r := range e.Upstream.Requests() {
		got = append(got, r.Method+" "+r.RequestURI)
	}
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Fatalf("request %d differs: got %.60q, want %.60q", i, at(got, i), at(want, i))
		}
	}
}

func at(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return "nothing"
}

func TestHeadersAndBodiesReachTheUpstreamAsWithoutTheProduct(t *testing.T) {
	e := edgetest.New(t)
	plainPort := edgetest.FreePort(t)
	e.Start(edgetest.Caddyfile + `
http://localhost:` + plainPort + ` {
	bind 127.0.0.1
	reverse_proxy {$UPSTREAM}
}
`)
	body := strings.Repeat("0123456789abcdef", 20_000) // more than the API takes
	send := func(port string, chunked bool) {
		reader, writer := io.Pipe()
		go func() {
			for part := range slices.Chunk([]byte(body), 4096) {
				if _, err := writer.Write(part); err != nil {
					return
				}
			}
			writer.Close()
		}()
		r, err := http.NewRequestWithContext(t.Context(), "PUT", "http://localhost:"+port+"/upload", reader)
		if err != nil {
			t.Fatal(err)
		}
		if !chunked {
			r.ContentLength = int64(len(body))
		}
		r.Header = http.Header{
			"Authorization": {"Basic YTpi"}, "Cookie": {"a=b; mfa=c; a=d"}, "X-Twice": {"1", "2"}, "X-Mfax-Something": {"kept"},
			"Content-Type": {"application/x-unknown"}, "Origin": {"null"}, "User-Agent": {"a test"}, "Accept-Encoding": {"identity"},
		}
		r.Host = "localhost:" + port
		if answer := e.Send(r); answer.Status != 200 {
			t.Fatalf("the upload answers %d %s", answer.Status, answer.Body)
		}
	}
	for _, chunked := range []bool{false, true} {
		send(e.Port, chunked)
		send(plainPort, chunked)
	}
	got := e.Upstream.Requests()
	if len(got) != 4 {
		t.Fatalf("the upstream got %d requests, want 4", len(got))
	}
	for i := 0; i < len(got); i += 2 {
		with, without := got[i], got[i+1]
		with.Header.Set("X-Forwarded-Host", strings.Replace(with.Header.Get("X-Forwarded-Host"), e.Port, plainPort, 1))
		if a, b := fmt.Sprint(with.Header, with.TransferEncoding, with.ContentLength), fmt.Sprint(without.Header, without.TransferEncoding, without.ContentLength); a != b {
			t.Errorf("with the product the upstream gets\n%s, without it\n%s", a, b)
		}
		content, _ := io.ReadAll(with.Body)
		if string(content) != body {
			t.Errorf("a body of %d bytes arrived as %d bytes (SHA-256 %x)", len(body), len(content), sha256.Sum256(content))
		}
	}
}

func TestAnUpgradedConnectionPassesBothWays(t *testing.T) {
	e := edgetest.New(t)
	e.Upstream.Serve(http.HandlerFunc(echo))
	e.Start(edgetest.Caddyfile)
	status, say := upgrade(t, e, "/socket")
	if status != http.StatusSwitchingProtocols {
		t.Fatalf("the upgrade answers %d", status)
	}
	for _, line := range []string{"hello\n", "POST /mfa/setup HTTP/1.1\n", "bye\n"} {
		if got := say(line); got != line {
			t.Fatalf("sent %q, got %q back", line, got)
		}
	}
}

// spellings returns ways to write a path that something on its way may
// take for the same.
func spellings(path string) []string {
	last := strings.LastIndexByte(path, '/')
	head, tail := path[:last], path[last+1:]
	escaped := fmt.Sprintf("%s/%%%02x%s", head, tail[0], tail[1:])
	return []string{
		path, strings.ToUpper(path), path + "/", path + "//", path + "///", path + "/.", path + "/./", path + "/x/..", path + "/%2e",
		"/" + path, "//" + path, "/." + path, "/x/.." + path, "/%2e%2e" + path, "/%2E" + path, head + "//" + tail, head + "/./" + tail,
		head + "/x/../" + tail, head + "/%2e/" + tail, head + "/x/%2e%2e/" + tail, head + "%2f" + tail, head + "%2F" + tail, escaped,
		strings.ToUpper(escaped), path + "%2f", path + "%2F%2e", path + "?", path + "?x=/other", path + ";", path + ";x=y", path + "%3b", path + "%3f",
		path + "%00", path + "%20", path + ".", path + "%5c", path + "\\", "/\\.." + path, path + "#x", path + "%23",
		strings.ReplaceAll(path, "s", "%C5%BF"), strings.ReplaceAll(path, "k", "%E2%84%AA"), strings.ReplaceAll(path, "a", "%41"),
		"http://localhost" + path, "http://LOCALHOST" + strings.ToUpper(path),
	}
}

// TestNoSpellingOfARouteThatCaddyWouldMatchReachesTheUpstream asks Caddy's
// own path matcher, on a site beside, what it takes for a route.
func TestNoSpellingOfARouteThatCaddyWouldMatchReachesTheUpstream(t *testing.T) {
	e := edgetest.New(t)
	oracle := edgetest.New(t)
	oracle.NoAPI = true
	var patterns []string
	for _, route := range routes {
		patterns = append(patterns, route, route+"/")
	}
	e.Start(edgetest.Caddyfile)
	oracle.Start("{\n admin {$ADMIN}\n}\n:{$PORT} {\n bind 127.0.0.1\n @route path " + strings.Join(patterns, " ") +
		"\n respond @route matched\n respond other\n}\n")
	matched, passed := 0, 0
	for _, route := range routes {
		for _, spelling := range spellings(route) {
			for _, method := range []string{"POST", "GET"} {
				line := method + " " + spelling
				isRoute := oracle.Raw(line).Body == "matched"
				before := len(e.Upstream.Requests())
				e.Raw(line)
				reached := len(e.Upstream.Requests()) > before
				if isRoute && reached {
					t.Errorf("%s reaches the upstream", line)
				}
				if isRoute {
					matched++
				}
				if reached {
					passed++
				}
			}
		}
	}
	// The test would show nothing if either of them never happened.
	if matched < 200 || passed < 100 {
		t.Errorf("%d requests were for routes and %d passed: the spellings do not tell them apart", matched, passed)
	}
	t.Logf("%d requests were for routes, %d passed to the upstream", matched, passed)
}
