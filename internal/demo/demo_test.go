package demo

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// newApp makes an App whose access tokens are not signed.
func newApp(t *testing.T) *App {
	t.Helper()
	return New(Config{
		Name: "Acme", Origin: "http://localhost:8080", MFA: "/mfa/", Cookie: "session", Outbox: t.TempDir(),
		Sign: func(_ context.Context, who Person, _ time.Duration) (string, error) {
			claims := `{"sub":"` + who.Subject + `","exp":1795562683,"big":12345678901234567890}`
			return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".signature", nil
		},
		Verify: func(_ context.Context, token string) (string, error) {
			if !strings.HasPrefix(token, "e30.") {
				return "", errors.New("not one of ours")
			}
			return "maria", nil
		},
		Fail: func(what string, err error) { t.Errorf("%s: %v", what, err) },
	})
}

// ask sends a request as a browser does, with headers given as name and
// value in turn.
func ask(a *App, method, target, form string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(form))
	r.Host = "localhost:8080"
	r.Header.Set("Accept", "text/html,*/*;q=0.8")
	if form != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
	}
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	return w
}

func TestASignInSetsACookieAndLeadsBackWithinTheSite(t *testing.T) {
	for returnTo, want := range map[string]string{
		"": "/", "/admin/x?a=b": "/admin/x?a=b", "http://localhost:8080/admin/": "/admin/", "http://localhost:8080": "/",
		"//evil.example": "/", `/\evil.example`: "/", "https://evil.example/": "/", "http://localhost:80801/x": "/",
		"http://localhost:8080@evil.example/": "/", "http://localhost:8080//evil.example": "/", "javascript:alert(1)": "/",
	} {
		form := url.Values{"subject": {"maria"}, "return_to": {returnTo}}.Encode()
		w := ask(newApp(t), "POST", "/sign-in", form, "Origin", "http://localhost:8080")
		cookies := w.Result().Cookies()
		if w.Code != 303 || w.Header().Get("Location") != want || len(cookies) != 1 {
			t.Fatalf("%q: %d to %q, cookies %v", returnTo, w.Code, w.Header().Get("Location"), cookies)
		}
		if c := cookies[0]; c.Name != "session" || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.MaxAge != 8*3600 {
			t.Errorf("the cookie is %v", c)
		}
	}
}

func TestNobodySignsInForAnotherSite(t *testing.T) {
	for name, headers := range map[string][]string{
		"a form of another origin":            {"Origin", "https://evil.example"},
		"a form of no origin":                 {"Origin", "null"},
		"a form of another port":              {"Origin", "http://localhost:9999"},
		"what the browser calls cross-site":   {"Sec-Fetch-Site", "cross-site"},
		"what the browser calls same-site":    {"Sec-Fetch-Site", "same-site"},
		"a name that was made to lead here":   {"Host", "evil.example"},
		"such a name, with an origin to suit": {"Host", "evil.example:8080", "Origin", "http://evil.example:8080"},
	} {
		for _, path := range []string{"/sign-in", "/sign-out"} {
			w := ask(newApp(t), "POST", path, "subject=maria", headers...)
			if w.Code != 403 && w.Code != 421 || w.Header().Get("Set-Cookie") != "" {
				t.Errorf("%s at %s: %d %v", name, path, w.Code, w.Header())
			}
		}
	}
	if w := ask(newApp(t), "GET", "/inbox", "", "Host", "evil.example"); w.Code != 421 {
		t.Errorf("mails for a name that was made to lead here: %d", w.Code)
	}
	for _, host := range []string{"localhost:8080", "127.0.0.1:8081", "[::1]:8080", "app.localhost", "localhost"} {
		if w := ask(newApp(t), "GET", "/", "", "Host", host); w.Code != 200 {
			t.Errorf("%s: %d", host, w.Code)
		}
	}
}

func TestANameThatNobodyCanHaveIsSaid(t *testing.T) {
	for _, subject := range []string{"", "  ", "a\nb", strings.Repeat("x", 65)} {
		form := url.Values{"subject": {subject}, "return_to": {"/admin/"}}.Encode()
		w := ask(newApp(t), "POST", "/sign-in", form)
		if w.Code != 400 || !strings.Contains(w.Body.String(), errSubject.Error()) || w.Header().Get("Set-Cookie") != "" ||
			!strings.Contains(w.Body.String(), `value="/admin/"`) {
			t.Errorf("%q: %d", subject, w.Code)
		}
	}
}

