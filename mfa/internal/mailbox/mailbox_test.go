package mailbox_test

import (
	netmail "net/mail"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/internal/mailbox"
)

func TestAddressesThatNoMailIsSentToOverTheInternetAreRefused(t *testing.T) {
	for _, input := range []string{
		"a@127.0.0.1", "a@①②⑦.0.0.1", "a@2130706433", "a@0x7f.1", "a@10.0.0.0x1", "a@example", "victim%target.example@example.com", "a!b@example.com",
		"a@localhost", "a@LOCALHOST", "a@mail.localhost", "a@ｌocalhost", "a@[127.0.0.1]", ".@example.com", "..@example.com", "a b@example.com", "a@b@example.com",
		`"a b"@example.com`, "a,b@example.com", "<a@example.com>", "a@-b.example", "a@b-.example", "a@b_c.example",
	} {
		if got, err := mailbox.Parse(input); err == nil {
			t.Errorf("%q is taken for %q", input, got)
		}
	}
	for _, input := range []string{"a@1.example.com", "a@example.xn--p1ai", "a+b@example.com", "a{b}@example.com"} {
		if _, err := mailbox.Parse(input); err != nil {
			t.Errorf("%q: %v", input, err)
		}
	}
}

func TestADomainWithAnEmptyLabelIsRefusedInWords(t *testing.T) {
	for _, domain := range []string{
		"b.", "b..", "localhost.", "example.com.", "b。", "b．", "b｡", "b。。", ".b", "..", ".", "。", "a..b", "a.。b.example", "b\u200d.", "example.com.\u00ad",
	} {
		for _, parse := range []func(string) (mailbox.Address, error){mailbox.Parse, mailbox.ParseLocal} {
			if got, err := parse("a@" + domain); err == nil || !strings.Contains(err.Error(), "the part after the @") {
				t.Errorf("a@%s: %q, %v", domain, got, err)
			}
		}
	}
}

func TestMailThatStaysOnThisMachineMayGoToHostsWithoutADomain(t *testing.T) {
	for input, want := range map[string]mailbox.Address{
		"a@localhost": "a@localhost", "a@Mailhost": "a@mailhost", "a@mail.localhost": "a@mail.localhost", "a@example.com": "a@example.com",
	} {
		if got, err := mailbox.ParseLocal(input); got != want || err != nil {
			t.Errorf("%q: %q, %v", input, got, err)
		}
	}
	for _, input := range []string{"a@127.0.0.1", "a@2130706433", "a@0x7f.1"} {
		if got, err := mailbox.ParseLocal(input); err == nil {
			t.Errorf("%q is taken for %q", input, got)
		}
	}
}

func TestDotsWhereCarriersPutThemAreQuotedOnTheWire(t *testing.T) {
	for input, want := range map[string]string{
		"a..b@docomo.ne.jp": `"a..b"@docomo.ne.jp`,
		".a@docomo.ne.jp":   `".a"@docomo.ne.jp`,
		"a.@ezweb.ne.jp":    `"a."@ezweb.ne.jp`,
		"a.b@example.com":   "a.b@example.com",
	} {
		got, err := mailbox.Parse(input)
		if err != nil || string(got) != input || got.Wire() != want {
			t.Errorf("%s: %q, on the wire %q, %v; want %q", input, got, got.Wire(), err, want)
		}
	}
}

func TestLimitsCountTheMailboxBehindAnAddress(t *testing.T) {
	for input, want := range map[string]string{
		"Alice@Example.com":      "alice@example.com",
		"alice+1@example.com":    "alice@example.com",
		"alice+1+2@example.com":  "alice@example.com",
		"+alice@example.com":     "+alice@example.com",
		"a.lice@MÜNCHEN.example": "a.lice@xn--mnchen-3ya.example",
	} {
		got, err := mailbox.Parse(input)
		if err != nil || got.Mailbox() != want {
			t.Errorf("%s counts as %q, %v, want %q", input, got.Mailbox(), err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, input := range []string{
		"a@b.", "a@b..", "a@localhost.", "a@b。", "a@b．", "a@b｡", "a@localhost", "Alice+x@Example.com", "a..b@docomo.ne.jp", "a@xn--.example",
		"a@MÜNCHEN.example", "a@①②⑦.0.0.1", `"a@b"@c.example`, "@", "a@", "@b", "a@\u00ad", "a@b\x00", "a@xn--a", "a@ß.example", "\xff@b.example",
	} {
		f.Add(input)
	}
	f.Fuzz(func(t *testing.T, input string) {
		address, err := mailbox.ParseLocal(input)
		strict, strictErr := mailbox.Parse(input)
		if err != nil {
			if strictErr == nil || address != "" || err.Error() == "" {
				t.Fatalf("%q, %v; strictly %q, %v", address, err, strict, strictErr)
			}
			return
		}
		if (strictErr == nil) == address.Local() || strictErr == nil && strict != address {
			t.Fatalf("%q is local: %v; strictly %q, %v", address, address.Local(), strict, strictErr)
		}
		if again, err := mailbox.ParseLocal(string(address)); again != address || err != nil {
			t.Fatalf("%q reads as %q, %v", address, again, err)
		}
		if parsed, err := netmail.ParseAddress(address.Wire()); err != nil || parsed.Name != "" || parsed.Address != string(address) {
			t.Fatalf("a mail server reads %q as %v, %v", address.Wire(), parsed, err)
		}
		if len(address.Wire()) > 254 || strings.ContainsAny(string(address), " \r\n<>,;:\"") || len(address.Mailbox()) > len(address) {
			t.Fatalf("%q goes as %q and counts as %q", address, address.Wire(), address.Mailbox())
		}
		if lower, err := mailbox.ParseLocal(address.Canonical()); err != nil || lower.Mailbox() != address.Mailbox() {
			t.Fatalf("%q counts as %q, its lower case as %q, %v", address, address.Mailbox(), lower.Mailbox(), err)
		}
	})
}

func TestFoldingJoinsNoTwoPeople(t *testing.T) {
	for input, want := range map[string]string{
		"Bob@X.org": "bob@x.org", "bob@x.org": "bob@x.org", "bo\u212a@x.org": "bo\u212a@x.org", "ÄB@x.org": "Äb@x.org", "": "", "@[`{": "@[`{",
	} {
		if got := mailbox.Fold(input); got != want {
			t.Errorf("%q becomes %q, want %q", input, got, want)
		}
	}
}
