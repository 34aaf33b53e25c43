package gate_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
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
		// Raw backslashes and question marks, and a query.
		`/\admin`, `/\\admin`, `/x\..\admin`, "/admin?", "/admin?x=/public", "/admin%3f/x",
		// Another host's, to who reads the target as a URL reference.
		"//x/admin", "///x//admin/y", `/\x/admin`, "//a@x:80/admin", "//x/./admin", "/%2fx/admin", "/.//x/admin", "/%20/x/admin", "/;//x/admin", "//x/admin?y",
		// Dots that are followed between two decodings.
		"/foo%2fbar/../x%2f../admin", "/%252e%252e/x%2f..%2fadmin", "/a%252fb/../admin",
		// Climbing with something beside the dots.
		"/x/..%20/admin", "/x/..%00/admin", "/x/.%00./admin", "/x/..;/..;a/admin", "/x/%2e%2e%3b/admin", "/;x/admin", "/%20/admin",
		"/x;a/../admin%00z", "/x/..%09/admin",
		// Characters left out, cut at, or invisible.
		"/adm%00in", "/adm%0ain/x", "/admin%00.css", "/adm%C2%ADin", "/adm%E2%80%8Bin", "/adm%FFin", "/%20admin", "/admin%20/x",
		"/admin%C2%A0", "/admin::$DATA", "/admin:$i30:$INDEX_ALLOCATION/x", "/admin...", "/admin.%20.",
		// Overlong UTF-8 in two, three and four bytes.
		"/%c1%a1dmin", "/%c0%ae%c0%ae/admin", "/public/%c0%ae%c0%ae/admin", "/x%c0%af..%c0%afadmin", "/%e0%81%a1dmin", "/%f0%80%81%a1dmin",
		"/%c0%af/admin", "/%c0%a561dmin",
		// Other scripts and letters for the same.
		"/adm%C4%B1n", "/ADM%C4%B0N", "/%F0%9D%90%9Admin", "/%E2%93%90dmin", "/x%EF%BC%8F..%EF%BC%8Fadmin", "/x/%EF%BC%8E%EF%BC%8E/admin",
		"/%EF%BC%8561dmin", "/x/%E2%80%A5/admin", "/x%E2%88%95..%E2%88%95admin",
		// Escapes of other kinds, too deep, or broken.
		"/%25u0061dmin", "/x/%25u002e%25u002e/admin", "/%2525252561dmin", "/%252525252525252561dmin", "/adm%25zzin", "/%25zzadmin",
		"/admin%25", "/admin%25/x", "/%25",
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
		"/ADMINISTRATOR", "/admin-x", "/.admin", "/badmin", "/public/../x", "/public//x/", "/.well-known/openid-configuration",
		"/assets/index-BfX3_aQ.js", "/v1/users:batch", "/search/100%25", "/%E4%B8%AD%E6%96%87/%E9%A1%B5", "/%C3%A9t%C3%A9", "/a%2Fb", "/x%5Cy",
		"/redirect/https%3A%2F%2Fa.example%2Fx", "/redirect/https%253A%252F%252Fa.example", "/~user/a+b", "/a,b/@c", "/public?to=/admin",
		"/%E9t%E9", "/administrator%20", "/x%00y", "/api/admin%20x", "/api/admin;a",
		"/x//admin", "//x/api/admin", "//x//api/admin",
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
		{"/x/*.php", "/x/a.php/info", true},
		{"/x/*.php", "/x/a.phps", false},
		{"/x/*.php", "/y/a.php", false},
		{"*.php", "/a.php", true},
		{"*.php", "/A/B.PHP", true},
		{"*.php", "/a/b.php/c", true},
		{"*.php", "/a/b%2ephp", true},
		{"*.php", "/a/b.php%00.jpg", true},
		{"*.php", "/a/b.php;x", true},
		{"*.php", "/a/b;x.php", true},
		{"*.php", "/a/b.php.", true},
		{"*.php", "/a/b.phps", false},
		{"*.php", "/php", false},
		{"*/login", "/a/login", true},
		{"*/login", "/login", true},
		{"*/login", "/a/blogin", false},
		{"*secret*", "/a/TopSecrets/b", true},
		{"*secret*", "/a/secre/t", false},
		{"*a/b*", "/xa/bx", true},
		{"*a/b*", "/a/x/b", false},
		{"*/admin/*", "/api/v1/admin/x", true},
		{"*/admin/*", "/api/v1/admins/x", false},
		{"/a/*/c", "/a/b/c/d", false},
		{"/a/*/c", "/a/b/C/", true},
		{"/a/*/c", "/a/x%2fy/c", true},
		{"/a/*/c", "/a/x%5Cy/c", true},
		{"/a/*/c", "/a/x/y/../c", true},
		{"/a/*/c", "/a/%c0%af%5cc", true},
		{"/a/**", "/a/", true},
		{"/a*b*c/d", "/axbbcc/d", true},
		{"/a*b*c/d", "/axbbcd/d", false},
		{"/", "/", true},
		{"/", "/x", false},
		{"/admin/", "/admin", true},
		{"/caf\u00e9/*", "/caf%C3%A9/x", true},
		{"/caf\u00e9/*", "/cafe%CC%81/x", true},
		{"/caf\u00e9/*", "/CAF%C3%89", true},
		{"/kasse/*", "/%E2%84%AAa%C5%BF%C5%BFe", true},
		{"/admin", "/admin.", true},
		{"/admin", "/admin;x/y", true},
		{"/admin", "/admin%00/x", true},
		{"/admin", "/admin/%00/x", true},
		{"/admin", "/admin/;a/x", true},
		{"/", "/%00/x", true},
		{"/admin", "/x/../admin", true},
		{"/admin", "/admin%2fx", false},
	} {
		if got := match(t, []string{test.pattern}, test.target); got != test.want {
			t.Errorf("%s and %s: %v, want %v", test.pattern, test.target, got, test.want)
		}
	}
}

