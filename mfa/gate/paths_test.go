package gate_test

import (
	"net/url"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/gate"
)

func match(t testing.TB, patterns []string, target string) bool {
	t.Helper()
	paths, err := gate.NewPaths(patterns)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.ParseRequestURI(target)
	if err != nil {
		t.Fatalf("%q: %v", target, err)
	}
	return paths.Match(u)
}

func TestEverySpellingOfAGuardedPathIsGuarded(t *testing.T) {
	for _, target := range []string{
		"/admin", "/admin/", "/admin/x", "/ADMIN/x", "/admin/x/..", "/admin/%2e%2e/admin", "/admin;a/x", "/admin;a=b",
		"//admin", "/./admin", "/%61dmin", "/%2561dmin", "/x/..;/admin", "/admin%00", "/admin%0a", "/admin%20", "/admin.",
		"/admin/.", "/foo/%2e%2e%2fadmin", "/foo/..%2fadmin", "/foo/%252e%252e%252fadmin", "/admin%5cx", "/%5cadmin",
		"/foo/..%5cadmin", "/admin%2fx", "/admin%2Fx", "/admin%3Fx", "/admin%23x", "/%EF%BD%81dmin", "/admin//x", "/x/../admin",
		"/public/..%2fadmin", "/public/%2e%2e/admin", "/x;/../admin", "/x/..;a=b/admin/y", "/..%2fadmin", "/adm%69n",
		"/admin/x/../../admin/y", "/%2fadmin", "/admin/%2e%2e",
	} {
		if !match(t, []string{"/admin/*"}, target) {
			t.Errorf("%s is not guarded", target)
		}
	}
}

func TestOtherPathsAreNotGuarded(t *testing.T) {
	for _, target := range []string{
		"/", "/public", "/administrator", "/adm", "/api/admin", "/admins/x", "/x.admin", "/public/a%20b", "/caf%C3%A9",
		"/static/app.js", "/a;b=c/d", "/A/B", "/x/./y",
	} {
		if match(t, []string{"/admin/*"}, target) {
			t.Errorf("%s is guarded", target)
		}
	}
}

func TestPatternsMeanWhatTheyMeanInACaddyfile(t *testing.T) {
	for _, test := range []struct {
		pattern, target string
		want            bool
	}{
		{"/admin", "/admin", true},
		{"/admin", "/admin/", true},
		{"/admin", "/admin/x", false},
		{"/Admin/*", "/admin/x", true},
		{"/*", "/anything", true},
		{"*", "/anything", true},
		{"/a/*/c", "/a/b/c", true},
		{"/a/*/c", "/a/b/d", false},
		{"/a/*/c/*", "/a/b/c/d/e", true},
		{"/a/*/c/*", "/a/b/x/d/e", false},
		{"/report*", "/reports/2026", true},
		{"/report*", "/repo", false},
		{"/x/*.php", "/x/a.php", true},
	} {
		if got := match(t, []string{test.pattern}, test.target); got != test.want {
			t.Errorf("%s and %s: %v, want %v", test.pattern, test.target, got, test.want)
		}
	}
}

func TestAPatternThatCannotMatchIsAnError(t *testing.T) {
	for _, pattern := range []string{"admin", "", "/a[", "/%61dmin", "/a?b"} {
		if _, err := gate.NewPaths([]string{pattern}); err == nil {
			t.Errorf("%q is taken", pattern)
		}
	}
}

func TestATargetThatIsNoPathIsGuarded(t *testing.T) {
	paths, err := gate.NewPaths([]string{"/admin/*"})
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range []*url.URL{{Scheme: "http", Opaque: "admin"}, {Path: "admin"}, {Path: ""}} {
		if !paths.Match(u) {
			t.Errorf("%#v is not guarded", u)
		}
	}
}

func FuzzNoSpellingPanicsOrEscapes(f *testing.F) {
	for _, seed := range []string{"/", "/x", "%2e%2e/", ";a", "%", "%2", "\\"} {
		f.Add(seed)
	}
	paths, err := gate.NewPaths([]string{"/admin/*"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, tail string) {
		u, err := url.ParseRequestURI("/admin/" + tail)
		if err != nil {
			return
		}
		if !paths.Match(u) {
			t.Errorf("%q is not guarded", u.EscapedPath())
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	paths, err := gate.NewPaths([]string{"/admin/*"})
	if err != nil {
		b.Fatal(err)
	}
	for _, target := range []string{"/api/v1/orders/1234", "/admin/users/17", "/A/%61/b"} {
		b.Run(target, func(b *testing.B) {
			u, _ := url.ParseRequestURI(target)
			b.ReportAllocs()
			for b.Loop() {
				paths.Match(u)
			}
		})
	}
}
