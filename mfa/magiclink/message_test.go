package magiclink

import (
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

func TestTheMailSaysWhoAsksForWhatAndUntilWhen(t *testing.T) {
	kind, sent := newKind(t, func(c *Config) {
		c.Issuer, c.Expiry, c.LinkURL = "Größe & <Söhne>", 20*time.Minute, "http://localhost:8080/mfa/magic-link?a=1&b=2"
	})
	msg, token := deliver(t, sent, begin(t, kind, testAccount, "bob@example.com"))
	if msg.Subject != "Confirm your e-mail address for Größe & <Söhne>" {
		t.Errorf("subject is %q", msg.Subject)
	}
	link := "http://localhost:8080/mfa/magic-link?a=1&b=2#token=" + token
	page := readHTML(t, msg.HTML)
	for name, text := range map[string]string{"text": msg.Text, "HTML": page.text} {
		for _, want := range []string{"Größe & <Söhne>", "alice@example.com", "second factor", "20 minutes", "07:28 UTC on 6 May 2031", "ignore this mail", link} {
			if !strings.Contains(text, want) {
				t.Errorf("the %s does not say %q:\n%s", name, want, text)
			}
		}
	}
	if len(page.links) != 2 || page.links[0] != link || page.links[1] != link {
		t.Errorf("the links are %q, want %q twice", page.links, link)
	}
	for line := range strings.SplitSeq(msg.Text, "\n") {
		if len(line) > 78 && !strings.Contains(line, "#token=") {
			t.Errorf("a long line: %q", line)
		}
	}
}

func TestTheMailLoadsNothingFromElsewhere(t *testing.T) {
	kind, sent := newKind(t, nil)
	msg, _ := deliver(t, sent, begin(t, kind, testAccount, "bob@example.com"))
	page := readHTML(t, msg.HTML)
	for _, tag := range []string{"img", "script", "link", "iframe", "object", "form", "video", "audio", "base"} {
		if page.tags[tag] {
			t.Errorf("the HTML has a %s element", tag)
		}
	}
	for _, loading := range []string{"url(", "@import", "src=", "background="} {
		if strings.Contains(msg.HTML, loading) {
			t.Errorf("the HTML has %q", loading)
		}
	}
}

func TestANameThatCouldCarryAMessageIsNotShown(t *testing.T) {
	kind, sent := newKind(t, nil)
	for _, name := range []string{
		"", "Your account was hacked", "https://evil.test/x", "evil.test", "www.evil.test", "evil.test/pay", "//evil", `<a href="x">`,
		"<b>bold</b>", "alice&lt;", "alice\r\nBcc:", "alice\x00", "alice\u202eelpmaxe", "点击这里领取大奖", "alice\xff",
		"pay@evil.test/now", "two@at@example.com", "alice@exämple.com", "{{.Link}}", "@", "a@", "@b.test", "call=me!", "a?b",
		strings.Repeat("a", 65), strings.Repeat("a", 60) + "@example.com",
	} {
		account := testAccount
		account.Name = name
		msg, _ := deliver(t, sent, begin(t, kind, account, "bob@example.com"))
		want, _ := deliver(t, sent, begin(t, kind, factor.Account{Key: testAccount.Key}, "bob@example.com"))
		if withoutToken(msg.Text) != withoutToken(want.Text) || withoutToken(msg.HTML) != withoutToken(want.HTML) || msg.Subject != want.Subject {
			t.Errorf("name %q shows in the mail:\n%s", name, msg.Text)
		}
	}
}

// withoutToken replaces the secrets of tokens, which differ.
func withoutToken(text string) string {
	var out strings.Builder
	for {
		before, after, found := strings.Cut(text, "#token=")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		text = after[len(testAccount.Key)+1+43:]
	}
}

func TestANameThatIdentifiesAnAccountIsShown(t *testing.T) {
	kind, sent := newKind(t, nil)
	for _, name := range []string{"alice", "Alice_Smith-2", "auth0|5f7c8ec7c33c6c004bbafe82", "urn:user:17", "alice.smith+mfa@example.co.uk", "1234567890"} {
		account := testAccount
		account.Name = name
		msg, _ := deliver(t, sent, begin(t, kind, account, "bob@example.com"))
		if !strings.Contains(msg.Text, name) || !strings.Contains(readHTML(t, msg.HTML).text, name) {
			t.Errorf("name %q is not shown", name)
		}
		if strings.Contains(msg.Subject, name) {
			t.Errorf("name %q is in the subject", name)
		}
	}
}

func TestTheAddressItselfIsNotRepeatedInTheMail(t *testing.T) {
	kind, sent := newKind(t, nil)
	msg, _ := deliver(t, sent, begin(t, kind, testAccount, "bob+visit.evil.test@example.com"))
	if strings.Contains(msg.Text+msg.HTML+msg.Subject, "evil.test") {
		t.Errorf("the mail repeats what a stranger chose:\n%s", msg.Text)
	}
}

// readPage is what a mail client makes of a mail's HTML.
type readPage struct {
	text  string
	links []string
	tags  map[string]bool
}

func readHTML(t *testing.T, source string) readPage {
	t.Helper()
	page := readPage{tags: map[string]bool{}}
	var text strings.Builder
	for tokens := html.NewTokenizer(strings.NewReader(source)); ; {
		switch tokens.Next() {
		case html.ErrorToken:
			if tokens.Err() != io.EOF {
				t.Fatal(tokens.Err())
			}
			page.text = text.String()
			return page
		case html.TextToken:
			text.Write(tokens.Text())
		case html.StartTagToken, html.SelfClosingTagToken:
			token := tokens.Token()
			page.tags[token.Data] = true
			for _, attribute := range token.Attr {
				if attribute.Key == "href" {
					page.links = append(page.links, attribute.Val)
				}
			}
		}
	}
}
