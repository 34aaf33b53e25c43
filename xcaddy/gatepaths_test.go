package main_test

import (
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

// adminSpellings are targets that some backend takes for one under /admin.
var adminSpellings = []string{
	"/admin", "/admin/", "/admin/x", "/ADMIN/x", "/admin/x/..", "/admin/%2e%2e/admin", "/admin;a/x", "/admin;a=b",
	"//admin", "/./admin", "/%61dmin", "/%2561dmin", "/x/..;/admin", "/admin%00", "/admin%0a", "/admin%20", "/admin.",
	"/admin/.", "/foo/%2e%2e%2fadmin", "/foo/..%2fadmin", "/foo/%252e%252e%252fadmin", "/admin%5cx", "/%5cadmin",
	"/foo/..%5cadmin", "/admin%2fx", "/admin%2Fx", "/admin%3Fx", "/admin%23x", "/%EF%BD%81dmin", "/admin//x", "/x/../admin",
	"/public/..%2fadmin", "/public/%2e%2e/admin", "/x;/../admin", "/x/..;a=b/admin/y", "/..%2fadmin", "/adm%69n",
	"/admin/x/../../admin/y", "/%2fadmin", "/admin/%2e%2e", "/admin?x", "/admin?/public", "/admin/x#y", "///admin//x", `/\admin`,
	`/x/..\admin`, "//x/admin", `/\x/admin`, "http://localhost/admin/x", "http://LOCALHOST/admin", "/./%2e/admin/../admin", "/admin/x;/..;/y",
	"/index.php/admin/x", "/blog/index.php/admin", "/app.fcgi/admin", "/INDEX.PHP/ADMIN", "/index%2ephp/admin", "/index.phpadmin/x", "/x.jsp;y/admin",
	"/admin.json", "/ADMIN.xml", "/admin%2ejson", "/admin.php/x", "/(S(x))/admin/x", "/(A(x)F(y))/admin", "/ad(S(x))min/x", "/ad/(S(x))min/x",
	"/%28S%28x%29%29/admin", "/ADMINI~1/x", "/ADMIN~2", "/AD12AB~1", "/admini%7e1",
}

var publicTargets = []string{
	"/", "/public", "/administrator", "/administrator/x", "/adm", "/api/admin", "/admins/x", "/x.admin", "/public/a%20b", "/caf%C3%A9",
	"/static/app.js", "/a;b=c/d", "/A/B", "/public?to=/admin", "/admin-x",
	"/static/admin.css", "/index.php", "/index.php/public", "/v1.2/admin", "/(S(x))/public", "/wiki/f(g(x))", "/PUBLIC~1/x", "/~admin", "/login?return_to=/admin/x",
	"/?q=admin/x", "/?/admin/x",
}

func TestNoSpellingOfAGuardedPathReachesTheUpstreamWithoutAFactor(t *testing.T) {
	e := edgetest.New(t)
	e.Start(gated(adminGate))
	alice := enrolled(t, e, "alice", nil)
	reached := func(target string, headers ...string) (edgetest.Answer, bool) {
		before := len(e.Upstream.Requests())
		answer := e.Raw(target, headers...)
		return answer, len(e.Upstream.Requests()) > before
	}
	for _, target := range adminSpellings {
		for _, method := range []string{"GET", "POST", "HEAD", "OPTIONS", "PROPFIND"} {
			answer, through := reached(method+" "+target, "Authorization: Bearer "+alice.token)
			if through || answer.Status < 400 {
				t.Errorf("%s %s: %d, reached the upstream: %v", method, target, answer.Status, through)
			}
		}
		if answer, through := reached("GET " + target); through || answer.Status < 400 {
			t.Errorf("%s without a token: %d, reached the upstream: %v", target, answer.Status, through)
		}
		// With a factor it does, as it was written.
		answer, through := reached("GET "+target, "Authorization: Bearer "+alice.pair.access)
		if !through || answer.Status != 200 {
			t.Errorf("%s with a factor: %d, reached the upstream: %v", target, answer.Status, through)
		}
	}
	for _, target := range publicTargets {
		for _, headers := range [][]string{nil, {"Authorization: Bearer " + alice.token}, {"Authorization: Basic YTpi"}} {
			if answer, through := reached("GET "+target, headers...); !through || answer.Status != 200 {
				t.Errorf("%s: %d, reached the upstream: %v", target, answer.Status, through)
			}
		}
	}
}

func TestNothingIsCopiedOrMovedBehindTheGateWithoutAFactor(t *testing.T) {
	e := edgetest.New(t)
	e.Start(gated(adminGate))
	alice := enrolled(t, e, "alice", nil)
	for _, row := range []struct {
		token, destination string
		status, arrived    int
	}{
		{alice.token, e.URL + "/admin/x", 401, 0}, {alice.token, "/admin", 401, 0},
		{alice.token, e.URL + "/public/y", 200, 1}, {alice.pair.access, e.URL + "/admin/x", 200, 1},
	} {
		before := len(e.Upstream.Requests())
		r := e.Request("MOVE", "/public/x", row.token, nil)
		r.Header.Set("Destination", row.destination)
		answer := e.Send(r)
		if arrived := len(e.Upstream.Requests()) - before; answer.Status != row.status || arrived != row.arrived {
			t.Errorf("to %s: %d, and %d requests reached the upstream", row.destination, answer.Status, arrived)
		}
	}
}

func TestAGateWithoutPathsGuardsAllButTheAPI(t *testing.T) {
	e := edgetest.New(t)
	e.Start(gated("mfa_require"))
	alice := enrolled(t, e, "alice", nil)
	for _, target := range append(publicTargets, adminSpellings...) {
		e.Raw("GET "+target, "Authorization: Bearer "+alice.token)
	}
	if got := len(e.Upstream.Requests()); got != 0 {
		t.Errorf("the upstream got %d requests", got)
	}
	alice.pair.wantOpens(t, e, "alice", alice.token, "GOOGLE_AUTH", "mfa")
}
