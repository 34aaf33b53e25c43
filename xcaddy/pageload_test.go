package main_test

import (
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"

	"github.com/caddymfa/caddy-mfa/internal/browsertest"
	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

// late waits until the page says that it does not get on, ten seconds on.
func (v *visitor) late(text string) {
	v.T.Helper()
	v.until(`document.querySelector(".late")?.getAnimations().length === 1`)
	for _, at := range []struct{ ms, visible string }{{"9000", "false"}, {"11000", "true"}} {
		if visible := v.Eval(`(() => {
			const late = document.querySelector(".late");
			late.getAnimations()[0].pause();
			late.getAnimations()[0].currentTime = ` + at.ms + `;
			return late.checkVisibility({ visibilityProperty: true });
		})()`); visible != at.visible {
			v.T.Errorf("after %s ms it is visible: %s", at.ms, visible)
		}
	}
	v.shows(text)
}

// without is config with an answer of its own for one file of the page's.
func without(file, config string) string {
	return strings.Replace(config, "\tmfa\n", "\troute {\n\t\trespond /mfa/assets/"+file+" 404\n\t\tmfa\n\t}\n", 1)
}

func TestAScriptThatIsNotThereIsSaidAndCanBeTriedAgain(t *testing.T) {
	onBothScreens(t, without("verify.js", pageSite("")), func(t *testing.T, e *edgetest.Edge, s screen) {
		alice := e.Token("alice", nil)
		v := visit(t, e, s, alice)
		v.open("/mfa/?return_to=%2Fhome")
		v.late("This takes longer than it should.")
		v.look("late")
		if err := e.Reload(pageSite("")); err != nil {
			t.Fatal(err)
		}
		v.press("Try again")
		v.await("choose")
		v.at("/mfa/?return_to=%2Fhome")
		v.clean()
	})
}

func TestANetworkThatGoesWhileThePageLoadsIsSaid(t *testing.T) {
	e := edgetest.New(t)
	e.Start(pageSite(adminGate))
	alice := e.Token("alice", nil)
	setupLink(e, alice, "alice@example.org").Data(t)
	mails := outbox(t, e)
	mailed, _ := link(t, mails[len(mails)-1])
	mailed = strings.TrimPrefix(mailed, e.URL)
	block := func(v *visitor, patterns ...*network.BlockPattern) {
		browsertest.Call(v.Tab, network.Enable, network.EnableParams{})
		browsertest.Call(v.Tab, network.SetBlockedURLs, network.SetBlockedURLsParams{URLPatterns: patterns})
	}
	for lang, want := range map[string]string{
		"en": "load the page again", "de": "laden Sie die Seite neu", "fr": "rechargez la page", "es": "vuelve a cargar la página", "ja": "再読み込み",
	} {
		v := visit(t, e, phone, alice)
		browsertest.Call(v.Tab, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: "Mozilla/5.0 iPhone", AcceptLanguage: lang})
		block(v, &network.BlockPattern{URLPattern: "*://*:*/mfa/assets/*.js", Block: true})
		v.open("/mfa/")
		v.late(want)
		v.look("late-" + lang)
		// A mailed link's token stays in the address, to be loaded again.
		v.open(mailed)
		v.late(want)
		if v.Eval(`document.querySelector(".late a")`) != "null" {
			t.Error("a press would lose the link's token")
		}
		block(v)
		v.Eval(`location.reload()`)
		v.until(`document.getElementById("confirm")`)
		v.clean()
	}
}
