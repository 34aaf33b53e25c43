package gate_test

import (
	"strings"
	"testing"
)

// reading is a target and whether gates close to it.
type reading struct {
	target  string
	guarded bool
}

func checkReadings(t *testing.T, pattern string, readings []reading) {
	t.Helper()
	for _, r := range readings {
		if got := match(t, []string{pattern}, r.target); got != r.guarded {
			t.Errorf("%s and %s: guarded is %v", pattern, r.target, got)
		}
	}
}

func TestWhatAScriptIsAskedForIsGuarded(t *testing.T) {
	for suffix := range strings.FieldsSeq("php php5 phtml PHP cgi pl py rb asp aspx ashx jsp do fcgi action cfm svc x php.1") {
		checkReadings(t, "/admin/*", []reading{
			{"/index." + suffix + "/admin/x", true}, {"/blog/index." + suffix + "/admin", true}, {"/index." + suffix + "/public", false},
			{"/index." + suffix, false}, {"/admin." + suffix + "/x", true},
		})
	}
	checkReadings(t, "/admin/*", []reading{
		{"/a.php/b.php/admin", true}, {"/index.php/x/../admin", true}, {"/index.php//admin", true}, {"/index.php/./admin/x", true},
		{"/index.php;x/admin", true}, {"/index.php%00/admin", true}, {"/index.php%2fadmin", true}, {"/index%2ephp/admin", true},
		{`/index.php\admin`, true}, {"/index.p%00hp/admin", true}, {"/index.%25zzphp/admin", true}, {"/index.php/admin.json", true},
		{"/index.php./admin", true}, {"/index.php%20/admin", true}, {"/index.php/ADMINI~1", true}, {"/%ef%bd%89ndex%ef%bc%8ephp/admin", true},
		{"/index.phpadmin/x", true}, {"/x/INDEX.PHPadmin", true}, {"/index.php%61dmin", true}, {"/a.phpb.phpadmin", true}, {"/x.php5/y", false},
		{"/index.phpx/public", false}, {"/index.phpx/api/admin", false}, {"/x/.php/admin", false},
		{"/v1.2/admin", false}, {"/1.0/x%20y/admin", false}, {"/.well-known/admin", false}, {"/index/admin", false},
		{"/static/app.js", false}, {"/static/admin.css", false}, {"/static/1.2/admin.css", false}, {"/index.php/static/admin", false},
	})
	checkReadings(t, "/", []reading{{"/index.php/", true}, {"/index.php/x", false}, {"/app.js", false}, {"/app.js%20", false}, {"/app.js/%20", true}})
	checkReadings(t, "/users/*/keys", []reading{
		{"/index.php/users/5/keys", true}, {"/users/5/keys.json", true}, {"/users/a.php/users/5/keys", true}, {"/index.php/users/5/locks", false},
	})
}

func TestANameWithAFormatSuffixIsGuarded(t *testing.T) {
	checkReadings(t, "/admin/*", []reading{
		{"/admin.json", true}, {"/ADMIN.JSON", true}, {"/admin.7z", true}, {"/admin.tar.gz", true}, {"/admin.json/", true}, {"/admin.json;x", true},
		{"/admin%2ejson", true}, {"/admin.json%00", true}, {"/%61dmin.json", true}, {"/admin.j%73on/x", true}, {"/admin.data", true},
		{"/admin.json?x=y", true}, {"/admin%20.json", true}, {"/admin.%0a.json", true}, {"/index%20.php/admin", true}, {"//x/admin.json", true}, {"/admin.css", true}, {"/x/..;/admin.json", true},
		{"/static/admin.css", false}, {"/static/admin%2ecss", false}, {"/administrator.json", false}, {"/x.admin", false}, {"/.admin", false},
		{"/admin.1/x", false}, {"/admin.1/x%20y", false}, {"/adm.in", false}, {"/admins.json", false}, {"/admin-x.json", false},
	})
	checkReadings(t, "/users/*", []reading{{"/users.json", true}, {"/users.json/3", true}, {"/api/users.json", false}})
	checkReadings(t, "/admin", []reading{{"/admin.json", true}, {"/admin.json/x", false}, {"/admin/x.json", false}})
	checkReadings(t, "/report*", []reading{{"/reports.csv", true}, {"/repo.csv", false}})
	checkReadings(t, "*/login", []reading{{"/a/b/login.html", true}, {"/a/login.html/x", false}, {"/a/blogin.html", false}})
}

func TestAFileThatStandsForItsFolderIsGuardedAsTheFolder(t *testing.T) {
	checkReadings(t, "/admin", []reading{
		{"/admin/index.html", true}, {"/admin/INDEX.php", true}, {"/admin/default.aspx", true}, {"/admin/index%2ehtml", true},
		{"/admin/index.php/", true}, {"/admin/.json", true}, {"/admin/.%6ason", true}, {"/admin/x.json", false}, {"/admin/index", false}, {"/admin/index.html/x", false}, {"/admin/x.html", false}, {"/index.html", false},
		{"/admin/index.html/x%20", false},
	})
	checkReadings(t, "/", []reading{{"/index.html", true}, {"/default.asp", true}, {"/x/index.html", false}, {"/index.html%20", true}})
}

