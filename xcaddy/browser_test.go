package main_test

import (
	"testing"

	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

	"github.com/caddymfa/caddy-mfa/internal/browsertest"
)

// browser is a tab that people enrol in.
type browser struct{ *browsertest.Tab }

func startBrowser(t *testing.T) *browser {
	t.Helper()
	return &browser{browsertest.Open(t)}
}

// addAuthenticator gives the tab a passkey provider that says yes to
// everything, as a phone does whose owner presses the sensor.
func (b *browser) addAuthenticator() {
	b.T.Helper()
	browsertest.Call(b.Tab, webauthn.Enable, webauthn.EnableParams{})
	browsertest.Call(b.Tab, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{
		Options: &webauthn.VirtualAuthenticatorOptions{
			Protocol:                    webauthn.AuthenticatorProtocolCtap2,
			Transport:                   webauthn.AuthenticatorTransportInternal,
			HasResidentKey:              true,
			HasUserVerification:         true,
			IsUserVerified:              true,
			AutomaticPresenceSimulation: true,
		},
	})
}

func (b *browser) open(url string) {
	b.T.Helper()
	b.Run(chromedp.Navigate(url))
}

// confirm opens a mailed link, presses the button, and returns the state
// that the page comes to and what a person then reads on it.
func (b *browser) confirm(link string) (state, text string) {
	b.T.Helper()
	b.Run(
		chromedp.Navigate("about:blank"), chromedp.Navigate(link),
		chromedp.Click(chromedp.CSS("#confirm"), chromedp.NodeVisible),
		chromedp.WaitReady(chromedp.CSS(`#card[data-state="done"], #card[data-state="failed"]`)),
	)
	return b.Eval(`document.getElementById("card").dataset.state`), b.Eval("document.body.innerText")
}
