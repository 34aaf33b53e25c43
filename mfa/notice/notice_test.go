package notice_test

import (
	"context"
	"errors"
	netmail "net/mail"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/caddymfa/caddy-mfa/mfa/mail"
	"github.com/caddymfa/caddy-mfa/mfa/notice"
)

const (
	testPage  = "https://example.com/mfa/"
	testAgent = "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0"
)

var added = notice.Notice{
	To: "Alice@Example.com", Event: notice.Added, Method: "Passkey", Name: "YubiKey-5C",
	At: time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC), IP: "203.0.113.7", UserAgent: testAgent,
}

// outbox is a mail.Sender that keeps what it gets.
type outbox struct {
	messages []mail.Message
	err      error
}

func (o *outbox) Send(_ context.Context, msg mail.Message) error {
	o.messages = append(o.messages, msg)
	return o.err
}

func newMailer(t *testing.T) (*notice.Mailer, *outbox) {
	t.Helper()
	sent := &outbox{}
	mailer, err := notice.New(notice.Config{Sender: sent, Issuer: "Größe & <Söhne>", PageURL: testPage})
	if err != nil {
		t.Fatal(err)
	}
	return mailer, sent
}

// send sends n and returns the mail.
func send(t *testing.T, n notice.Notice) mail.Message {
	t.Helper()
	mailer, sent := newMailer(t)
	if err := mailer.Send(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	if len(sent.messages) != 1 {
		t.Fatalf("%d mails were sent", len(sent.messages))
	}
	return sent.messages[0]
}

// read returns what a mail program shows of an HTML body, and its links.
func read(source string) (text string, links []string) {
	var shown strings.Builder
	for tokens := html.NewTokenizer(strings.NewReader(source)); ; {
		switch tokens.Next() {
		case html.ErrorToken:
			return shown.String(), links
		case html.TextToken:
			shown.Write(tokens.Text())
		case html.StartTagToken:
			for _, attribute := range tokens.Token().Attr {
				if attribute.Key == "href" || attribute.Key == "src" {
					links = append(links, attribute.Val)
				}
			}
		}
	}
}

func TestANoticeSaysWhatChangedWhenAndFromWhere(t *testing.T) {
	msg := send(t, added)
	if msg.To != "Alice@example.com" || msg.Subject != "A second factor was added to your account - Größe & <Söhne>" {
		t.Errorf("%q went to %q", msg.Subject, msg.To)
	}
	page, links := read(msg.HTML)
	for name, shown := range map[string]string{"text": msg.Text, "HTML": page} {
		for _, want := range []string{
			"Größe & <Söhne>", "A second factor was added", "Passkey", "YubiKey-5C", "07:08 UTC on 6 May 2031", "203.0.113.7", "Firefox on Linux",
			testPage, "Change your password",
		} {
			if !strings.Contains(shown, want) {
				t.Errorf("the %s does not say %q:\n%s", name, want, shown)
			}
		}
	}
	if len(links) != 1 || links[0] != testPage {
		t.Errorf("the HTML's links are %q", links)
	}
	if urls := regexp.MustCompile(`\S*://\S*`).FindAllString(msg.Text, -1); len(urls) != 1 || urls[0] != testPage {
		t.Errorf("the text's links are %q", urls)
	}
	for line := range strings.SplitSeq(msg.Text, "\n") {
		if len(line) > 78 {
			t.Errorf("a long line: %q", line)
		}
	}
}

func TestEachEventHasItsOwnWords(t *testing.T) {
	for event, want := range map[notice.Event]string{
		notice.Added:       "factor was added",
		notice.Replaced:    "factor of your account was replaced",
		notice.Removed:     "factor was removed",
		notice.Enabled:     "turned on",
		notice.Disabled:    "turned off",
		notice.Reset:       "All second factors",
		notice.BackupCodes: "new backup codes",
	} {
		n := added
		n.Event = event
		msg := send(t, n)
		if page, _ := read(msg.HTML); !strings.Contains(msg.Subject, want) || !strings.Contains(msg.Text, want) || !strings.Contains(page, want) {
			t.Errorf("%s: no %q in %q:\n%s", event, want, msg.Subject, msg.Text)
		}
		for line := range strings.SplitSeq(msg.Text, "\n") {
			if len(line) > 78 {
				t.Errorf("%s: a long line: %q", event, line)
			}
		}
	}
}

func TestWhatIsNotKnownIsLeftOut(t *testing.T) {
	n := notice.Notice{To: "alice@example.com", Event: notice.BackupCodes, At: added.At}
	msg := send(t, n)
	page, _ := read(msg.HTML)
	for _, label := range []string{"Method", "Name", "From"} {
		if strings.Contains(msg.Text, label+":") || strings.Contains(page, label) {
			t.Errorf("%s is shown:\n%s", label, msg.Text)
		}
	}
	if !strings.Contains(msg.Text, "an unknown device") || !strings.Contains(page, "an unknown device") {
		t.Errorf("the mail is\n%s", msg.Text)
	}
}

func TestAnAdministratorsDeviceIsNotShown(t *testing.T) {
	n := added
	n.Event, n.ByAdministrator = notice.Reset, true
	msg := send(t, n)
	page, _ := read(msg.HTML)
	for name, shown := range map[string]string{"text": msg.Text, "HTML": page} {
		if !strings.Contains(shown, "An administrator") || strings.Contains(shown, "If that was you") {
			t.Errorf("the %s does not say who did it:\n%s", name, shown)
		}
		if strings.Contains(shown, "203.0.113.7") || strings.Contains(shown, "Firefox") {
			t.Errorf("the %s shows where the administrator was:\n%s", name, shown)
		}
	}
	if strings.Contains(send(t, added).Text, "administrator") {
		t.Error("what the person did is said to be an administrator's doing")
	}
}

func TestANoticeRepeatsNothingThatAStrangerCouldSay(t *testing.T) {
	plain := added
	plain.Name, plain.IP, plain.UserAgent = "", "", ""
	want := send(t, plain)
	for _, evil := range []string{
		"https://evil.test/x", "evil.test", "\r\nBcc: eve@evil.test\r\n", `<a href="//evil.test">x</a>`, "Call +1 555 0100", "{{.PageURL}}",
		"203.0.113.7 evil.test", "\xff", strings.Repeat("evil.test ", 10000),
	} {
		n := plain
		n.Name, n.IP, n.UserAgent = evil, evil, evil
		if got := send(t, n); got != want {
			t.Errorf("%.40q shows in the mail:\n%s", evil, got.Text)
		}
	}
	n := plain
	n.UserAgent = "<b>evil.test</b>\r\nFirefox/evil.test Linux"
	if got := send(t, n); strings.Contains(got.Text+got.HTML, "evil") || !strings.Contains(got.Text, "Firefox on Linux\n") {
		t.Errorf("the mail is\n%s", got.Text)
	}
}

func TestNothingIsSentToAnUnusableAddressOrOfAnUnknownEvent(t *testing.T) {
	mailer, sent := newMailer(t)
	for _, to := range []string{
		"", "alice", "alice@example.com\r\nBcc: eve@example.com", "Alice <alice@example.com>", "alice@example.com, eve@example.com",
		"alice@127.0.0.1", "eve%example.com@example.org",
	} {
		n := added
		n.To = to
		err := mailer.Send(t.Context(), n)
		if err == nil || to != "" && strings.Contains(err.Error(), "eve") {
			t.Errorf("to %q: error is %v", to, err)
		}
	}
	n := added
	n.Event = "painted"
	if err := mailer.Send(t.Context(), n); err == nil {
		t.Error("an unknown event is no error")
	}
	if len(sent.messages) != 0 {
		t.Errorf("%d mails were sent", len(sent.messages))
	}
}

func TestANoticeThatCannotBeSentSaysSo(t *testing.T) {
	mailer, sent := newMailer(t)
	sent.err = mail.ErrUnavailable
	if err := mailer.Send(t.Context(), added); !errors.Is(err, mail.ErrUnavailable) {
		t.Errorf("error is %v", err)
	}
}

func TestANoticeComposesAsMail(t *testing.T) {
	dir := t.TempDir()
	sender, err := mail.NewDirectory(dir, "Acme <no-reply@example.com>")
	if err != nil {
		t.Fatal(err)
	}
	mailer, err := notice.New(notice.Config{Sender: sender, Issuer: "Größe", PageURL: testPage})
	if err != nil {
		t.Fatal(err)
	}
	n := added
	n.Name, n.UserAgent = "x\r\nBcc: eve@evil.test", "\r\nBcc: eve@evil.test\r\n\r\n"
	if err := mailer.Send(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.eml"))
	if err != nil || len(files) != 1 {
		t.Fatalf("the mails are %q, %v", files, err)
	}
	content, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	msg, err := netmail.ReadMessage(strings.NewReader(string(content)))
	if err != nil {
		t.Fatal(err)
	}
	if to := msg.Header.Get("To"); to != "<Alice@example.com>" || msg.Header.Get("Bcc") != "" {
		t.Errorf("it goes to %q and %q", to, msg.Header.Get("Bcc"))
	}
}

func TestABadConfigurationIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*notice.Config)
		want   string
	}{
		"no sender":      {func(c *notice.Config) { c.Sender = nil }, "mail sender"},
		"no issuer":      {func(c *notice.Config) { c.Issuer = " " }, "issuer"},
		"a split issuer": {func(c *notice.Config) { c.Issuer = "Acme\r\nBcc: x" }, "issuer"},
		"no page":        {func(c *notice.Config) { c.PageURL = "" }, "absolute"},
		"a relative URL": {func(c *notice.Config) { c.PageURL = "/mfa/" }, "absolute"},
		"another scheme": {func(c *notice.Config) { c.PageURL = "javascript://example.com/" }, "http or https"},
		"a password":     {func(c *notice.Config) { c.PageURL = "https://u:p4ss@example.com/" }, "without user"},
		"a bad port":     {func(c *notice.Config) { c.PageURL = "https://u:p4ss@example.com:x/" }, "parsing the page's URL"},
	} {
		t.Run(name, func(t *testing.T) {
			config := notice.Config{Sender: &outbox{}, Issuer: "Acme", PageURL: testPage}
			test.change(&config)
			_, err := notice.New(config)
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "p4ss") {
				t.Fatalf("error is %v, want %q and no password", err, test.want)
			}
		})
	}
}
