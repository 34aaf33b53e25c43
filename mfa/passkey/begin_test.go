package passkey

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

var (
	now     = time.Unix(1_800_000_000, 0)
	account = factor.Account{Key: "k1", Name: "alice@example.com", Handle: bytes.Repeat([]byte{0xfb}, 32)}
)

func config() Config {
	return Config{RPID: "example.com", RPName: "Acme", Origins: []string{"https://login.example.com", "https://example.com:8443"}}
}

func newKind(t testing.TB, change func(*Config)) *Kind {
	t.Helper()
	c := config()
	if change != nil {
		change(&c)
	}
	kind, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return kind
}

func begin(t testing.TB, kind *Kind, account factor.Account, request factor.Request) (factor.Offer, Enrolment) {
	t.Helper()
	offer, err := kind.Begin(account, request, now)
	if err != nil {
		t.Fatal(err)
	}
	enrolment, ok := offer.Answer.(Enrolment)
	if !ok {
		t.Fatalf("the answer is a %T", offer.Answer)
	}
	return offer, enrolment
}

// enrol confirms a passkey with key and returns what is kept of it.
func enrol(t testing.TB, kind *Kind, account factor.Account, key coseKey) json.RawMessage {
	t.Helper()
	offer, enrolment := begin(t, kind, account, factor.Request{})
	got, err := kind.Confirm(account, offer.State, honest(enrolment, key).proof(t), now)
	if err != nil {
		t.Fatal(err)
	}
	return got.State
}

func TestTheOptionsAreTheJSONThatBrowsersParse(t *testing.T) {
	kind := newKind(t, nil)
	holder := account
	holder.Credentials = []json.RawMessage{
		json.RawMessage(`{"id":"AQID-_8","publicKey":"pQ","transports":["usb","nfc"]}`),
		json.RawMessage(`{"id":"BAUG","publicKey":"pQ"}`),
	}
	offer, enrolment := begin(t, kind, holder, factor.Request{})
	want := `{"rp":{"name":"Acme","id":"example.com"},` +
		`"user":{"name":"alice@example.com","displayName":"alice@example.com","id":"-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_s"},` +
		`"challenge":"` + enrolment.Challenge + `",` +
		`"pubKeyCredParams":[{"type":"public-key","alg":-7},{"type":"public-key","alg":-8},{"type":"public-key","alg":-35},{"type":"public-key","alg":-36},{"type":"public-key","alg":-257}],` +
		`"timeout":600000,` +
		`"excludeCredentials":[{"type":"public-key","id":"AQID-_8","transports":["usb","nfc"]},{"type":"public-key","id":"BAUG"}],` +
		`"authenticatorSelection":{"requireResidentKey":false,"residentKey":"preferred","userVerification":"preferred"},` +
		`"attestation":"none"}`
	if got := string(encodeJSON(t, enrolment.PublicKey)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if offer.Lifetime != 10*time.Minute || offer.Deliver != nil || offer.Address != "" {
		t.Errorf("offer %+v", offer)
	}
}

func TestTheEnrolmentRepeatsTheOptions(t *testing.T) {
	_, enrolment := begin(t, newKind(t, nil), account, factor.Request{})
	var answer map[string]any
	if err := json.Unmarshal(encodeJSON(t, enrolment), &answer); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"rpName": "Acme", "userName": "alice@example.com", "rpID": "example.com", "origin": "https://login.example.com",
		"userId": base64.RawURLEncoding.EncodeToString(account.Handle),
	} {
		if answer[name] != want {
			t.Errorf("%s is %v, want %q", name, answer[name], want)
		}
	}
	options, _ := answer["publicKey"].(map[string]any)
	if options["challenge"] != answer["challenge"] {
		t.Errorf("challenges %v and %v", options["challenge"], answer["challenge"])
	}
	if len(answer) != 7 {
		t.Errorf("the answer has %d members, want 7", len(answer))
	}
}

func TestEverySetupHasItsOwn256BitChallenge(t *testing.T) {
	kind, seen := newKind(t, nil), map[string]bool{}
	for range 100 {
		_, enrolment := begin(t, kind, account, factor.Request{})
		raw, err := base64.RawURLEncoding.DecodeString(enrolment.Challenge)
		if err != nil || len(raw) != 32 || seen[enrolment.Challenge] {
			t.Fatalf("challenge %q: %d bytes, %v, seen before: %v", enrolment.Challenge, len(raw), err, seen[enrolment.Challenge])
		}
		seen[enrolment.Challenge] = true
	}
}

