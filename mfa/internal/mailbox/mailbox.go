// Package mailbox holds the rules for the addresses that the product mails
// to, stricter than what mail allows.
package mailbox

import (
	"errors"
	netmail "net/mail"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// domains maps an internationalised domain name to its lower-case ASCII
// form (UTS 46) and checks it as one that DNS can hold.
var domains = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(true), idna.VerifyDNSLength(true))

// Address is an e-mail address that mail can be sent to: a bare
// addr-spec (RFC 5322 section 3.4.1) with a dot-atom local part in ASCII
// and an ASCII domain in lower case. The local part keeps its case,
// because only the receiving server knows whether it matters.
type Address string

// Parse checks and converts what a client or a token gave. Its errors say
// what is wrong, in words that read on from the address's name, and do not
// repeat the input.
func Parse(input string) (Address, error) {
	if !utf8.ValidString(input) {
		return "", errors.New("it is not valid UTF-8")
	}
	for _, r := range input {
		if r < ' ' || r == 0x7f {
			return "", errors.New("it holds a line break or another control character")
		}
	}
	at := strings.LastIndexByte(input, '@')
	if at < 1 || at == len(input)-1 {
		return "", errors.New("it is not of the form local@domain, such as alice@example.com")
	}
	local, domain := input[:at], input[at+1:]
	for i := range len(local) {
		if local[i] >= 0x80 {
			return "", errors.New("the part before the @ holds a character other than ASCII, which mail servers rarely take")
		}
	}
	domain, err := domains.ToASCII(domain)
	if err != nil {
		return "", errors.New("the part after the @ is not a domain name")
	}
	if !public(domain) {
		return "", errors.New("the part after the @ is not a domain name that mail is sent to over the internet")
	}
	if strings.ContainsAny(local, "%!") {
		// Relays of old take these for a route to another host.
		return "", errors.New("the part before the @ holds % or !, which mail servers rarely take")
	}
	bare := local + "@" + domain
	if len(local) > 64 || len(bare) > 254 {
		return "", errors.New("it is too long: 64 bytes before the @ and 254 in all are the most (RFC 5321)")
	}
	// A difference is a display name, angle brackets, a comment or quoting.
	parsed, err := netmail.ParseAddress(bare)
	if err != nil || parsed.Name != "" || parsed.Address != bare {
		return "", errors.New("it is not a bare address, such as alice@example.com")
	}
	return Address(bare), nil
}

// public reports whether a domain in ASCII is more than a bare host and is
// no IP address in any spelling. Only localhost may do without a dot, for
// development.
func public(domain string) bool {
	dot := strings.LastIndexByte(domain, '.')
	if dot < 0 {
		return domain == "localhost"
	}
	// No top-level domain begins with a digit; numbers, hexadecimal too,
	// are what addresses end in.
	return domain[dot+1] < '0' || domain[dot+1] > '9'
}

// Canonical is the form that addresses are compared by: the whole in lower
// case, as all mail servers of note ignore the case of the local part.
func (a Address) Canonical() string { return strings.ToLower(string(a)) }

// Mailbox is the form that limits count by: Canonical without a tag after
// a plus sign, which leads to the same mailbox wherever it means anything.
func (a Address) Mailbox() string {
	local, domain, _ := strings.Cut(a.Canonical(), "@")
	if name, _, tagged := strings.Cut(local, "+"); tagged && name != "" {
		local = name
	}
	return local + "@" + domain
}
