package main_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/caddymfa/caddy-mfa/internal/browsertest"
	"github.com/caddymfa/caddy-mfa/internal/edgetest"
	"github.com/caddymfa/caddy-mfa/internal/testtool"
)

// pageSite is a site whose login keeps its token in a cookie, with further
// options in mfa, and gates.
func pageSite(gates string, options ...string) string {
	config := strings.Replace(caddyfile(options...), "bearer dev", "bearer {\n dev\n cookie login\n}", 1)
	return strings.Replace(config, "\tmfa\n", "\tmfa\n"+gates+"\n", 1)
}

// screen is the size of a screen in CSS pixels.
type screen struct {
	name          string
	width, height int
}

var (
	desktop = screen{"desktop", 1280, 800}
	phone   = screen{"phone", 390, 844}
	narrow  = screen{"narrow", 320, 568} // also 1280 at a zoom of 400%
)

// visitor is a person in front of the page.
type visitor struct {
	*browsertest.Tab
	edge   *edgetest.Edge
	screen screen
	seen   map[string]bool // views that have been looked over
}

// visit opens a browser at a screen that is signed in by the cookie, unless
// token is "".
func visit(t *testing.T, e *edgetest.Edge, s screen, token string) *visitor {
	t.Helper()
	v := &visitor{Tab: browsertest.Open(t), edge: e, screen: s, seen: map[string]bool{}}
	v.resize(s)
	t.Cleanup(func() {
		if t.Failed() && v.Ctx.Err() == nil {
			if dir := os.Getenv(screenshots); dir != "" {
				v.shoot(filepath.Join(dir, "failed"))
			}
			t.Logf("the browser is at %s and shows:\n%s", v.Eval("location.href"), v.text())
		}
	})
	if token != "" {
		v.signIn(token)
	}
	return v
}

func (v *visitor) signIn(token string) {
	v.T.Helper()
	v.Run(chromedp.Navigate(v.edge.URL + "/public"))
	v.until(`(document.cookie = "login=` + token + `; path=/", document.cookie.includes("` + token + `"))`)
}

func (v *visitor) resize(s screen) {
	v.T.Helper()
	v.Run(chromedp.EmulateViewport(int64(s.width), int64(s.height)))
	if s.width < 500 {
		browsertest.Call(v.Tab, emulation.SetTouchEmulationEnabled, emulation.SetTouchEmulationEnabledParams{Enabled: true, MaxTouchPoints: 1})
	}
}

// open goes to a path of the edge's.
func (v *visitor) open(path string) {
	v.T.Helper()
	v.Run(chromedp.Navigate(v.edge.URL + path))
}

// await waits for a view of the page.
func (v *visitor) await(view string) {
	v.T.Helper()
	v.until(`document.querySelector('#card[data-view="` + view + `"]')`)
}

// until waits until an expression becomes true, over navigations too.
func (v *visitor) until(expression string) {
	v.T.Helper()
	edgetest.Eventually(v.T, 30*time.Second, expression, func() bool {
		is, err := chromedp.Run(v.Ctx, chromedp.Evaluate[bool]("Boolean("+expression+")"))
		return err == nil && is
	})
}

// click presses the mouse on what a selector finds, once it can be pressed.
func (v *visitor) click(selector string) {
	v.T.Helper()
	found := `document.querySelector("` + selector + `")`
	v.until(found + `?.checkVisibility() && !` + found + `.disabled`)
	at := strings.Fields(v.Eval(`(() => {
		` + found + `.scrollIntoView({ block: "center" });
		const { left, top, width, height } = ` + found + `.getBoundingClientRect();
		return (left + width / 2) + " " + (top + height / 2);
	})()`))
	x, err := strconv.ParseFloat(at[0], 64)
	if err != nil {
		v.T.Fatal(err)
	}
	y, err := strconv.ParseFloat(at[1], 64)
	if err != nil {
		v.T.Fatal(err)
	}
	v.Run(chromedp.MouseClickXY(x, y))
}

// press clicks the button that is called name.
func (v *visitor) press(name string) {
	v.T.Helper()
	quoted, err := json.Marshal(name)
	if err != nil {
		v.T.Fatal(err)
	}
	v.until(`[...document.querySelectorAll("button, a.button")].find((b) => b.checkVisibility() && (b.getAttribute("aria-label") || b.innerText.trim()) === ` + string(quoted) + `)`)
	v.Eval(`[...document.querySelectorAll("button, a.button")].filter((b) => b.checkVisibility()).find((b) => (b.getAttribute("aria-label") || b.innerText.trim()) === ` + string(quoted) + `).click()`)
}

func (v *visitor) fill(selector, text string) {
	v.T.Helper()
	v.Run(chromedp.WaitVisible(chromedp.CSS(selector)))
	v.Eval(`document.querySelector("` + selector + `").value = ""`)
	v.Run(chromedp.SendKeys(chromedp.CSS(selector), text))
}

