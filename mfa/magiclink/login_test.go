package magiclink

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

const (
	testState = `{"address":"Bob@example.com"}`
	testAgent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
)

var testLogin = LoginRequest{AccountName: "alice@example.com", IP: "203.0.113.7", UserAgent: testAgent, At: testNow}

// login begins a login and delivers its link.
func login(t *testing.T, kind *Kind, sent *outbox, request LoginRequest) (link Link, text, html, token string) {
	t.Helper()
	link, err := kind.BeginLogin(testAccount, json.RawMessage(testState), request)
	if err != nil {
		t.Fatal(err)
	}
	if len(sent.messages) != 0 {
		t.Fatal("BeginLogin sent mail")
	}
	msg, token := deliver(t, sent, factor.Offer{Deliver: link.Deliver})
	sent.messages = nil
	if msg.To != "Bob@example.com" || msg.Subject != "Confirm that you are signing in to Acme" {
		t.Errorf("%q went to %q", msg.Subject, msg.To)
	}
	return link, msg.Text, msg.HTML, token
}

func TestALoginLinkIsRecognisedByTheHashOfItsToken(t *testing.T) {
	kind, sent := newKind(t, func(c *Config) { c.Expiry = 7 * time.Minute })
	link, _, _, token := login(t, kind, sent, testLogin)
	key, hash, ok := HashToken(token)
	if !ok || key != testAccount.Key || !bytes.Equal(hash, link.TokenHash) {
		t.Errorf("the token is read as %q, %x, %v, want %q and %x", key, hash, ok, testAccount.Key, link.TokenHash)
	}
	if link.Lifetime != 7*time.Minute {
		t.Errorf("lifetime is %s", link.Lifetime)
	}
	other, _, _, _ := login(t, kind, sent, testLogin)
	if bytes.Equal(other.TokenHash, link.TokenHash) {
		t.Error("two links have the same token")
	}
}

func TestALoginLinkDoesNotConfirmASetup(t *testing.T) {
	kind, sent := newKind(t, nil)
	setup := begin(t, kind, testAccount, "bob@example.com")
	_, _, _, token := login(t, kind, sent, testLogin)
	if _, err := kind.Confirm(testAccount, setup.State, factor.Proof{Token: token}, testNow); !errors.Is(err, factor.ErrWrongProof) {
		t.Errorf("error is %v", err)
	}
}

func TestTheLoginMailSaysWhoAsksFromWhereWithWhatAndWhen(t *testing.T) {
	kind, sent := newKind(t, nil)
	_, text, html, token := login(t, kind, sent, testLogin)
	page := readHTML(t, html)
	for name, shown := range map[string]string{"text": text, "HTML": page.text} {
		flat := strings.Join(strings.Fields(strings.ReplaceAll(shown, "’", "'")), " ")
		for _, want := range []string{
			"Acme", "alice@example.com", "203.0.113.7", "Chrome on Windows", "07:08 UTC on 6 May 2031", "10 minutes", "07:18 UTC on 6 May 2031",
			"another device", "number that the screen there shows", "someone may have your password", "It wasn't me", testLinkURL + "#token=" + token,
		} {
			if !strings.Contains(flat, want) {
				t.Errorf("the %s does not say %q:\n%s", name, want, shown)
			}
		}
	}
	if want := testLinkURL + "#token=" + token; !slices.Equal(page.links, []string{want, want}) {
		t.Errorf("the links are %q, want %q twice", page.links, want)
	}
	for line := range strings.SplitSeq(text, "\n") {
		if len(line) > 78 && !strings.Contains(line, "#token=") {
			t.Errorf("a long line: %q", line)
		}
	}
}

func TestTheLoginMailRepeatsNothingThatAStrangerCouldSay(t *testing.T) {
	kind, sent := newKind(t, nil)
	_, wantText, wantHTML, _ := login(t, kind, sent, LoginRequest{At: testNow})
	for _, evil := range []string{
		"https://evil.test/x", "evil.test", "\r\nBcc: eve@evil.test\r\n", `<a href="//evil.test">x</a>`, "Call +1 555 0100", "{{.Link}}",
		"203.0.113.7 evil.test", "\xff", strings.Repeat("evil.test ", 10000),
	} {
		_, text, html, _ := login(t, kind, sent, LoginRequest{AccountName: evil, IP: evil, UserAgent: evil, At: testNow})
		if withoutToken(text) != withoutToken(wantText) || withoutToken(html) != withoutToken(wantHTML) {
			t.Errorf("%.40q shows in the mail:\n%s", evil, text)
		}
	}
}

