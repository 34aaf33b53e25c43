package main_test

import (
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/caddymfa/caddy-mfa/internal/browsertest"
)

// browser is a tab that people enrol in.
type browser struct{ *browsertest.Tab }

func startBrowser(t *testing.T) *browser {
	t.Helper()
	return &browser{browsertest.Open(t)}
}

func (b *browser) open(url string) {
	b.T.Helper()
	b.Run(chromedp.Navigate(url))
}

// confirm opens a mailed link, presses the button if there is one, and
// returns the state that the page comes to and what a person then reads on it.
func (b *browser) confirm(link string) (state, text string) {
	b.T.Helper()
	b.Run(
		chromedp.Navigate("about:blank"), chromedp.Navigate(link),
		chromedp.WaitReady(chromedp.CSS(`#confirm, #card[data-state="failed"]`)),
	)
	b.Eval(`document.getElementById("confirm")?.click()`)
	b.Run(chromedp.WaitReady(chromedp.CSS(`#card[data-state="done"], #card[data-state="failed"]`)))
	return b.Eval(`document.getElementById("card").dataset.state`), b.Eval("document.body.innerText")
}
