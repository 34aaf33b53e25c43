package magiclink

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/mail"
)

var (
	_ factor.Kind = (*Kind)(nil)

	testNow     = time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)
	testAccount = factor.Account{Key: "Acc0unt-Key_1", Name: "alice@example.com", Email: "Alice@Example.com"}
)

const testLinkURL = "https://example.com/mfa/magic-link"

// outbox is a mail.Sender that keeps what it gets.
type outbox struct {
	messages []mail.Message
	err      error
}

func (o *outbox) Send(ctx context.Context, msg mail.Message) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	o.messages = append(o.messages, msg)
	return o.err
}

func newKind(t *testing.T, change func(*Config)) (*Kind, *outbox) {
	t.Helper()
	sent := &outbox{}
	config := Config{Sender: sent, LinkURL: testLinkURL, Issuer: "Acme"}
	if change != nil {
		change(&config)
	}
	kind, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return kind, sent
}

func begin(t *testing.T, kind *Kind, account factor.Account, email string) factor.Offer {
	t.Helper()
	offer, err := kind.Begin(account, factor.Request{Email: email}, testNow)
	if err != nil {
		t.Fatal(err)
	}
	return offer
}

// deliver delivers offer and returns the mail and the token in its link.
func deliver(t *testing.T, sent *outbox, offer factor.Offer) (mail.Message, string) {
	t.Helper()
	if err := offer.Deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
	msg := sent.messages[len(sent.messages)-1]
	_, rest, ok := strings.Cut(msg.Text, "#token=")
	if !ok {
		t.Fatalf("no link in %q", msg.Text)
	}
	token, _, _ := strings.Cut(rest, "\n")
	return msg, token
}

func TestAMailedTokenConfirmsTheAddress(t *testing.T) {
	kind, sent := newKind(t, nil)
	offer := begin(t, kind, testAccount, "Bob.Smith@Mail.Example.COM")
	if want := (Enrolment{Email: "Bob.Smith@mail.example.com"}); offer.Answer != want {
		t.Errorf("answer is %+v, want %+v", offer.Answer, want)
	}
	if offer.Address != "bob.smith@mail.example.com" {
		t.Errorf("the address for limits is %q", offer.Address)
	}
	if offer.Lifetime != 10*time.Minute {
		t.Errorf("lifetime is %s", offer.Lifetime)
	}
	if len(sent.messages) != 0 {
		t.Fatal("Begin sent mail")
	}
	msg, token := deliver(t, sent, offer)
	if msg.To != "Bob.Smith@mail.example.com" {
		t.Errorf("the mail went to %q", msg.To)
	}
	credential, err := kind.Confirm(testAccount, offer.State, factor.Proof{Token: token}, testNow)
	if err != nil {
		t.Fatal(err)
	}
	if credential.Name != "Bob.Smith@mail.example.com" {
		t.Errorf("the credential's name is %q", credential.Name)
	}
	if got, want := string(credential.State), `{"address":"Bob.Smith@mail.example.com"}`; got != want {
		t.Errorf("the credential's state is %s, want %s", got, want)
	}
	if kind.Type() != factor.TypeMagicLink {
		t.Errorf("type is %q", kind.Type())
	}
}

func TestNeitherStateNorAnswerHoldsTheToken(t *testing.T) {
	kind, sent := newKind(t, nil)
	offer := begin(t, kind, testAccount, "bob@example.com")
	_, token := deliver(t, sent, offer)
	secretText := token[strings.LastIndexByte(token, '.')+1:]
	secret, err := base64.RawURLEncoding.DecodeString(secretText)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := json.Marshal(offer.Answer)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"state": offer.State, "answer": answer} {
		if bytes.Contains(content, []byte(secretText)) || bytes.Contains(content, secret) {
			t.Errorf("the %s holds the secret: %s", name, content)
		}
	}
}