func (v *visitor) text() string {
	v.T.Helper()
	return v.Eval("document.body.innerText")
}

// shows waits until a text can be read, whatever its spaces are.
func (v *visitor) shows(text string) {
	v.T.Helper()
	quoted, err := json.Marshal(text)
	if err != nil {
		v.T.Fatal(err)
	}
	v.until(`document.body.innerText.replace(/[\u00a0\u202f]/g, " ").includes(` + string(quoted) + `)`)
}

// at waits until the browser is at a path of the edge's.
func (v *visitor) at(path string) {
	v.T.Helper()
	v.until(`location.href === "` + v.edge.URL + path + `"`)
}

// keepCodes goes through the view of backup codes and returns them.
func (v *visitor) keepCodes() []string {
	v.T.Helper()
	v.await("codes")
	codes := strings.Fields(v.Eval(`[...document.querySelectorAll("#codes code")].map((c) => c.textContent).join(" ")`))
	v.look("codes")
	v.click("#kept")
	v.click("#codes-done")
	return codes
}

// clean makes sure that the browser had nothing to complain of and asked
// nobody but the edge.
func (v *visitor) clean() {
	v.T.Helper()
	if complaints := v.Complaints(); len(complaints) != 0 {
		v.T.Errorf("the browser complains: %q", complaints)
	}
	for _, url := range v.Requests() {
		if !strings.HasPrefix(url, v.edge.URL+"/") && !strings.HasPrefix(url, "data:") && !strings.HasPrefix(url, "blob:") {
			v.T.Errorf("a request left the origin: %s", url)
		}
	}
}

// screenshots is the environment variable that names a folder to put
// pictures of the views in.
const screenshots = "MFA_TEST_SCREENSHOTS"

// look looks the present view over: that nothing has to be scrolled for
// sideways, that what is pressed is large enough, and, in light and in dark
// mode, what axe-core finds.
func (v *visitor) look(name string) {
	v.T.Helper()
	if v.seen[name] {
		return
	}
	v.seen[name] = true
	for _, s := range []screen{v.screen, narrow} {
		if s == narrow && v.screen == desktop {
			continue
		}
		v.resize(s)
		if got := v.Eval("document.documentElement.scrollWidth"); got != fmt.Sprint(s.width) {
			v.T.Errorf("%s: the page is %s px wide on a screen of %d", name, got, s.width)
		}
	}
	v.resize(v.screen)
	if small := v.Eval(`[...document.querySelectorAll("button, a, input")].filter((b) => b.checkVisibility() && !b.disabled)
		.filter((b) => { const r = b.getBoundingClientRect(); return r.width < 24 || r.height < 24; }).map((b) => b.outerHTML).join()`); small != "" {
		v.T.Errorf("%s: too small to press: %s", name, small)
	}
	for _, scheme := range []string{"dark", "light"} {
		browsertest.Call(v.Tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}},
		})
		v.axe(name + " in " + scheme)
		if dir := os.Getenv(screenshots); dir != "" {
			v.shoot(filepath.Join(dir, name+"-"+v.screen.name+"-"+scheme))
		}
	}
}

// shoot writes a picture of the screen into a file.
func (v *visitor) shoot(path string) {
	v.T.Helper()
	result, err := chromedp.Call(v.Ctx, page.CaptureScreenshot, page.CaptureScreenshotParams{})
	if err != nil {
		v.T.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		v.T.Fatal(err)
	}
	if err := os.WriteFile(path+".png", result.Data, 0o644); err != nil {
		v.T.Fatal(err)
	}
}

// axePath is the environment variable that names axe.min.js of the npm
// package axe-core.
const axePath = "MFA_TEST_AXE"

// axe fails the test for what axe-core finds wrong in the page.
func (v *visitor) axe(name string) {
	v.T.Helper()
	if found := v.violations(); found != "" {
		v.T.Errorf("%s: axe finds\n%s", name, found)
	}
}

// violations is what axe-core finds wrong in the page. Without axe-core
// nothing is looked at, unless everything is required.
func (v *visitor) violations() string {
	v.T.Helper()
	path := os.Getenv(axePath)
	if path == "" {
		if os.Getenv(testtool.RequireAll) == "1" {
			v.T.Fatalf("%s does not name axe.min.js of the npm package axe-core", axePath)
		}
		return ""
	}
	script, err := os.ReadFile(path)
	if err != nil {
		v.T.Fatal(err)
	}
	if _, err := chromedp.Run(v.Ctx, chromedp.Evaluate[bool](string(script)+"; true")); err != nil {
		v.T.Fatal(err)
	}
	return v.Eval(`axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }).then(({ violations }) =>
		violations.map((one) => one.id + ": " + one.nodes.map((n) => n.html + " " + n.failureSummary).join("\n")).join("\n"))`)
}

// before has a script run in every document before the document's own.
func (v *visitor) before(script string) {
	v.T.Helper()
	if _, err := chromedp.Call(v.Ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script}); err != nil {
		v.T.Fatal(err)
	}
}