func TestTimeoutAndUserVerificationFollowTheConfiguration(t *testing.T) {
	kind := newKind(t, func(c *Config) { c.UserVerification, c.Lifetime = "required", 90*time.Second })
	offer, enrolment := begin(t, kind, account, factor.Request{})
	if enrolment.PublicKey.Timeout != 90_000 || offer.Lifetime != 90*time.Second {
		t.Errorf("timeout %d, lifetime %v", enrolment.PublicKey.Timeout, offer.Lifetime)
	}
	if got := enrolment.PublicKey.AuthenticatorSelection.UserVerification; got != "required" {
		t.Errorf("user verification %q", got)
	}
}

func TestTheAccountIsNamedByEmailThenByName(t *testing.T) {
	kind := newKind(t, nil)
	for _, c := range []struct{ email, name, want string }{
		{" bob@example.com ", "subject-1", "bob@example.com"},
		{"", "sub\x00ject\u202e-1\xff", "subject-1"},
		{"", strings.Repeat("例", 300), strings.Repeat("例", 254)},
	} {
		_, enrolment := begin(t, kind, factor.Account{Name: c.name, Handle: account.Handle}, factor.Request{Email: c.email})
		if enrolment.UserName != c.want || enrolment.PublicKey.User.Name != c.want || enrolment.PublicKey.User.DisplayName != c.want {
			t.Errorf("%q, %q: named %q, want %q", c.email, c.name, enrolment.UserName, c.want)
		}
	}
}

func TestAnAccountThatCannotBeNamedIsABadRequest(t *testing.T) {
	for _, c := range []struct{ email, name string }{{"a\nb@example.com", "x"}, {"a\xff", "x"}, {"", ""}, {"", "\x00"}} {
		_, err := newKind(t, nil).Begin(factor.Account{Name: c.name, Handle: account.Handle}, factor.Request{Email: c.email}, now)
		if !errors.Is(err, factor.ErrBadRequest) {
			t.Errorf("%q, %q: %v, want ErrBadRequest", c.email, c.name, err)
		}
	}
}

func TestAnImpossibleUserHandleIsNotTheCallersFault(t *testing.T) {
	for _, length := range []int{0, 65} {
		_, err := newKind(t, nil).Begin(factor.Account{Name: "alice", Handle: make([]byte, length)}, factor.Request{}, now)
		if err == nil || errors.Is(err, factor.ErrBadRequest) {
			t.Errorf("%d bytes: %v", length, err)
		}
	}
}

func TestPasskeysAreNamedAfterTheDevice(t *testing.T) {
	for _, c := range []struct {
		device factor.Device
		want   string
	}{
		{factor.Device{}, "Passkey"},
		{factor.Device{Name: "iPhone 12", Type: "mobile", Browser: "Safari"}, "iPhone 12"},
		{factor.Device{UserAgent: "Mozilla/5.0", Browser: "Chrome", OS: "macOS", DeviceType: "desktop"}, "Chrome on macOS"},
		{factor.Device{Browser: "Chrome"}, "Chrome"},
		{factor.Device{OS: "macOS"}, "macOS"},
		{factor.Device{DeviceType: "desktop"}, "desktop"},
		{factor.Device{Type: "mobile"}, "mobile"},
		{factor.Device{UserAgent: "Mozilla/5.0"}, "Passkey"},
		{factor.Device{Name: "\x00\n", Browser: "Chr\u202eome\xff\x07"}, "Chrome"},
		{factor.Device{Name: strings.Repeat("例", 100)}, strings.Repeat("例", 64)},
		{factor.Device{Browser: strings.Repeat("b", 100), OS: "x"}, strings.Repeat("b", 64)},
	} {
		if got := passkeyName(c.device); got != c.want {
			t.Errorf("%+v: %q, want %q", c.device, got, c.want)
		}
	}
}

func BenchmarkBegin(b *testing.B) {
	kind := newKind(b, nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := kind.Begin(account, factor.Request{}, now); err != nil {
			b.Fatal(err)
		}
	}
}
