package gate_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/gate"
)

func withQuery(t testing.TB, patterns, names []string) *gate.Paths {
	t.Helper()
	paths, err := gate.NewPaths(patterns)
	if err == nil {
		paths, err = paths.ReadQuery(names)
	}
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func TestARouteInANamedParameterIsGuarded(t *testing.T) {
	for name, targets := range map[string]map[string]bool{
		"q": {
			"/?q=admin/x": true, "/index.php?q=/admin/x": true, "/?q=admin": true, "/?q=ADMIN/": true, "/?Q=admin": true, "/?%71=admin": true,
			"/?%2571=admin": true, "/?q[]=admin": true, "/?q%5B%5D=x&q%5b1%5d=admin": true, "/?q[a][b]=admin": true, "/?q=x&q=admin": true,
			"/?q=admin&q=x": true, "/?x;q=admin": true, "/?x=1;q=admin;y": true, "/?+q=admin": true, "/?%20q=admin": true, "/?q%00x=admin": true,
			"/??q=admin": true, "/?q=%61dmin%2Fx": true, "/?q=%2561dmin": true, "/?q=x/../admin": true, "/?q=admin%2Fx%3Fy": true, "/?q=admin.json": true,
			"/?q=+admin": true, "/?q=admin+": true, "/?q=admin;x/y": true, "/?q=//admin": true, "/?q=index.php/admin": true, "/?q=%5Cadmin": true,
			"/?a=b&amp;q=admin": true, "/x%3Fq=admin": true, "/x%253Fq%3Dadmin": true, "/?q=" + strings.Repeat("y", 9<<10): true, "/?%zzq=admin": true,
			"/?q%E2%80%8B=admin": true, "/admin": true,
			"/?q=public": false, "/?q=": false, "/?q": false, "/?q=api/admin": false, "/?q=/api/admin": false, "/?q=%2Fapi/admin": false, "/?qq=admin": false,
			"/?r=admin": false, "/login?return_to=/admin/x": false, "/?/admin/x": false, "/?x[q]=admin": false, "/?x=q=admin": false, "/": false,
			"/?100%=admin": false,
		},
		"rest_route": {
			"/?rest_route=/admin/x": true, "/?rest.route=/admin/x": true, "/?rest+route=/admin": true, "/?REST%5Froute=admin": true,
			"/?rest%20route[]=admin": true, "/?restroute=/admin": false, "/?rest_rout=/admin": false,
		},
		"": {
			"/?/admin/x": true, "/?admin/x": true, "/index.php?/admin/x&y=z": true, "/?y=z&/admin": true, "/?=/admin/x": true, "/?/admin/x=": true,
			"/?%2Fadmin%2Fx=1": true, "/?admin": true, "/?/admin;x": true, "/?/ad=x/../../admin": true, "/?/admin/x?page=2": true, "/?%252Fadmin=": true,
			"/?admin=1": false, "/?x=/admin": false, "/?public": false, "/?x&y": false, "/?": false,
		},
	} {
		paths := withQuery(t, []string{"/admin/*"}, []string{name})
		for target, guarded := range targets {
			u, err := url.ParseRequestURI(target)
			if err != nil {
				t.Fatal(err)
			}
			if got := paths.Match(u); got != guarded {
				t.Errorf("query %q and %.60s: guarded is %v", name, target, got)
			}
		}
	}
}

func TestNoParameterIsReadUnlessItIsNamed(t *testing.T) {
	for _, target := range []string{"/?q=admin/x", "/?rest_route=/admin", "/?/admin/x", "/login?return_to=/admin/x", "/index.php?r=admin/x"} {
		if match(t, []string{"/admin/*"}, target) {
			t.Errorf("%s is guarded", target)
		}
	}
}

func TestEveryOneOfSeveralNamesIsRead(t *testing.T) {
	paths := withQuery(t, []string{"/admin/*", "/wp/v2/users*"}, []string{"q", "", "rest_route"})
	for target, guarded := range map[string]bool{
		"/?q=admin": true, "/?/admin": true, "/?rest_route=/wp/v2/users": true, "/?rest_route=/wp/v2/posts": false, "/?r=admin": false,
	} {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			t.Fatal(err)
		}
		if got := paths.Match(u); got != guarded {
			t.Errorf("%s: guarded is %v", target, got)
		}
	}
}

