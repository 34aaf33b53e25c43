package mail

import (
	"errors"
	"fmt"
	netmail "net/mail"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// parseFrom reads the sender's mailbox, "Acme <no-reply@example.com>" or
// a bare address (RFC 5322 section 3.4), and brings its domain into the
// ASCII form that headers and envelopes need.
func parseFrom(from string) (netmail.Address, error) {
	parsed, err := netmail.ParseAddress(from)
	if err != nil {
		return netmail.Address{}, fmt.Errorf("parsing from %q: %w (write it as \"Acme <no-reply@example.com>\")", from, err)
	}
	// An encoded word may hide what a plain header could not hold.
	if err := checkHeaderText(parsed.Name); err != nil {
		return netmail.Address{}, fmt.Errorf("parsing from %q: the name %w", from, err)
	}
	local, domain, _ := cutAddress(parsed.Address)
	domain, err = idna.Lookup.ToASCII(domain)
	if err != nil {
		return netmail.Address{}, fmt.Errorf("parsing from %q: %w", from, err)
	}
	address := local + "@" + domain
	if err := checkBareAddress(address); err != nil {
		return netmail.Address{}, fmt.Errorf("parsing from %q: %w", from, err)
	}
	return netmail.Address{Name: parsed.Name, Address: address}, nil
}

// checkBareAddress accepts an address that can stand in an SMTP command
// and in a header as it is: ASCII, dot-atom@domain, nothing around it.
// Its errors do not repeat the address.
func checkBareAddress(address string) error {
	if len(address) > 254 {
		return errors.New("the address is longer than 254 bytes")
	}
	for i := range len(address) {
		if address[i] <= ' ' || address[i] >= 0x7f {
			return errors.New("the address holds a character other than printable ASCII")
		}
	}
	parsed, err := netmail.ParseAddress(address)
	if err != nil {
		return errors.New("the address is not of the form local@domain")
	}
	// A difference is a display name, angle brackets, a comment or quoting.
	if parsed.Name != "" || parsed.Address != address {
		return errors.New("the address is not a bare one, such as alice@example.com")
	}
	return nil
}

// checkHeaderText refuses what must not stand in a header field: a line
// break, which would begin another field, any other control character,
// and bytes that are no text. Its error reads on from the field's name.
func checkHeaderText(text string) error {
	if !utf8.ValidString(text) {
		return errors.New("is not valid UTF-8")
	}
	if strings.ContainsFunc(text, unicode.IsControl) {
		return errors.New("holds a line break or another control character")
	}
	return nil
}

// cutAddress splits address at its last @, as a local part may hold one
// in quotes.
func cutAddress(address string) (local, domain string, ok bool) {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return address, "", false
	}
	return address[:at], address[at+1:], true
}
