package letter

import (
	"net/netip"
	"strings"

	"github.com/caddymfa/caddy-mfa/mfa/internal/mailbox"
)

// Name returns name if it looks like an identifier or an e-mail address,
// else "". What could carry a message or a link is not shown: blanks,
// slashes, other scripts' letters (which write sentences without blanks),
// and dots outside an e-mail address, because mail programs turn
// example.com into a link.
func Name(name string) string {
	const longest = 64
	if name == "" || len(name) > longest {
		return ""
	}
	others := "-_|:"
	if strings.Count(name, "@") == 1 {
		if parsed, err := mailbox.ParseLocal(name); err != nil || !strings.EqualFold(string(parsed), name) {
			return ""
		}
		others = "-_.+@"
	}
	for i := range len(name) {
		if !isLetterOrDigit(name[i]) && strings.IndexByte(others, name[i]) < 0 {
			return ""
		}
	}
	return name
}

func isLetterOrDigit(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// IP returns the usual spelling of an IP address, "" for anything else. A
// zone (RFC 4007 section 11), which may be any text, is left out.
func IP(ip string) string {
	parsed, err := netip.ParseAddr(ip)
	if err != nil {
		return ""
	}
	return parsed.Unmap().WithZone("").String()
}