func TestEachSetupHasATokenOfItsOwn(t *testing.T) {
	kind, sent := newKind(t, nil)
	first, second := begin(t, kind, testAccount, "bob@example.com"), begin(t, kind, testAccount, "bob@example.com")
	_, token := deliver(t, sent, first)
	if _, err := kind.Confirm(testAccount, second.State, factor.Proof{Token: token}, testNow); !errors.Is(err, factor.ErrWrongProof) {
		t.Errorf("the first setup's token answers the second: %v", err)
	}
}

func TestOnlyTheWholeTokenOfTheAccountIsAccepted(t *testing.T) {
	kind, sent := newKind(t, nil)
	offer := begin(t, kind, testAccount, "bob@example.com")
	_, token := deliver(t, sent, offer)
	secret := token[strings.LastIndexByte(token, '.')+1:]
	other := testAccount
	other.Key = "another"
	_, othersToken := deliver(t, sent, begin(t, kind, other, "bob@example.com"))

	for name, test := range map[string]struct {
		account factor.Account
		proof   factor.Proof
	}{
		"no proof":                       {testAccount, factor.Proof{}},
		"the token as a code":            {testAccount, factor.Proof{Code: token}},
		"the secret alone":               {testAccount, factor.Proof{Token: secret}},
		"the secret without its account": {testAccount, factor.Proof{Token: "." + secret}},
		"another account's key":          {testAccount, factor.Proof{Token: "another." + secret}},
		"another account":                {other, factor.Proof{Token: token}},
		"another account's token":        {testAccount, factor.Proof{Token: othersToken}},
		"a byte less":                    {testAccount, factor.Proof{Token: token[:len(token)-1]}},
		"a byte more":                    {testAccount, factor.Proof{Token: token + "A"}},
		"a newline more":                 {testAccount, factor.Proof{Token: token + "\n"}},
		"padding":                        {testAccount, factor.Proof{Token: token + "="}},
		"another secret":                 {testAccount, factor.Proof{Token: testAccount.Key + "." + strings.Repeat("A", 43)}},
		"the whole link":                 {testAccount, factor.Proof{Token: testLinkURL + "#token=" + token}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := kind.Confirm(test.account, offer.State, test.proof, testNow)
			if !errors.Is(err, factor.ErrWrongProof) {
				t.Fatalf("error is %v", err)
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("error %q holds the secret", err)
			}
		})
	}
	if _, err := kind.Confirm(testAccount, offer.State, factor.Proof{Token: token}, testNow); err != nil {
		t.Errorf("the right token is refused afterwards: %v", err)
	}
}

func TestADamagedStateConfirmsNothing(t *testing.T) {
	kind, sent := newKind(t, nil)
	_, token := deliver(t, sent, begin(t, kind, testAccount, "bob@example.com"))
	for _, state := range []string{``, `null`, `{}`, `[]`, `{"address":"bob@example.com"}`, `{"address":"bob@example.com","secretHash":""}`} {
		if _, err := kind.Confirm(testAccount, json.RawMessage(state), factor.Proof{Token: token}, testNow); err == nil {
			t.Errorf("state %q is accepted", state)
		}
	}
}

func TestWithAnyAddressTheRequestNamesIt(t *testing.T) {
	kind, _ := newKind(t, func(c *Config) { c.Addresses = Any })
	_, err := kind.Begin(testAccount, factor.Request{}, testNow)
	if !errors.Is(err, factor.ErrBadRequest) || !strings.Contains(err.Error(), "email is required for MAGIC_LINK: ") {
		t.Errorf("error is %v", err)
	}
	if offer := begin(t, kind, testAccount, "other@example.org"); offer.Answer != (Enrolment{Email: "other@example.org"}) {
		t.Errorf("answer is %+v", offer.Answer)
	}
}