func TestAPageTellsWhatCameAndNeverTheToken(t *testing.T) {
	a := newApp(t)
	token, _ := a.config.Sign(t.Context(), Person{Subject: "maria"}, 0)
	w := ask(a, "GET", "/admin/<x>", "", "Cookie", "session="+token+"; theme=dark",
		"X-MFA-User", "maria", "X-MFA-Methods", "PASSKEY", "X-MFA-ACR", "phr", "X-MFA-Auth-Time", "2026-11-24T15:00:00Z")
	body := w.Body.String()
	for _, want := range []string{"PASSKEY", "phr", "2026-11-24T15:00:00Z", "12345678901234567890", "2026-11-24T23:24:43Z", "theme", "the cookie session"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(body, token) || strings.Contains(body, "signature") || strings.Contains(body, "<x>") {
		t.Errorf("the page shows the token, or markup that is not its own:\n%s", body)
	}
	if policy := w.Header().Get("Content-Security-Policy"); strings.Contains(policy, "unsafe") || !strings.Contains(policy, "default-src 'none'") {
		t.Errorf("the policy is %q", policy)
	}

	// A program is told the same in text; a bad token is nobody's.
	w = ask(a, "POST", "/hello?x=1", "", "Accept", "*/*", "Authorization", "Bearer nonsense", "X-MFA-User", "tom")
	if got := w.Body.String(); got != "Hello from the backend: POST /hello?x=1\nX-MFA-User: tom\n" {
		t.Errorf("a program gets %q", got)
	}
	if body := ask(a, "GET", "/x", "", "Authorization", "Bearer nonsense").Body.String(); !strings.Contains(body, "nobody is signed in") {
		t.Errorf("a bad token is shown:\n%s", body)
	}
}

func TestASignOutEndsTheCookie(t *testing.T) {
	w := ask(newApp(t), "POST", "/sign-out", "", "Origin", "http://localhost:8080")
	if c := w.Result().Cookies(); w.Code != 303 || len(c) != 1 || c[0].Value != "" || c[0].MaxAge != -1 {
		t.Errorf("%d %v", w.Code, c)
	}
}

func TestACookieThatIsNoGoodAnyMoreIsCleared(t *testing.T) {
	a := newApp(t)
	for _, path := range []string{"/", "/sign-in", "/inbox"} {
		w := ask(a, "GET", path, "", "Cookie", "session=of-another-key")
		if c := w.Result().Cookies(); w.Code != 200 || len(c) != 1 || c[0].MaxAge != -1 {
			t.Errorf("%s: %d %v", path, w.Code, c)
		}
		token, _ := a.config.Sign(t.Context(), Person{Subject: "maria"}, 0)
		if c := ask(a, "GET", path, "", "Cookie", "session="+token).Result().Cookies(); len(c) != 0 {
			t.Errorf("%s: a good one is set to %v", path, c)
		}
	}
}

func TestTheInboxLinksToTheSiteAlone(t *testing.T) {
	a := newApp(t)
	write := func(name, subject, text string) {
		t.Helper()
		mail := "From: a@example.com\r\nTo: zoe@example.com\r\nSubject: " + subject + "\r\nDate: Tue, 24 Nov 2026 15:00:00 +0000\r\n" +
			"Content-Type: text/plain; charset=utf-8\r\n\r\n" + text
		if err := os.WriteFile(filepath.Join(a.config.Outbox, name), []byte(mail), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("1.eml", "first", "http://localhost:8080/mfa/magic-link#token=x\r\nhttps://evil.example/\r\n<script>\r\n")
	write("2.eml", "second", "later\r\n")
	write("3.tmp", "unfinished", "x")
	body := ask(a, "GET", "/inbox", "").Body.String()
	if strings.Index(body, ">second<") > strings.Index(body, ">first<") || strings.Contains(body, "unfinished") {
		t.Errorf("not the mails, the latest first:\n%s", body)
	}
	if !strings.Contains(body, `href="http://localhost:8080/mfa/magic-link#token=x"`) || strings.Contains(body, `href="https://evil`) ||
		strings.Contains(body, "<script>") {
		t.Errorf("the links are wrong:\n%s", body)
	}
}