func TestACookielessPartOfAPathIsRead(t *testing.T) {
	checkReadings(t, "/admin/*", []reading{
		{"/(S(x))/admin/x", true}, {"/(A(abc)F(def))/admin", true}, {"/ad(S(x))min/x", true}, {"/ad/(S(x))min/x", true}, {"/ad/./;x/(S(x))min", true}, {"/ad/x/../(S(x))min", true},
		{"/(S(x))/ad/(S(y))min", true}, {"/(S(x))/ad(S(y))min", true}, {"/ad/(S(x))min/(S(y))x", true}, {"/(s(x))/ADMIN", true},
		{"/%28S%28x%29%29/admin", true}, {"/(S(x))admin", true}, {"/%25(S(x))61dmin", true}, {"/(S(x))/admin.json", true}, {"/x/.(S(x))./admin", true},
		{"/index.php/(S(x))/admin", true}, {`/ad\(S(x))min`, true}, {"/(X(1)S())/admin", true}, {"/a(S(1))d(S(2))m(S(3))i(S(4))n", true},
		{"/(S(S(x)))admin", false}, {"/(S(x))/(S(y))/(S(z))/public", true}, {"/(S(x))/(S(y))/public", false}, {"/%28S(x))/%2528S(y))/public%20", false},
		{"/(S(x))/public", false}, {"/wiki/f(g(x))", false}, {"/wiki/Admin_(x)", false}, {"/(admin)/x", false}, {"/x(S(y))/admin", false},
		{"/(S(x)/admin", false}, {"/(S(x)/admin)", false}, {"/((x))/admin", false},
	})
}

func TestWhatIsCalledOnAGuardedNameIsGuarded(t *testing.T) {
	checkReadings(t, "/users/*", []reading{
		{"/Users(5)", true}, {"/users('x')/keys", true}, {"/users!delete.action", true}, {"/users:batchDelete", true}, {"/users%285%29/keys", true},
		{"/x/..;/users(5)", true}, {"/index.php/users(5)", true}, {"/usersx(5)", false}, {"/x/users(5)", false}, {"/(users)", false}, {"/u(sers)", false},
		{"/x:users", false},
	})
}

func TestThePathBehindAFrontIsGuarded(t *testing.T) {
	checkReadings(t, "/admin/*", []reading{
		{"/cgi-bin/app/admin", true}, {"/CGI-BIN/app/admin/x", true}, {"/x/fcgi-bin/app/admin.json", true}, {"/cgi-bin%2fapp/admin", true},
		{"/_next/data/8BfX_a/admin.json", true}, {"/docs/_next/data/8BfX/admin/users.json", true}, {"/_next//data/./8BfX/admin", true},
		{"/_next/static/admin.js", false}, {"/cgi-bin/app/x/admin", false}, {"/cgi-bin/admin", false}, {"/_next/data/admin", false},
		{"/_next/x/data/y/admin", false}, {"/_next/data/8BfX/public.json", false}, {"/data/x/admin", false}, {"/cgi-bins/app/admin", false},
	})
}

func TestAccentsMakeNoDifference(t *testing.T) {
	checkReadings(t, "/admin/*", []reading{{"/%C3%A1dmin", true}, {"/adm%C3%AFn/x", true}, {"/a%CC%80dmin", true}, {"/%C3%A1dminer", false}})
	checkReadings(t, "/caf\u00e9/*", []reading{{"/cafe", true}, {"/CAF%C3%89", true}, {"/caff%C3%A9", false}})
}

func TestAShortNameOfAGuardedNameIsGuarded(t *testing.T) {
	checkReadings(t, "/administrator/*", []reading{
		{"/ADMINI~1/x", true}, {"/admini~2", true}, {"/ADMIN~12", true}, {"/AD12AB~1/x", true}, {"/ADMINI~1.OLD/x", true}, {"/ADMINI%7E1/x", true},
		{"/x/..%5cADMINI~1", true}, {"/index.php/ADMINI~1", true}, {"/ADMI~100", true},
		{"/PUBLIC~1/x", false}, {"/x/ADMINI~1", false}, {"/~admin", false}, {"/ADMINI~", false}, {"/ADMINI~x", false}, {"/~1", false}, {"/PU12AB~1", false},
		{"/administ~1", false}, {"/ADMINI~1.LONG/x", true}, {"/12AB~1", false},
	})
	checkReadings(t, "/admin/*", []reading{{"/ADMINI~1/x", true}, {"/ADMIN~1/x", true}, {"/AD1234~1", true}, {"/PUBLIC~1", false}})
	checkReadings(t, "/my reports.new/*", []reading{{"/MYREPO~1/x", true}, {"/MYREPO~1.NEW/x", true}, {"/MY0A1B~3.NEW", true}, {"/OTHERR~1.NEW", false}})
	checkReadings(t, "/a+b=c long/*", []reading{{"/A_B_CL~1", true}, {"/AB_CLO~1", false}})
	checkReadings(t, "/caf\u00e9 bar/*", []reading{{"/CAF_BA~1", true}, {"/CAFEBA~1", true}, {"/CA12AB~1", true}, {"/COFFEE~1", false}})
	checkReadings(t, "*.phtml", []reading{{"/x/INDEX~1.PHT", true}})
	checkReadings(t, "/x/*secret*", []reading{{"/x/TOPSEC~1", true}})
}