func TestWithClaimedAddressesOnlyTheTokensOwnIsUsed(t *testing.T) {
	kind, sent := newKind(t, func(c *Config) { c.Addresses = Claim })
	for _, email := range []string{"", "Alice@example.com", "ALICE@EXAMPLE.COM"} {
		offer := begin(t, kind, testAccount, email)
		msg, _ := deliver(t, sent, offer)
		if msg.To != "Alice@example.com" || offer.Address != "alice@example.com" {
			t.Errorf("for email %q the mail goes to %q, counted as %q", email, msg.To, offer.Address)
		}
	}
	for name, test := range map[string]struct{ claim, email, want string }{
		"another address":   {"alice@example.com", "eve@example.com", "leave email out"},
		"a malformed email": {"alice@example.com", "alice", "leave email out"},
		"no claim":          {"", "", "e-mail claim"},
		"email, no claim":   {"", "alice@example.com", "e-mail claim"},
		"a malformed claim": {"alice", "", "access token claims cannot be used"},
		"a hostile claim":   {"alice@example.com\r\nBcc: eve@example.com", "", "control character"},
	} {
		t.Run(name, func(t *testing.T) {
			account := testAccount
			account.Email = test.claim
			_, err := kind.Begin(account, factor.Request{Email: test.email}, testNow)
			if !errors.Is(err, factor.ErrBadRequest) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v, want a bad request that says %q", err, test.want)
			}
		})
	}
}

func TestAnAddressThatIsNoBareOneIsRefused(t *testing.T) {
	kind, _ := newKind(t, nil)
	for _, email := range []string{
		"alice", "@example.com", "alice@", "alice@@example.com", "alice @example.com", " alice@example.com", "alice@example.com ",
		"Alice <alice@example.com>", "<alice@example.com>", "alice@example.com, eve@example.com", "alice@example.com(comment)",
		`"alice x"@example.com`, "alice@[127.0.0.1]", "alice@exa mple.com", "alice@-example.com", "alice@example..com", "alice@example_x.com",
		"älice@example.com", "alice@example.com\r\nBcc: eve@example.com", "alice@example.com\n", "alice\x00@example.com", "alice\x7f@example.com",
		"alice@example.com.", "alice@b..", "alice@localhost", "alice@localhost.", "alice@b。", "alice@exam\xffple.com", "ali\xffce@example.com",
		strings.Repeat("a", 65) + "@example.com", "a@" + strings.Repeat("a.", 126) + "com", "a@" + strings.Repeat("a", 64) + ".com",
	} {
		_, err := kind.Begin(testAccount, factor.Request{Email: email}, testNow)
		if !errors.Is(err, factor.ErrBadRequest) || !strings.Contains(err.Error(), "email cannot be used: ") {
			t.Errorf("%q: error is %v", email, err)
		}
		if err != nil && strings.Contains(err.Error(), "eve@") {
			t.Errorf("error %q repeats the input", err)
		}
	}
}

func TestAnInternationalDomainIsConverted(t *testing.T) {
	kind, _ := newKind(t, nil)
	for email, want := range map[string]string{
		"Alice@Größe.example":          "Alice@xn--gre-6ka8i.example",
		"alice@xn--gre-6ka8i.example":  "alice@xn--gre-6ka8i.example",
		"alice+tag@例え.テスト":             "alice+tag@xn--r8jz45g.xn--zckzah",
		"o'neill@example.com":          "o'neill@example.com",
		"alice@ＥＸＡＭＰＬＥ.com":            "alice@example.com",
		"first.last@sub.example.co.uk": "first.last@sub.example.co.uk",
	} {
		if offer := begin(t, kind, testAccount, email); offer.Answer != (Enrolment{Email: want}) {
			t.Errorf("%q became %+v, want %q", email, offer.Answer, want)
		}
	}
}

func TestLocalAddressesAreForMailThatStaysOnThisMachine(t *testing.T) {
	kind, _ := newKind(t, func(config *Config) { config.Local = true })
	if offer := begin(t, kind, testAccount, "alice@localhost"); offer.Answer != (Enrolment{Email: "alice@localhost"}) {
		t.Errorf("it became %+v", offer.Answer)
	}
	if _, err := kind.Begin(testAccount, factor.Request{Email: "alice@localhost."}, testNow); !errors.Is(err, factor.ErrBadRequest) {
		t.Errorf("with a dot at the end: %v", err)
	}
}