func TestANameThatCannotBeAParametersIsAnError(t *testing.T) {
	paths, err := gate.NewPaths([]string{"/admin/*"})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"q[]", "%71", "a=b", "?q", "a&b", "a;b", " ", "a\x00", "\xff", "q#", "a+b"} {
		if _, err := paths.ReadQuery([]string{"ok", name}); err == nil || !strings.Contains(err.Error(), "name ") {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := paths.ReadQuery(nil); err == nil {
		t.Error("no name is taken")
	}
}

func TestTooManyValuesToReadAreGuarded(t *testing.T) {
	paths := withQuery(t, []string{"/admin/*"}, []string{"q"})
	for count, guarded := range map[int]bool{100: false, 2000: true} {
		if got := paths.Match(&url.URL{Path: "/", RawQuery: strings.Repeat("q=x&", count)}); got != guarded {
			t.Errorf("%d values: guarded is %v", count, got)
		}
	}
}

func TestARequestIsGuardedByWhatWasSentAndByWhatItHasBecome(t *testing.T) {
	paths := withQuery(t, []string{"/admin/*"}, []string{"q"})
	for _, row := range []struct {
		sent, now, destination string
		guarded                bool
	}{
		{"/admin/x", "/x", "", true}, {"/x", "/admin/x", "", true}, {"/admin.json", "/index.php", "", true}, {"/x", "/index.php/admin", "", true},
		{"/x?q=admin", "/x", "", true}, {"/x", "/x?q=admin", "", true}, {"/x", "/y", "/admin", true}, {"*", "/y", "", true},
		{"/x", "/y", "", false}, {"/x", "/x", "", false}, {"/x?q=a", "/y?q=b", "/z", false},
	} {
		sent, err := url.ParseRequestURI(row.sent)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodGet, row.now, nil)
		if row.destination != "" {
			r.Header.Set("Destination", row.destination)
		}
		if got := paths.MatchRequest(sent, r); got != row.guarded {
			t.Errorf("%+v: guarded is %v", row, got)
		}
	}
}

// spelledNames are ways in which a backend may be sent the parameter my_route.
var spelledNames = []string{
	"my_route", "MY_ROUTE", "my.route", "my+route", "my%20route", "my%2Eroute", "%6dy_route", "my_route[]", "my_route%5B%5D", "my_route[a][b]",
	"my%5froute%00x", "+my_route", "?my_route", "%256dy_route", "my%25%35froute", "my_route%E2%80%8B", "%EF%BD%8Dy_route", "x&my_route", "x;my_route",
	"a=b;my_route", "my_route=public&my_route", "a=1&amp;my_route",
}

func FuzzARouteInAParameterIsReadAsAPath(f *testing.F) {
	for i := range spelledNames {
		f.Add([]byte{1, 0, byte(i)}, byte(i), byte(i))
		f.Add([]byte{3, 0, 2, 0, 1}, byte(i), byte(0))
	}
	f.Fuzz(func(t *testing.T, choice []byte, spelling, which byte) {
		target := pathOf(choice)
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return
		}
		paths := withQuery(t, []string{fuzzPatterns[int(which)%len(fuzzPatterns)]}, []string{"my_route"})
		if !paths.Match(u) || match(t, []string{"/nothing/of/the/kind"}, target) {
			return // the second is guarded only where there is too much to read
		}
		name, value := spelledNames[int(spelling)%len(spelledNames)], target
		queries := []string{name + "=" + value, name + "=" + url.QueryEscape(value), name + "=" + value + "&my_route="}
		if relative := value[1:]; relative != "" && relative[0] != '/' && relative[0] != '%' { // else it has a slash of its own
			queries = append(queries, name+"="+relative)
		}
		if strings.Contains(name, ";") && strings.Contains(value, ";") { // it ends the value, too
			queries = queries[1:2]
		}
		for _, query := range queries {
			if !paths.Match(&url.URL{Path: "/public", RawQuery: query}) {
				t.Errorf("%s is not guarded by %s", query, fuzzPatterns[int(which)%len(fuzzPatterns)])
			}
		}
	})
}
