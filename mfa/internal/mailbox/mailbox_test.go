package mailbox_test

import (
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/internal/mailbox"
)

func TestAddressesThatNoMailIsSentToOverTheInternetAreRefused(t *testing.T) {
	for _, input := range []string{
		"a@127.0.0.1", "a@①②⑦.0.0.1", "a@2130706433", "a@0x7f.1", "a@10.0.0.0x1", "a@example", "victim%target.example@example.com", "a!b@example.com",
	} {
		if got, err := mailbox.Parse(input); err == nil {
			t.Errorf("%q is taken for %q", input, got)
		}
	}
	for _, input := range []string{"a@localhost", "a@1.example.com", "a@example.xn--p1ai", "a+b@example.com"} {
		if _, err := mailbox.Parse(input); err != nil {
			t.Errorf("%q: %v", input, err)
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
