package mailbox

import (
	"errors"
	"strings"

	"golang.org/x/net/idna"
)

// localhost is the name that every machine has for itself.
const localhost = "localhost"

// maxLabel is the length of a label in bytes (RFC 1035 section 2.3.4).
const maxLabel = 63

// profile maps an internationalised domain name to its lower-case ASCII
// form (UTS 46). It reads ideographic full stops as dots, too.
var profile = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(true), idna.VerifyDNSLength(true))

var errDomain = errors.New("the part after the @ is not a domain name")

// parseDomain returns a domain in lower-case ASCII. What the profile makes
// of it is checked again, label by label: it allows an empty last one.
func parseDomain(input string) (string, error) {
	domain, err := profile.ToASCII(input)
	if err != nil {
		return "", errDomain
	}
	labels := strings.Split(domain, ".")
	for _, label := range labels {
		if label == "" {
			return "", errors.New("the part after the @ begins or ends with a dot, or has two in a row")
		}
		if !isLabel(label) {
			return "", errDomain
		}
	}
	// No top-level domain begins with a digit. Numbers, hexadecimal ones too,
	// are what IP addresses end in.
	if last := labels[len(labels)-1]; '0' <= last[0] && last[0] <= '9' {
		return "", errors.New("the part after the @ is an IP address or a number, not a domain name that mail is sent to")
	}
	return domain, nil
}

// isLabel reports whether label, which is not empty, is one of a host name
// (RFC 1123 section 2.1) in lower case.
func isLabel(label string) bool {
	for i := range len(label) {
		if c := label[i]; c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return len(label) <= maxLabel && label[0] != '-' && label[len(label)-1] != '-'
}
