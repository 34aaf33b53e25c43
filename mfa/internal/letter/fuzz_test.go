package letter_test

import (
	"net/netip"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/caddymfa/caddy-mfa/mfa/internal/letter"
)

func FuzzWhatAStrangerSaysInAMail(f *testing.F) {
	for _, s := range []string{
		"", "alice", "a@b.", "a@b..", "a@localhost.", "a@b。", "Alice@Example.com", "https://evil.test", "evil.test", "a@b@c", "::1%eth0", "203.0.113.7",
		"Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0", "Firefox/\r\nBcc: eve", "\xff@\xff.", "@", "a..b@c.example",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name := letter.Name(s)
		if name != "" && (name != s || strings.ContainsAny(name, " \t\r\n/\\<>\"'&?#%()[]") || !utf8.ValidString(name)) {
			t.Errorf("%q is named as %q", s, name)
		}
		if strings.Contains(name, ".") && !strings.Contains(name, "@") {
			t.Errorf("%q may become a link", name)
		}
		if ip := letter.IP(s); ip != "" {
			if parsed, err := netip.ParseAddr(ip); err != nil || parsed.String() != ip || letter.IP(ip) != ip {
				t.Errorf("%q is shown as the address %q", s, ip)
			}
		}
		for word := range strings.FieldsSeq(letter.Device(s)) {
			if !strings.Contains("an unknown device program on app Edge Opera Samsung Internet Vivaldi Yandex Browser DuckDuckGo Firefox Chrome Safari "+
				"iPhone iPad Android ChromeOS Windows macOS Linux", word) {
				t.Errorf("%q puts %q into a mail", s, word)
			}
		}
	})
}
