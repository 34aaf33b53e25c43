package main_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

// onBothScreens runs a test on a large screen and on a phone, each with an
// edge of its own.
func onBothScreens(t *testing.T, config string, test func(t *testing.T, e *edgetest.Edge, s screen)) {
	for _, s := range []screen{desktop, phone} {
		t.Run(s.name, func(t *testing.T) {
			e := edgetest.New(t)
			e.Start(config)
			test(t, e, s)
		})
	}
}

func TestAPersonSentByAGateEnrolsAnAppAndGoesOn(t *testing.T) {
	onBothScreens(t, pageSite(adminGate), func(t *testing.T, e *edgetest.Edge, s screen) {
		token := e.Token("alice", nil)
		v := visit(t, e, s, token)
		v.open("/admin/reports?year=2026")
		v.await("choose")
		v.shows("What you opened needs a second step")
		v.look("choose")
		v.click("#add-GOOGLE_AUTH")
		v.await("setup-app")
		v.fill("#code", "123 abc")
		if got := v.Eval(`document.getElementById("code").value`); got != "123" {
			t.Errorf("the field takes %q", got)
		}
		secret := strings.ReplaceAll(v.Eval(`document.getElementById("secret").textContent`), " ", "")
		if read := readQRCode(t, v.Eval(`document.querySelector(".qr img").src`)); !strings.Contains(read, secret) {
			t.Errorf("the QR code says %q", read)
		}
		if offered := v.Eval(`document.getElementById("otpauth") !== null`); offered != map[screen]string{desktop: "false", phone: "true"}[s] {
			t.Errorf("the link into an app is offered: %s", offered)
		}
		v.look("setup-app")
		v.fill("#code", wrongCode(t, secret))
		v.shows("That code is wrong or was used")
		v.fill("#code", edgetest.Code(t, secret))
		if codes := v.keepCodes(); len(codes) != 10 {
			t.Errorf("%d backup codes are shown", len(codes))
		}
		v.at("/admin/reports?year=2026")
		requests := e.Upstream.Requests()
		i := slices.IndexFunc(requests, func(r *http.Request) bool { return r.URL.Path == "/admin/reports" })
		if i < 0 {
			t.Fatal("the upstream got no request for the gated page")
		}
		if h := requests[i].Header; h.Get("X-MFA-User") != "alice" || h.Get("X-MFA-Methods") != "GOOGLE_AUTH" || strings.Contains(h.Get("Cookie"), "__Host-mfa") {
			t.Errorf("the upstream gets %v", h)
		}
		v.clean()
	})
}
