package routecheck

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddymfa/caddy-mfa/mfa/gate"
)

func TestARewriteIsWarnedOfWhereItMayLeadToAGuardedPath(t *testing.T) {
	for _, row := range []struct {
		patterns, rewrite string
		may               bool
	}{
		{"/admin/*", `{"uri": "/index.html"}`, false},
		{"/admin/*", `{"uri": "/admin/x"}`, true},
		{"/admin/*", `{"uri": "/ADMIN;a/x"}`, true},
		{"/admin/*", `{"uri": "/admin{http.request.uri}"}`, true},
		{"/admin/*", `{"uri": "/new{http.request.uri}"}`, false},
		{"/admin/*", `{"uri": "{http.request.uri}?a=b"}`, false},
		{"/admin/*", `{"uri": "?a=b"}`, false},
		{"/admin/*", `{"uri": "{http.matchers.file.relative}"}`, false},
		{"/admin/*", `{"uri": "{http.reverse_proxy.header.X-Accel-Redirect}"}`, true},
		{"/admin/*", `{"uri": "/{http.request.header.X-To}"}`, true},
		{"/admin/*", `{"uri": "/{http.error.status_code}.html"}`, false},
		{"/admin/*", `{"strip_path_prefix": "/app"}`, true},
		{"/admin/* /app/admin/*", `{"strip_path_prefix": "/app"}`, false},
		{"/admin/* /app/*", `{"strip_path_prefix": "/app/"}`, false},
		{"/admin/* /app/admin/*", `{"strip_path_prefix": "/other"}`, true},
		{"*/admin/*", `{"strip_path_prefix": "/app"}`, false},
		{"/admin", `{"strip_path_suffix": ".html"}`, true},
		{"/admin", `{"uri_substring": [{"find": "a", "replace": "b"}]}`, true},
		{"/admin", `{"path_regexp": [{"find": "a", "replace": "b"}]}`, true},
		{"/admin", `{"method": "GET"}`, false},
		{"", `{"uri": "/admin"}`, false},
	} {
		g := &gateAt{patterns: strings.Fields(row.patterns)}
		if row.patterns != "" {
			paths, err := gate.NewPaths(g.patterns)
			if err != nil {
				t.Fatal(err)
			}
			g.paths = paths
		}
		var r rewriting
		if err := json.Unmarshal([]byte(row.rewrite), &r); err != nil {
			t.Fatal(err)
		}
		if got := r.mayReach(g); got != row.may {
			t.Errorf("%s after a gate for %q: %v, want %v", row.rewrite, row.patterns, got, row.may)
		}
	}
}

// check reports on a server of that JSON.
func check(t *testing.T, server string) *Report {
	t.Helper()
	s := new(caddyhttp.Server)
	if err := json.Unmarshal([]byte(server), s); err != nil {
		t.Fatal(err)
	}
	return Check(map[string]*caddyhttp.Server{"srv0": s})
}

// What is not well-formed Caddy refuses: here it only must not end the walk.
func TestRoutesThatAreOddlyMadeEndNoWalk(t *testing.T) {
	const gated = `{"handle": [{"handler": "mfa"}, {"handler": "mfa_require"}, {"handler": "reverse_proxy"}]}`
	for _, server := range []string{
		`{}`,
		`{"routes": [{}]}`,
		`{"routes": [{"handle": [{}]}]}`,
		`{"routes": [{"handle": [{"handler": "other", "routes": "none", "errors": 5}]}, ` + gated + `]}`,
		`{"routes": [{"handle": [{"handler": "invoke", "name": "a"}]}], "named_routes": {"a": {"handle": [{"handler": "invoke", "name": "a"}]}}}`,
		`{"routes": [{"handle": [{"handler": "invoke", "name": "missing"}]}, ` + gated + `]}`,
		`{"routes": [{"match": [{"not": 5, "path": 5, "host": {}}], "handle": [{"handler": "mfa_require", "paths": ["/a"]}]}, ` + gated + `]}`,
		`{"errors": {"routes": [{"handle": [{"handler": "mfa_require"}]}]}}`,
	} {
		if report := check(t, server); strings.Contains(server, `"match"`) != (len(report.Refusals) > 0 || len(report.Warnings) > 0) {
			t.Errorf("%s: %v %v", server, report.Refusals, report.Warnings)
		}
	}
}

func TestWhatIsRefusedSaysWhereAndWhatMendsIt(t *testing.T) {
	report := check(t, `{"listen": [":80"], "routes": [{"match": [{"host": ["example.com"]}], "terminal": true, "handle": [{"handler": "subroute", "routes": [
		{"handle": [{"handler": "mfa"}]},
		{"handle": [{"handler": "static_response"}]},
		{"handle": [{"handler": "mfa_require", "source": "Caddyfile:7"}]}
	]}]}]}`)
	const want = "mfa_require at Caddyfile:7 (site example.com) stands after static_response, which answers every request that comes to it, " +
		"so that the gate is never asked: put mfa_require before it; inside of route, the order is the one that is written"
	if len(report.Refusals) != 1 || report.Refusals[0] != want {
		t.Errorf("%q, want %q", report.Refusals, want)
	}
}

// Handlers of other plugins in error routes may hand a request on, and
// file_server serves the path that was asked for, if nothing replaces it.
func TestWhatHandsOnInErrorRoutesWhatWasRefused(t *testing.T) {
	for handlers, hands := range map[string]bool{
		`{"handler": "reverse_proxy"}`:   true,
		`{"handler": "somebody_elses"}`:  true,
		`{"handler": "static_response"}`: false,
		`{"handler": "file_server"}`:     true,
		`{"handler": "rewrite", "uri": "/{http.error.status_code}.html"}, {"handler": "file_server"}`: false,
		`{"handler": "rewrite", "uri": "{http.matchers.file.relative}"}, {"handler": "file_server"}`:  true,
	} {
		s := new(caddyhttp.Server)
		if err := json.Unmarshal([]byte(`{"errors": {"routes": [{"handle": [`+handlers+`]}]}}`), s); err != nil {
			t.Fatal(err)
		}
		if got := Check(map[string]*caddyhttp.Server{"srv0": s}).HandsOn(s); got != hands {
			t.Errorf("%s: %v, want %v", handlers, got, hands)
		}
	}
}