func TestAPatternThatCannotMatchIsAnError(t *testing.T) {
	for _, pattern := range []string{
		"admin", "", "/a[", "/a[^b]c", "/%61dmin", "/a?b", "/a#b", "/a;b", `/a\b`, "/a/../b", "/a/./b", "/a.", "/a.*/b.", "/a /b", "/a\x00b",
		"/a\xff", "/a\u200bb", "/a\u2215b", "/\uff05b",
	} {
		if _, err := gate.NewPaths([]string{"/ok", pattern}); err == nil || !strings.Contains(err.Error(), "path ") {
			t.Errorf("%q: %v", pattern, err)
		}
	}
	if _, err := gate.NewPaths(nil); err == nil {
		t.Error("no pattern is taken")
	}
}

func TestATargetThatIsNoPathIsGuarded(t *testing.T) {
	paths, err := gate.NewPaths([]string{"/admin/*"})
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range []*url.URL{{Scheme: "http", Opaque: "admin"}, {Path: "admin"}, {Path: ""}, {Path: "*"}} {
		if !paths.Match(u) {
			t.Errorf("%#v is not guarded", u)
		}
	}
}

func TestAPathThatCannotBeReadWithinBoundsIsGuarded(t *testing.T) {
	for _, target := range []string{
		"/x%20" + strings.Repeat("y", 9<<10),
		"/x" + strings.Repeat("%25", 6) + strings.Repeat("25", 5) + "41%" + strings.Repeat("25", 6) + "41",
		"/a" + strings.Repeat(";", 40) + "b",
		"/x" + strings.Repeat("/index.x", 2<<10),
		"/x" + strings.Repeat("(a(", 40),
	} {
		if !match(t, []string{"/admin/*"}, target) {
			t.Errorf("%.40s is not guarded", target)
		}
	}
	if match(t, []string{"/admin/*"}, "/static/x."+strings.Repeat("y", 7<<10)) || match(t, []string{"/admin/*"}, "/"+strings.Repeat("y", 9<<10)) {
		t.Error("an ordinary path is guarded for its length")
	}
}

