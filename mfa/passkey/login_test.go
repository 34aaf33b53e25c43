package passkey

import (
	"encoding/json"
	"testing"
	"time"
)

func TestTheLoginOptionsAreTheJSONThatBrowsersParse(t *testing.T) {
	kind := newKind(t, func(c *Config) { c.UserVerification, c.Lifetime = "required", 90*time.Second })
	options, err := kind.BeginLogin([]byte("\xfb\xff a challenge"), []json.RawMessage{
		json.RawMessage(`{"id":"AQID-_8","publicKey":"pQ","transports":["usb","nfc"]}`),
		json.RawMessage(`{"id":"BAUG","publicKey":"pQ"}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"challenge":"-_8gYSBjaGFsbGVuZ2U","rpId":"example.com","userVerification":"required","timeout":90000,` +
		`"allowCredentials":[{"type":"public-key","id":"AQID-_8","transports":["usb","nfc"]},{"type":"public-key","id":"BAUG"}]}`
	if got := string(encodeJSON(t, options)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := kind.LoginLifetime(); got != 90*time.Second {
		t.Errorf("the challenge lives for %v, want 90s", got)
	}
}

func TestALoginNeedsAPasskeyToAskFor(t *testing.T) {
	for name, states := range map[string][]json.RawMessage{
		"none":     nil,
		"not ours": {json.RawMessage(`{"secret":"x"}`)},
	} {
		if options, err := newKind(t, nil).BeginLogin(make([]byte, 32), states); err == nil || options.Challenge != "" {
			t.Errorf("%s: challenge %q, %v", name, options.Challenge, err)
		}
	}
}
