// Package mailbox reads the e-mail addresses that the product mails to. It
// is stricter than mail itself: an address proves who somebody is.
package mailbox

import (
	"errors"
	netmail "net/mail"
	"strings"
	"unicode/utf8"
)

// Bounds of an address in bytes (RFC 5321 section 4.5.3.1, and its path of
// 256 less the angle brackets).
const (
	maxLocal   = 64
	maxAddress = 254
)

// Address is an e-mail address that mail can be sent to: an addr-spec (RFC
// 5322 section 3.4.1) with a local part of ASCII letters, digits, dots and
// signs, and an ASCII domain in lower case. The local part keeps its case,
// because only the receiving server knows whether it matters. Dots may stand
// anywhere in it, as Japanese carriers have given addresses out; see Wire.
type Address string

// errForm is returned for what has no local part or no domain.
var errForm = errors.New("it is not of the form local@domain, such as alice@example.com")

// Parse reads an address that mail is sent to over the internet. Its errors
// say what is wrong, in words that read on from the address's name, and do
// not repeat the input.
func Parse(input string) (Address, error) {
	address, err := ParseLocal(input)
	if err == nil && address.Local() {
		return "", errors.New("the part after the @ is localhost or a name without a dot: mail is not sent there over the internet")
	}
	return address, err
}

// ParseLocal is Parse for mail that stays on this machine. It also takes
// localhost, what is below it, and names without a dot.
func ParseLocal(input string) (Address, error) {
	if !utf8.ValidString(input) {
		return "", errors.New("it is not valid UTF-8")
	}
	for _, r := range input {
		if r < ' ' || r == 0x7f {
			return "", errors.New("it holds a line break or another control character")
		}
	}
	// A domain holds no @, a quoted local part may.
	at := strings.LastIndexByte(input, '@')
	if at < 1 || at == len(input)-1 {
		return "", errForm
	}
	local := input[:at]
	if err := checkLocalPart(local); err != nil {
		return "", err
	}
	domain, err := parseDomain(input[at+1:])
	if err != nil {
		return "", err
	}
	address := Address(local + "@" + domain)
	if len(local) > maxLocal || len(address.Wire()) > maxAddress {
		return "", errors.New("it is too long: 64 bytes before the @ and 254 in all are the most (RFC 5321)")
	}
	return address, nil
}

// checkLocalPart accepts the atoms of RFC 5322 section 3.2.3, with dots
// anywhere.
func checkLocalPart(local string) error {
	for i := range len(local) {
		switch c := local[i]; {
		case c >= 0x80:
			return errors.New("the part before the @ holds a character other than ASCII, which mail servers rarely take")
		case c == '%' || c == '!':
			// Old relays take these for a route to another host.
			return errors.New("the part before the @ holds % or !, which mail servers rarely take")
		case c == '.' || isLetterOrDigit(c) || strings.IndexByte("#$&'*+-/=?^_`{|}~", c) >= 0:
		default:
			return errors.New("it is not a bare address, such as alice@example.com")
		}
	}
	if strings.Trim(local, ".") == "" {
		return errForm
	}
	return nil
}

func isLetterOrDigit(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// parts splits a at its only @.
func (a Address) parts() (local, domain string) {
	local, domain, _ = strings.Cut(string(a), "@")
	return local, domain
}

// Local reports whether the domain means this machine or its own network:
// localhost (RFC 6761 section 6.3), what is below it, or a name without a dot.
func (a Address) Local() bool {
	_, domain := a.parts()
	return domain == localhost || strings.HasSuffix(domain, "."+localhost) || !strings.Contains(domain, ".")
}

// Wire is the form that SMTP commands and headers need: the local part is
// quoted where its dots do not stand between other characters.
func (a Address) Wire() string {
	// The angle brackets are not part of the address.
	return strings.Trim((&netmail.Address{Address: string(a)}).String(), "<>")
}

// Canonical is the form that addresses are compared by: all of it in lower
// case, as no mail server in use tells the case of local parts apart.
func (a Address) Canonical() string { return strings.ToLower(string(a)) }

// Mailbox is the form that limits count by: Canonical without a tag after
// a plus sign, which leads to the same mailbox wherever it means anything.
func (a Address) Mailbox() string {
	local, domain := Address(a.Canonical()).parts()
	if name, _, tagged := strings.Cut(local, "+"); tagged && name != "" {
		local = name
	}
	return local + "@" + domain
}