func TestARawPathThatDoesNotFitThePathIsReadToo(t *testing.T) {
	paths, err := gate.NewPaths([]string{"/admin/*"})
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range []*url.URL{{Path: "/x", RawPath: "/admin/x"}, {Path: "/admin/x", RawPath: "/x"}} {
		if !paths.Match(u) {
			t.Errorf("%#v is not guarded", u)
		}
	}
}

// tokens are what the paths of the fuzz tests are made of.
var tokens = []string{
	"/", "admin", "..", "x", "%2f", "%2e%2e", ";a", "%25", "%5c", "\\", ".", "%61dmin", "ADMIN", "%00", "%20", "a", "*", "b.php", "c",
	"%2E", "2f", "2e", "%3b", "//", "/./", "/../", "%0a", "61", "%252f", "%252e", "min", "5c", "00", ":", "%ff", "%c0%af", "\u00e9",
	"index.php", ".json", "(S(x))", "%28S(x)%29", "ADMINI~1", "admi~12", "/x.cgi/", "index.html", "AD12AB~1", "~1", ".",
}

func pathOf(choice []byte) string {
	var b strings.Builder
	b.WriteByte('/')
	for _, c := range choice[:min(len(choice), 14)] {
		b.WriteString(tokens[int(c)%len(tokens)])
	}
	return b.String()
}

// eachSegment applies f to the segments of s.
func eachSegment(s string, f func(string) string) string {
	segments := strings.Split(s, "/")
	for i := range segments {
		segments[i] = f(segments[i])
	}
	return strings.Join(segments, "/")
}

