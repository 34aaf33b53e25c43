package passkey

import (
	"encoding/base64"
	"encoding/json"
	"testing"
	"time"
)

func TestTheLoginOptionsAreTheJSONThatBrowsersParse(t *testing.T) {
	kind := newKind(t, func(c *Config) { c.UserVerification, c.Lifetime = "required", 90*time.Second })
	challenge, options, err := kind.BeginLogin([]json.RawMessage{
		json.RawMessage(`{"id":"AQID-_8","publicKey":"pQ","transports":["usb","nfc"]}`),
		json.RawMessage(`{"id":"BAUG","publicKey":"pQ"}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"challenge":"` + challenge + `","rpId":"example.com","userVerification":"required","timeout":90000,` +
		`"allowCredentials":[{"type":"public-key","id":"AQID-_8","transports":["usb","nfc"]},{"type":"public-key","id":"BAUG"}]}`
	if got := string(encodeJSON(t, options)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := kind.LoginLifetime(); got != 90*time.Second {
		t.Errorf("the challenge lives for %v, want 90s", got)
	}
}

func TestEveryLoginHasItsOwn256BitChallenge(t *testing.T) {
	kind, seen := newKind(t, nil), map[string]bool{}
	for range 100 {
		challenge, _, err := kind.BeginLogin([]json.RawMessage{json.RawMessage(`{"id":"AQ"}`)})
		if err != nil {
			t.Fatal(err)
		}
		raw, err := base64.RawURLEncoding.DecodeString(challenge)
		if err != nil || len(raw) != 32 || seen[challenge] {
			t.Fatalf("challenge %q: %d bytes, %v, seen before: %v", challenge, len(raw), err, seen[challenge])
		}
		seen[challenge] = true
	}
}

func TestALoginNeedsAPasskeyToAskFor(t *testing.T) {
	for name, states := range map[string][]json.RawMessage{
		"none":     nil,
		"not ours": {json.RawMessage(`{"secret":"x"}`)},
	} {
		if challenge, _, err := newKind(t, nil).BeginLogin(states); err == nil || challenge != "" {
			t.Errorf("%s: challenge %q, %v", name, challenge, err)
		}
	}
}
