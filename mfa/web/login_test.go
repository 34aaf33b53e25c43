package web

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

const loginLink = `{"success":true,"data":{"purpose":"login","requestedAt":"2026-03-01T12:00:00Z",` +
	`"ip":"203.0.113.7","userAgent":"Device <b>X</b>","expiresAt":"2026-03-01T12:10:00Z"}}`

// openLogin opens a link that was sent for a login.
func openLogin(t *testing.T, answers ...answer) (*site, *browser) {
	t.Helper()
	s := startSite(t, "/mfa", answers...)
	s.inspected = loginLink
	b := startBrowser(t)
	b.Run(chromedp.Navigate(s.link()), chromedp.WaitVisible(chromedp.CSS("#number")))
	return s, b
}

func TestALoginLinkTellsWhoAsksAndWantsTheNumber(t *testing.T) {
	s, b := openLogin(t, answer{status: 200, body: activated})
	b.expect("Are you signing in?", "203.0.113.7", "Device <b>X</b>", "Approve", "It wasn’t me")
	b.click()
	b.expect("Enter the two digits")
	if posts := s.received(); len(posts) != 0 {
		t.Fatalf("without a number %v was sent", posts)
	}
	b.Run(chromedp.SendKeys(chromedp.CSS("#number"), "42"))
	b.click()
	b.await("done")
	b.expect("Sign-in approved")
	if posts := s.received(); len(posts) != 1 || !strings.Contains(posts[0].body, `"matchNumber":"42"`) || !strings.Contains(posts[0].body, testToken) {
		t.Errorf("sent %v", posts)
	}
	b.expectNoComplaint()
}

func TestAWrongNumberCanBeMended(t *testing.T) {
	s, b := openLogin(t, answer{status: 400, body: expired}, answer{status: 200, body: activated})
	b.Run(chromedp.SendKeys(chromedp.CSS("#number"), "41"))
	b.click()
	b.await("failed")
	b.expect("Check the number")
	b.Run(chromedp.SetValue(chromedp.CSS("#number"), "42"))
	b.click()
	b.await("done")
	if posts := s.received(); len(posts) != 2 {
		t.Errorf("sent %v", posts)
	}
}

func TestALoginThatIsNotTheirsIsRefused(t *testing.T) {
	s, b := openLogin(t, answer{status: 200, body: denied})
	b.Run(chromedp.Click(chromedp.CSS("#deny"), chromedp.NodeVisible))
	b.await("done")
	b.expect("Sign-in refused", "change it")
	if posts := s.received(); len(posts) != 1 || strings.Contains(posts[0].body, "matchNumber") {
		t.Errorf("sent %v", posts)
	}
}

func TestAnAnswerAboutALinkSaysNothingOfTheNext(t *testing.T) {
	for _, press := range []string{"#confirm", "#deny"} {
		s, b := openLogin(t, answer{status: 200, body: activated})
		b.Eval(`(() => {
			const send = window.fetch;
			window.fetch = async (path, options) => {
				const response = await send(path, options);
				if (!path.endsWith("inspect")) {
					document.body.dataset.held = "";
					await new Promise((go) => { window.answer = go; });
					delete document.body.dataset.held;
				}
				return response;
			};
		})()`)
		held := chromedp.WaitReady(chromedp.CSS("body[data-held]"))
		b.Run(chromedp.SendKeys(chromedp.CSS("#number"), "42"), chromedp.Click(chromedp.CSS(press)), held)
		b.Eval(`(() => { document.getElementById("number").dataset.first = ""; location.hash = "token=another"; })()`)
		b.Run(chromedp.WaitReady(chromedp.CSS("#number:not([data-first])")))
		b.Eval("window.answer()")
		b.Run(chromedp.SendKeys(chromedp.CSS("#number"), "17"), chromedp.Click(confirm), held)
		b.Eval("window.answer()")
		b.await("done")
		if posts := s.received(); len(posts) != 2 || !strings.Contains(posts[1].body, "another") {
			t.Errorf("after %s, sent %v", press, posts)
		}
	}
}