func TestOfAUserAgentOnlyTheRecognisedNamesAreShown(t *testing.T) {
	kind, sent := newKind(t, nil)
	request := testLogin
	request.UserAgent = "https://evil.test/ \r\n<b>Chrome/evil.test Windows NT evil.test"
	_, text, html, _ := login(t, kind, sent, request)
	if strings.Contains(text+html, "evil") || !strings.Contains(text, "With:  Chrome on Windows\n") {
		t.Errorf("the mail is\n%s", text)
	}
	if !strings.Contains(readHTML(t, html).text, "Chrome on Windows") {
		t.Errorf("the HTML is\n%s", html)
	}
}

func TestALoginNeedsAWholeStateAndAURLSafeKey(t *testing.T) {
	kind, _ := newKind(t, nil)
	for _, state := range []string{``, `null`, `{}`, `[]`, `{"address":""}`} {
		if _, err := kind.BeginLogin(testAccount, json.RawMessage(state), testLogin); err == nil {
			t.Errorf("state %q begins a login", state)
		}
		if address, err := Address(json.RawMessage(state)); err == nil || address != "" {
			t.Errorf("state %q has the address %q", state, address)
		}
	}
	account := testAccount
	account.Key = "a#b"
	if _, err := kind.BeginLogin(account, json.RawMessage(testState), testLogin); err == nil {
		t.Error("a key that is not URL-safe begins a login")
	}
}

func TestAddressIsTheOneThatWasConfirmed(t *testing.T) {
	kind, sent := newKind(t, nil)
	offer := begin(t, kind, testAccount, "Bob@Example.com")
	_, token := deliver(t, sent, offer)
	credential, err := kind.Confirm(testAccount, offer.State, factor.Proof{Token: token}, testNow)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Address(credential.State); err != nil || got != "Bob@example.com" {
		t.Errorf("the address is %q, %v", got, err)
	}
}

func TestALoginMailThatFailsSaysSo(t *testing.T) {
	kind, sent := newKind(t, nil)
	link, err := kind.BeginLogin(testAccount, json.RawMessage(testState), testLogin)
	if err != nil {
		t.Fatal(err)
	}
	sent.err = errors.New("the mail system is down")
	if err := link.Deliver(t.Context()); !errors.Is(err, sent.err) {
		t.Errorf("error is %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := link.Deliver(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
}

func TestAResentLinkTakesThePlaceOfTheOneBefore(t *testing.T) {
	kind, sent := newKind(t, nil)
	first := begin(t, kind, testAccount, "Bob+tag@example.com")
	_, oldToken := deliver(t, sent, first)
	later := testNow.Add(5 * time.Minute)
	again, err := kind.Resend(testAccount, first.State, later)
	if err != nil {
		t.Fatal(err)
	}
	msg, newToken := deliver(t, sent, again)
	if msg.To != "Bob+tag@example.com" || again.Address != "bob@example.com" || again.Answer != first.Answer || again.Lifetime != first.Lifetime {
		t.Errorf("to %q, counted as %q, the answer %+v for %s", msg.To, again.Address, again.Answer, again.Lifetime)
	}
	if !strings.Contains(msg.Text, "07:23 UTC") || !strings.Contains(msg.Text, "Someone who is signed in") {
		t.Errorf("the mail is not that of a setup that has 10 minutes from now:\n%s", msg.Text)
	}
	if _, err := kind.Confirm(testAccount, again.State, factor.Proof{Token: oldToken}, later); !errors.Is(err, factor.ErrWrongProof) {
		t.Errorf("with the link before the error is %v", err)
	}
	if _, err := kind.Confirm(testAccount, again.State, factor.Proof{Token: newToken}, later); err != nil {
		t.Errorf("the new link is refused: %v", err)
	}
}

func TestADamagedStateIsNotResent(t *testing.T) {
	kind, _ := newKind(t, nil)
	for _, state := range []string{``, `null`, `{}`, testState} {
		if _, err := kind.Resend(testAccount, json.RawMessage(state), testNow); err == nil {
			t.Errorf("state %q is resent", state)
		}
	}
}