func TestAnAccountKeyThatIsNotURLSafeIsAnErrorOfTheServer(t *testing.T) {
	kind, _ := newKind(t, nil)
	for _, key := range []string{"", "a b", "a/b", "a#b", "a%b", "ä", "a\n", strings.Repeat("a", 513)} {
		account := testAccount
		account.Key = key
		_, err := kind.Begin(account, factor.Request{Email: "bob@example.com"}, testNow)
		if err == nil || errors.Is(err, factor.ErrBadRequest) {
			t.Errorf("key %q: error is %v", key, err)
		}
	}
}

func TestADeliveryThatFailsSaysSo(t *testing.T) {
	kind, sent := newKind(t, nil)
	sent.err = errors.New("the mail system is down")
	offer := begin(t, kind, testAccount, "bob@example.com")
	if err := offer.Deliver(t.Context()); !errors.Is(err, sent.err) {
		t.Errorf("error is %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := offer.Deliver(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
}

func TestABadConfigurationIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"no sender":         {func(c *Config) { c.Sender = nil }, "mail sender"},
		"no URL":            {func(c *Config) { c.LinkURL = "" }, "absolute"},
		"a relative URL":    {func(c *Config) { c.LinkURL = "/mfa/magic-link" }, "absolute"},
		"another scheme":    {func(c *Config) { c.LinkURL = "javascript://example.com/" }, "http or https"},
		"a fragment":        {func(c *Config) { c.LinkURL += "#x" }, "fragment"},
		"an empty fragment": {func(c *Config) { c.LinkURL += "#" }, "fragment"},
		"a user":            {func(c *Config) { c.LinkURL = "https://u:p4ss@example.com/" }, "without user"},
		"a bad port":        {func(c *Config) { c.LinkURL = "https://u:p4ss@example.com:x/" }, "parsing the page's URL"},
		"an unreadable URL": {func(c *Config) { c.LinkURL = "https://exa mple.com" }, "parsing the page's URL"},
		"no issuer":         {func(c *Config) { c.Issuer = " " }, "issuer"},
		"a broken issuer":   {func(c *Config) { c.Issuer = "Acme\r\nBcc: x" }, "issuer"},
		"negative expiry":   {func(c *Config) { c.Expiry = -time.Minute }, "expiry"},
		"endless expiry":    {func(c *Config) { c.Expiry = 25 * time.Hour }, "expiry"},
		"another choice":    {func(c *Config) { c.Addresses = "all" }, "any or claim"},
	} {
		t.Run(name, func(t *testing.T) {
			config := Config{Sender: &outbox{}, LinkURL: testLinkURL, Issuer: "Acme"}
			test.change(&config)
			_, err := New(config)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("error is %v, want %q", err, test.want)
			}
			if strings.Contains(err.Error(), "p4ss") {
				t.Errorf("error %q holds a password", err)
			}
		})
	}
}

func TestConfirmLeavesItsInputAsItWas(t *testing.T) {
	kind, sent := newKind(t, nil)
	offer := begin(t, kind, testAccount, "bob@example.com")
	_, token := deliver(t, sent, offer)
	before := bytes.Clone(offer.State)
	first, err := kind.Confirm(testAccount, offer.State, factor.Proof{Token: token}, testNow)
	if err != nil {
		t.Fatal(err)
	}
	second, err := kind.Confirm(testAccount, offer.State, factor.Proof{Token: token}, testNow)
	if err != nil || !reflect.DeepEqual(first, second) {
		t.Errorf("a second call gives %+v (%v), the first %+v", second, err, first)
	}
	if !bytes.Equal(before, offer.State) {
		t.Error("the state was changed")
	}
}