// steps are what backends do to a path, in any order and number.
var steps = []func(string) string{
	func(s string) string {
		if decoded, err := url.PathUnescape(s); err == nil {
			return decoded
		}
		return s
	},
	func(s string) string { return path.Clean("/" + s) },
	func(s string) string { return strings.ReplaceAll(s, `\`, "/") },
	strings.ToLower,
	func(s string) string {
		return eachSegment(s, func(s string) string { s, _, _ = strings.Cut(s, ";"); return s })
	},
	func(s string) string { s, _, _ = strings.Cut(s, "\x00"); return s },
	func(s string) string { return strings.ReplaceAll(s, "\x00", "") },
	func(s string) string {
		return eachSegment(s, func(s string) string { return strings.TrimRight(s, " \n") })
	},
	func(s string) string {
		return eachSegment(s, func(s string) string {
			if s == "." || s == ".." {
				return s
			}
			return strings.TrimRight(s, ".")
		})
	},
	// A script is asked for the rest. Names of files have no percent signs and
	// no backslashes, and formats none that are decoded later.
	func(s string) string {
		if at := scriptName.FindStringIndex(s); at != nil {
			return s[at[1]-1:]
		}
		return s
	},
	func(s string) string {
		if at := gluedScript.FindStringIndex(s); at != nil && strings.Trim(s[at[1]:], "./") != "" {
			return "/" + strings.TrimLeft(s[at[1]:], "/")
		}
		return s
	},
	// The format of the answer, and the file of a folder.
	func(s string) string {
		folder, name := path.Split(s)
		at := strings.LastIndexByte(name, '.')
		if at < 0 || strings.Trim(name[:at], ".") == "" || strings.ContainsAny(name, `%\(`) {
			return s
		}
		return folder + name[:at]
	},
	func(s string) string { return indexFile.ReplaceAllString(s, "/") },
	// ASP.NET's, with the slash before and without.
	func(s string) string { return cookielessPart.ReplaceAllString(s, "") },
	func(s string) string { return slashedPart.ReplaceAllString(s, "") },
	// What Windows finds by a short name.
	func(s string) string {
		return eachSegment(s, func(s string) string {
			if shortName.MatchString(s) {
				return "admin"
			}
			return s
		})
	},
}

var (
	scriptName     = regexp.MustCompile(`/[^/%\\]*[0-9A-Za-z][^/%\\]*\.[A-Za-z][^/%\\]*/`)
	gluedScript    = regexp.MustCompile(`[^/](?i:\.php)`)
	indexFile      = regexp.MustCompile(`/(?i:index|default)\.[^/]+$`)
	cookielessPart = regexp.MustCompile(`\(([A-Za-z]\([^)/]*\))+\)`)
	slashedPart    = regexp.MustCompile(`/\(([A-Za-z]\([^)/]*\))+\)`)
	shortName      = regexp.MustCompile(`^(?i:(a|ad|adm|admi|admin)~[1-9]|admi~[1-9][0-9]|ad[0-9a-f]{4}~[1-9])(\.[^/.]*)?$`)
)

// anyReading reports whether some sequence of steps brings a path to where
// covered says yes.
func anyReading(s string, covered func(string) bool) bool {
	seen := map[string]bool{s: true}
	for queue := []string{s}; len(queue) > 0 && len(seen) < 2000; queue = queue[1:] {
		if covered(queue[0]) {
			return true
		}
		for _, step := range steps {
			if next := step(queue[0]); !seen[next] {
				seen[next] = true
				queue = append(queue, next)
			}
		}
	}
	return false
}

// caddyMatch is what Caddy's path matcher does with a pattern without
// escapes, and a path.
func caddyMatch(pattern, s string) bool {
	s, pattern = strings.ToLower(s), strings.ToLower(pattern)
	cleaned := path.Clean("/" + s)
	if cleaned != "/" && strings.HasSuffix(s, "/") {
		cleaned += "/"
	}
	stars := strings.Count(pattern, "*")
	switch {
	case pattern == "*":
		return true
	case stars == 2 && strings.HasPrefix(pattern, "*") && strings.HasSuffix(pattern, "*"):
		return strings.Contains(cleaned, pattern[1:len(pattern)-1])
	case stars == 1 && strings.HasPrefix(pattern, "*"):
		return strings.HasSuffix(cleaned, pattern[1:])
	case stars == 1 && strings.HasSuffix(pattern, "*"):
		return strings.HasPrefix(cleaned, pattern[:len(pattern)-1])
	}
	matched, _ := path.Match(pattern, cleaned)
	return matched
}

var fuzzPatterns = []string{
	"/admin/*", "/admin", "*.php", "*dmi*", "/a*", "/x/*/c", "/admin/*/b.php", "*/admin", "/*/admin/*", "*admin/x*", "/x/**", "/", "*/", "/*",
	"/a/*.php", "/c/x",
}

func FuzzWhatAnyReadingTakesForGuardedIsGuarded(f *testing.F) {
	for i := range tokens {
		f.Add([]byte{byte(i), 0, 1}, byte(0))
		f.Add([]byte{3, 0, byte(i), 2, 4, byte(i), 1, byte(i)}, byte(i))
		f.Add([]byte{byte(i), 0, 1, 0, 3}, byte(0))
		f.Add([]byte{1, byte(i), 0, 3}, byte(0))
		f.Add([]byte{byte(i), 1}, byte(0))
	}
	f.Fuzz(func(t *testing.T, choice []byte, which byte) {
		target := pathOf(choice)
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return
		}
		pattern := fuzzPatterns[int(which)%len(fuzzPatterns)]
		paths, err := gate.NewPaths([]string{pattern})
		if err != nil {
			t.Fatal(err)
		}
		covered := func(s string) bool {
			base, below := strings.CutSuffix(pattern, "/*")
			return caddyMatch(pattern, s) || below && caddyMatch(base, s)
		}
		if anyReading(u.EscapedPath(), covered) && !paths.Match(u) {
			t.Errorf("%s does not guard %q", pattern, target)
		}
	})
}

func FuzzAnOrdinaryPathIsGuardedOnlyWhereItIs(f *testing.F) {
	words := []string{
		"admin", "administrator", "adm", "Admin", "public", "a", "admin-x", "x.admin", ".well-known", "admin.css", "v1:x", "caf\u00e9", "v1.2",
		"index.php", "Admin.2", "admin.x.1", "f(g)", "~admin",
	}
	script := regexp.MustCompile(`.\.[a-z]`)
	for i := range words {
		f.Add([]byte{byte(i), 0, 2})
		f.Add([]byte{2, byte(i), 3})
		f.Add([]byte{byte(i)})
	}
	f.Fuzz(func(t *testing.T, choice []byte) {
		target := ""
		for _, c := range choice[:min(len(choice), 100)] { // within the bound on length
			target += "/" + words[int(c)%len(words)]
		}
		if target == "" {
			return
		}
		// What is asked for is the path, or what is behind a script in it; a
		// name may have a suffix at its end, or as a script.
		segments, want := strings.Split(strings.ToLower(target), "/")[1:], false
		for i, s := range segments {
			if i > 0 && !script.MatchString(segments[i-1]) {
				continue
			}
			base, _, _ := strings.Cut(s, ".")
			want = want || base == "admin" && (s == base || !slices.ContainsFunc(segments[i+1:], func(s string) bool { return s != "index.php" && s[0] != '.' }) || script.MatchString(s))
		}
		if got := match(t, []string{"/admin/*"}, target); got != want {
			t.Errorf("%s: %v", target, got)
		}
	})
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

func TestAnOrdinaryPathCostsNoAllocation(t *testing.T) {
	paths := withQuery(t, []string{"/admin/*", "*.php", "/a/*/c"}, []string{"q", ""})
	for _, target := range []string{
		"/api/v1/orders/1234", "/assets/Index-BfX3.js", "/admin/users/17", "/.well-known/x", "/v1.2/a.b/c.tar.gz", "/wiki/Foo_(bar)",
		"/x?page=2&sort=name", "/x?return_to=/admin/x",
	} {
		sent, err := url.ParseRequestURI(target)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodGet, target, nil)
		if n := testing.AllocsPerRun(100, func() { paths.MatchRequest(sent, r) }); n != 0 {
			t.Errorf("%s: %v allocations", target, n)
		}
		r.URL = &url.URL{Path: "/other"}
		if n := testing.AllocsPerRun(100, func() { paths.MatchRequest(sent, r) }); n != 0 {
			t.Errorf("%s that has become another path: %v allocations", target, n)
		}
	}
}

// The work that a stranger's path or query makes is bounded, whatever it holds;
// what is allocated stands for it.
func TestReadingAHostilePathCostsNoMoreThanReadingALongOne(t *testing.T) {
	paths := withQuery(t, []string{"/admin/*", "/users/*/keys"}, []string{"q", ""})
	for _, target := range []string{
		"/" + strings.Repeat("a.b/", 2000) + "%20", "/" + strings.Repeat("a.b/", 200000), "/" + strings.Repeat("(a(", 2600), "/" + strings.Repeat("(a(x)", 1600),
		"/(a(x))/(b(y))/" + strings.Repeat("a.b;c/", 1300), "/%2525(a(x))/%2525(b(y))/" + strings.Repeat("a.b;c/", 1300),
		"/" + strings.Repeat("x.phpy", 1300), "/" + strings.Repeat("%2525", 1600), "/" + strings.Repeat("..%5c", 1600), "/" + strings.Repeat("%3Fq=x", 1300),
		"/" + strings.Repeat("a;", 4000), "/" + strings.Repeat("x~1/", 2000), "/?" + strings.Repeat("%71=a&", 200000), "/?" + strings.Repeat("q=a.b/c;", 2000),
		"/?q=" + strings.Repeat("a.php", 1600), "/?q=" + strings.Repeat("x?q=", 2000), "/?" + strings.Repeat("[&", 8000), "/?/" + strings.Repeat("&/", 8000),
	} {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(1, func() { paths.Match(u) }); n > 30_000 {
			t.Errorf("%.30s: %v allocations", target, n)
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	paths, err := gate.NewPaths([]string{"/admin/*"})
	if err != nil {
		b.Fatal(err)
	}
	for _, target := range []string{"/api/v1/orders/1234", "/assets/Index-BfX3.js", "/admin/users/17", "/files/My%20Report.pdf", "/A/%61/b"} {
		b.Run(target, func(b *testing.B) {
			sent, err := url.ParseRequestURI(target)
			if err != nil {
				b.Fatal(err)
			}
			r := httptest.NewRequest(http.MethodGet, target, nil)
			b.ReportAllocs()
			for b.Loop() {
				paths.MatchRequest(sent, r)
			}
		})
	}
}
