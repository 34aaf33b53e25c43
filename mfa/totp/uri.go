package totp

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

const (
	// MaxIssuer is the longest issuer, in bytes of UTF-8. It stands in
	// the URI twice, at up to three characters a byte.
	MaxIssuer = 64

	// maxLabel is the longest account name, in characters of the escaped
	// form. With the longest issuer it makes a QR code of 101 modules a
	// side, which phones still read from a screen.
	maxLabel = 192

	// maxName is the longest name of a factor, in runes.
	maxName = 64

	// defaultName names a factor whose device has no name.
	defaultName = "Authenticator app"
)

// keyURI returns the otpauth URI in the key URI format that
// authenticator apps share. A colon parts issuer and account, and may stand in
// neither, escaped or not, so it is left out of both. Algorithm, digits and period are the
// defaults of every app; they are stated for those that ask.
func keyURI(issuer, account, secret string) string {
	issuer = escape(withoutColons(issuer))
	return "otpauth://totp/" + issuer + ":" + escape(withoutColons(account)) +
		"?secret=" + secret +
		"&issuer=" + issuer +
		"&algorithm=SHA1&digits=6&period=30"
}

// withoutColons leaves out the colons of a name, and the blanks around it that
// may be left.
func withoutColons(name string) string {
	return strings.TrimSpace(strings.ReplaceAll(name, ":", ""))
}

// escaped turns what url.QueryEscape writes into what may stand in a
// path as well. Apps take "+" literally, and "@" needs no escape.
var escaped = strings.NewReplacer("+", "%20", "%40", "@")

// escape percent-encodes the UTF-8 of s but for letters, digits and
// "-_.~@".
func escape(s string) string {
	return escaped.Replace(url.QueryEscape(s))
}

// checkIssuer tells what keeps issuer from being shown by every app.
func checkIssuer(issuer string) error {
	switch {
	case withoutColons(issuer) == "":
		return errors.New("issuer is empty, or has nothing but colons, which apps do not take: give the name that authenticator apps shall show")
	case !factor.Plain(issuer):
		return errors.New("issuer holds control characters or is not UTF-8: give plain text")
	case len(issuer) > MaxIssuer:
		return fmt.Errorf("issuer is %d bytes long: give at most %d", len(issuer), MaxIssuer)
	}
	return nil
}

// accountLabel returns the name that the app lists the account by, cut
// so that its escaped form fits into maxLabel.
//
// A bad address in the request is refused, because its sender can mend
// it. A bad character in the account's own name is left out, because
// nobody at hand can.
func accountLabel(account factor.Account, request factor.Request) (string, error) {
	if !factor.Plain(request.Email) {
		return "", fmt.Errorf("%w: email holds control characters or is not UTF-8: send a plain address or leave it out", factor.ErrBadRequest)
	}
	label := withoutColons(request.Email)
	if label == "" {
		label = withoutColons(factor.DisplayText(account.Name, maxLabel))
	}
	if label == "" {
		return "", fmt.Errorf("%w: the account has no name that an authenticator app could show: send an email", factor.ErrBadRequest)
	}
	length := 0
	for i, r := range label {
		length += len(escape(string(r)))
		if length > maxLabel {
			return label[:i], nil
		}
	}
	return label, nil
}

// factorName returns the name of the factor in the person's list.
func factorName(device factor.Device) string {
	name := factor.DisplayText(device.Name, maxName)
	if name == "" {
		return defaultName
	}
	return name
}
