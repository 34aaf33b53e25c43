package main_test

import (
	"encoding/base64"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

// wire is an edge in front of a backend that keeps bytes, with a thief, who
// has an account and a factor of their own, and the token of a victim.
type wire struct {
	*edgetest.Edge
	t      *testing.T
	heads  *edgetest.Wire
	thief  *person
	victim string
}

// newWire starts one whose site has the lines of site before the backend, and
// whose server has those of server.
func newWire(t *testing.T, site, server string) *wire {
	t.Helper()
	w := &wire{Edge: edgetest.New(t), t: t}
	w.heads = w.UseWire()
	config := strings.Replace(withBearer("dev", "cookie session"), "\tmfa\n\treverse_proxy", "\t"+site+"\n\treverse_proxy", 1)
	w.Start(strings.Replace(config, "\tadmin {$ADMIN}\n", "\tadmin {$ADMIN}\n\tservers {\n"+server+"\n\t}\n", 1))
	w.thief = enrolled(t, w.Edge, "mallory", nil)
	w.victim = w.Token("alice", nil)
	return w
}

// servers say which names of headers get to the handlers: by default none with
// underscores and dots, and otherwise these instead of those with dashes.
var servers = map[string]string{
	"dashes":      "",
	"underscores": "expected_underscore_headers X_* Script_Name",
	"dots":        "expected_dot_headers X.*",
}

// send sends a request and returns the head that the backend got, "" when it
// got none.
func (w *wire) send(target string, headers ...string) (edgetest.Answer, string) {
	w.t.Helper()
	before := len(w.heads.Heads())
	answer := w.Raw("GET "+target, headers...)
	heads := w.heads.Heads()[before:]
	if len(heads) > 1 {
		w.t.Fatalf("%s %q: the backend got %d requests", target, headers, len(heads))
	}
	return answer, strings.Join(heads, "")
}

// said returns the lines of a head that a backend may read as the edge's word,
// or that name headers to be dropped.
func said(head string) (lines []string) {
	for line := range strings.SplitSeq(head, "\r\n") {
		name, _, _ := strings.Cut(line, ":")
		if identity(name) || strings.EqualFold(name, "Connection") {
			lines = append(lines, line)
		}
	}
	return lines
}

func TestACookieThatSomeParserReadsTwiceOpensNothing(t *testing.T) {
	w := newWire(t, "mfa\n\t"+adminGate, "")
	own, stolen, factor := w.thief.token, w.victim, "; __Host-mfa="+w.thief.pair.cookie
	for name, lines := range map[string][]string{
		"twice":                      {"session=" + own + "; session=" + stolen},
		"twice, the other way round": {"session=" + stolen + "; session=" + own},
		"on two lines":               {"session=" + own, "session=" + stolen},
		"of which Go drops one":      {"session=" + stolen + `\; session=` + own},
		"in half of a quotation":     {`session="` + stolen + "; session=" + own},
		"with a blank":               {"session =" + stolen + "; session=" + own},
		"in another case":            {"Session=" + stolen + "; session=" + own},
		"in another case behind it":  {"session=" + own + "; SESSION=" + stolen},
		"in another case on a line":  {"session=" + own, "SESSION=" + stolen},
		"behind a comma":             {"session=" + own + "; a=1,session=" + stolen},
		"behind a blank":             {"session=" + own + "; a=1 session=" + stolen},
		"behind a tab":               {"session=" + own + "; a=1\tsession=" + stolen},
		"in quotes":                  {"session=" + own + `; a="session=` + stolen + `"`},
		"behind a Latin-1 blank":     {"\xa0session=" + stolen + "; session=" + own},
		"percent-encoded":            {"%73ession=" + stolen + "; session=" + own},
		"percent-encoded behind it":  {"session=" + own, "sessio%6E=" + stolen},
		"percent-encoded twice":      {"session=" + own + "; %2573ession=" + stolen},
		"behind an encoded blank":    {"session=" + own + "; %20session=" + stolen},
	} {
		for i, line := range lines {
			lines[i] = "Cookie: " + line
		}
		lines[0] += factor
		for _, target := range []string{"/admin/x", "/mfa/status"} {
			answer, head := w.send(target, lines...)
			if answer.WantError(t, 400, "invalid_request", ""); head != "" {
				t.Errorf("%s at %s: the backend got %q", name, target, head)
			}
		}
	}
	// Alone it opens the gate, and the other cookies stay, byte by byte.
	answer, head := w.send("/admin/x", `Cookie: a="1,\x"; session=`+own+factor+"; B = 2;;c\xff")
	if answer.Status != 200 || !strings.Contains(head, `Cookie: a="1,\x"; session=`+own+"; B = 2;;c\xff\r\n") {
		t.Errorf("alone: %d %s, the backend got %q", answer.Status, answer.Body, head)
	}
}

func TestAStolenCookieBesideOnesOwnTokenNeverArrives(t *testing.T) {
	w := newWire(t, "mfa\n\t"+adminGate, "")
	own, full, factor := "Authorization: Bearer "+w.thief.token, "Authorization: Bearer "+w.thief.pair.access, "; __Host-mfa="+w.thief.pair.cookie
	for name, test := range map[string]struct {
		authorization string
		cookies       []string
		status        int
		left          string // of the cookies
	}{
		"beside the login's token":    {own, []string{"a=1; session=" + w.victim + factor + "; b=2"}, 200, "a=1; b=2"},
		"beside the full token":       {full, []string{"a=1; session=" + w.victim}, 200, "a=1"},
		"in quotes":                   {full, []string{`session="` + w.victim + `"; b=2`}, 200, "b=2"},
		"twice":                       {full, []string{"session=" + w.victim, "session=" + w.victim + "; b=2"}, 200, "b=2"},
		"behind one's own":            {full, []string{"session=" + w.thief.token + "; session=" + w.victim}, 200, ""},
		"of which Go drops the value": {full, []string{"session=" + w.victim + `\; b=2`}, 200, "b=2"},
		"in another case":             {full, []string{"SESSION=" + w.victim}, 400, ""},
		"behind a comma":              {full, []string{"a=1,session=" + w.victim}, 400, ""},
		"percent-encoded":             {full, []string{"%73ession=" + w.victim}, 400, ""},
		"percent-encoded by a login":  {own, []string{"a=%3Bsession%3D1; ses%73ion=" + w.victim}, 400, ""},
		"a value that looks like it":  {full, []string{"a=%3Bsession%3Dx; back=/x?a%20session=1"}, 200, "a=%3Bsession%3Dx; back=/x?a%20session=1"},
		"one's own":                   {full, []string{"a=1; session=" + w.thief.token}, 200, "a=1; session=" + w.thief.token},
	} {
		headers := []string{test.authorization}
		for _, line := range test.cookies {
			headers = append(headers, "Cookie: "+line)
		}
		answer, head := w.send("/admin/x", headers...)
		wantStatus(t, name, answer, test.status)
		if (head != "") != (test.status == 200) || strings.Contains(head, w.victim) {
			t.Errorf("%s: the backend got %q", name, head)
		}
		if test.status != 200 {
			continue
		}
		_, cookie, there := strings.Cut(head, "\r\nCookie: ")
		cookie, _, _ = strings.Cut(cookie, "\r\n")
		if there != (test.left != "") || cookie != test.left || !strings.Contains(head, "\r\n"+own+"\r\n") {
			t.Errorf("%s: the backend got %q", name, head)
		}
	}
}

// otherPaths tell some backends of another path than the one that was asked for.
var otherPaths = []string{
	"X-Original-URL", "x-original-url", "X_Original_URL", "X.Original.URL", "X!Original~URL", "X-Rewrite-URL", "X_REWRITE_URL", "x~rewrite-url",
	"Script-Name", "SCRIPT_NAME", "Script~Name", "X-Script-Name", "X_SCRIPT_NAME",
}

func TestNoHeaderLeadsABackendPastTheGate(t *testing.T) {
	for kind, server := range servers {
		w := newWire(t, "mfa\n\t"+adminGate, server)
		for _, name := range otherPaths {
			answer, head := w.send("/public", name+": /admin/x", "Original-URL: kept")
			if answer.Status != 200 || strings.Contains(head, "/admin/x") || !strings.Contains(head, "Original-Url: kept\r\n") {
				t.Errorf("%s, %s: %d, the backend got %q", kind, name, answer.Status, head)
			}
		}
	}
}

func TestAPageIsServedUnderItsOwnPathAlone(t *testing.T) {
	w := newWire(t, "mfa\n\t"+adminGate, "")
	for target, want := range map[string]string{
		"/x%2f..%2fmfa%2f":                    "/mfa/",
		"/files/x%2f..%2f..%2fmfa%2f?a=b":     "/mfa/?a=b",
		"/files/..%2fmfa%2F":                  "/mfa/",
		"/mfa%2f":                             "/mfa/",
		"/MFA/":                               "/mfa/",
		"//mfa/":                              "/mfa/",
		"/mfa/%2e/":                           "/mfa/",
		"/files/x%2f..%2f..%2fmfa/magic-link": "/mfa/magic-link",
		"/mfa/magic%2Dlink":                   "/mfa/magic-link",
	} {
		if answer, head := w.send(target); answer.Status != 308 || answer.Header.Get("Location") != want || head != "" {
			t.Errorf("%s: %d to %q, the backend got %q", target, answer.Status, answer.Header.Get("Location"), head)
		}
	}
	for _, target := range []string{"/mfa/", "/mfa/magic-link"} {
		if answer, _ := w.send(target); answer.Status != 200 || !strings.Contains(answer.Body, "<!doctype html>") {
			t.Errorf("%s: %d %s", target, answer.Status, answer.Body)
		}
	}
}

// A backend that makes the pages for errors gets nothing that only the edge
// may say or see, whoever has refused.
func TestAnErrorRouteIsToldNothingByTheClient(t *testing.T) {
	const (
		gate   = "mfa_require /admin/* {\n\t\tacr phr\n\t\thandle_errors\n\t}\n"
		errors = "\thandle_errors {\n\t\treverse_proxy {$UPSTREAM}\n\t}"
	)
	withMFA := strings.Replace(errors, "reverse_proxy", "mfa\n\t\treverse_proxy", 1)
	for name, site := range map[string]string{
		"of a gate":                       "mfa\n\t" + gate + errors,
		"of a gate, with mfa":             "mfa\n\t" + gate + withMFA,
		"of a gate alone":                 "@api path /mfa/*\n\thandle @api {\n\t\tmfa\n\t}\n\t" + gate + errors,
		"of what is before mfa, with mfa": "route {\n\t\terror /admin/* 403\n\t\tmfa\n\t}\n" + withMFA,
	} {
		for kind, server := range servers {
			t.Run(name+", "+kind, func(t *testing.T) {
				newWire(t, site, server).wantNothingTold()
			})
		}
	}
}

// wantNothingTold asks for what is refused, in each way.
func (w *wire) wantNothingTold() {
	w.t.Helper()
	for what, authorization := range map[string]string{
		"no token": "X-Else: x", "the login's token": "Authorization: Bearer " + w.thief.token, "an assertion": "Authorization: Bearer " + w.thief.pair.access,
	} {
		_, head := w.send("/admin/x", authorization, "Cookie: a=1; __Host-mfa="+w.thief.pair.cookie,
			"X-MFA-User: root", "x_mfa_user: root", "X.MFA.ACR: phr", "X~Mfa~Methods: PASSKEY", "X-MFA_Auth-Time: 2030-01-01T00:00:00Z",
			"Connection: X-MFA-User, x_mfa_acr")
		if head == "" {
			w.t.Fatalf("%s: the backend was not asked for a page", what)
		}
		if lines := said(head); len(lines) > 0 || strings.Contains(head, "__Host-mfa") || strings.Contains(head, w.thief.pair.access) {
			w.t.Errorf("%s: %q, in %q", what, lines, head)
		}
		if !strings.Contains(head, "\r\nCookie: a=1\r\n") {
			w.t.Errorf("%s: the other cookie is gone from %q", what, head)
		}
	}
}

// The directive mfa in an error route does not undo what has led there, and
// no code gets to the backend that makes the page.
func TestAnErrorRouteServesNoRouteOfTheAPI(t *testing.T) {
	e := edgetest.New(t)
	e.NoAPI = true // what stands at its paths are pages for errors
	hash, stderr, err := e.Command("hash-password", "--plaintext", "secret")
	if err != nil {
		t.Fatalf("%v: %s", err, stderr)
	}
	e.Start(strings.Replace(withBearer("dev", "cookie session"), "\tmfa\n", `	basic_auth {
		staff `+strings.TrimSpace(hash)+`
	}
	mfa
	handle_errors {
		mfa
		reverse_proxy {$UPSTREAM}
	}
`, 1))
	token := e.Token("alice", nil)
	for request, body := range map[string]string{
		"POST /mfa/setup": "", "POST /MFA//verify-login": "", "GET /mfa/status": "", "GET /mfa/": "", "GET /mfa/jwks.json": "", "POST /else": `{"code":"123456"}`,
	} {
		method, path, _ := strings.Cut(request, " ")
		for _, length := range []int64{-1, 17} {
			r := e.Request(method, path, "", `{"code":"123456"}`)
			r.ContentLength = length
			r.Header.Set("Cookie", "session="+token)
			r.Header.Set("Origin", e.URL)
			if method == "GET" {
				r.Body, r.ContentLength = nil, 0
			}
			before := len(e.Upstream.Requests())
			answer := e.Send(r)
			got := e.Upstream.Requests()[before:]
			if len(got) != 1 || answer.Body != "upstream: "+request || !strings.HasPrefix(answer.Header.Get("WWW-Authenticate"), "Basic ") {
				t.Errorf("%s: %d %v %s", request, answer.Status, answer.Header, answer.Body)
				continue
			}
			if sent, err := io.ReadAll(got[0].Body); err != nil || string(sent) != body {
				t.Errorf("%s: the backend got %q, %v", request, sent, err)
			}
		}
	}
	staff := "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("staff:secret"))
	if answer := e.Raw("GET /mfa/jwks.json", staff); answer.Status != 200 || !strings.Contains(answer.Body, `"keys"`) {
		t.Errorf("with the password: %d %s", answer.Status, answer.Body)
	}
}

// What a client says in Connection never has the proxy drop what the edge says.
func TestAClientCannotHaveTheEdgesWordDropped(t *testing.T) {
	for kind, server := range servers {
		w := newWire(t, "mfa\n\t"+adminGate, server)
		for _, list := range []string{"X-MFA-User", "x-mfa-user, X-Mfa-Acr", "X_MFA_User,X-MFA-Methods , X-MFA-Auth-Time", "close,X-MFA-ACR"} {
			answer, head := w.send("/admin/x", "Authorization: Bearer "+w.thief.pair.access, "Connection: "+list, "X-MFA-User: root", "X_MFA_User: root")
			lines := said(head)
			slices.Sort(lines)
			if len(lines) == 4 { // the time is not known beforehand
				lines[1], _, _ = strings.Cut(lines[1], ":")
			}
			want := []string{"X-Mfa-Acr: mfa", "X-Mfa-Auth-Time", "X-Mfa-Methods: GOOGLE_AUTH", "X-Mfa-User: mallory"}
			if answer.Status != 200 || !slices.Equal(lines, want) {
				t.Errorf("%s, %s: %d, the backend got %q", kind, list, answer.Status, head)
			}
		}
		// Nor does it have the token dropped that the edge has judged.
		cookies := "Cookie: a=1; session=" + w.thief.token + "; __Host-mfa=" + w.thief.pair.cookie
		for _, list := range []string{"Authorization", "Cookie", "close, cookie,AUTHORIZATION", "Authorization\r\nConnection: Cookie", "keep-alive, X-Forwarded-For, Cookie"} {
			for headers, want := range map[string]string{"Authorization: Bearer " + w.thief.pair.access: "Authorization: Bearer " + w.thief.token, cookies: "Cookie: a=1; session=" + w.thief.token} {
				for _, target := range []string{"/admin/x", "/public"} {
					answer, head := w.send(target, headers, "Connection: "+list)
					if answer.Status != 200 || !strings.Contains(head, "\r\n"+want+"\r\n") {
						t.Errorf("%s, %s at %s: %d, the backend got %q", kind, list, target, answer.Status, head)
					}
				}
			}
		}
	}
}
