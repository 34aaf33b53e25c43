package assertion

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// Type is the header's typ (RFC 8725 section 3.11).
const Type = "mfa+jwt"

// ErrInvalid is returned, wrapped with a reason, for a token that is no
// assertion of ours, was changed, or has run out. The reason repeats nothing
// of the token.
var ErrInvalid = errors.New("invalid assertion")

// ErrUnknownKey is returned for an assertion of no key that counts now. It
// is an ErrInvalid.
var ErrUnknownKey = fmt.Errorf("%w: it is of no key that counts now", ErrInvalid)

func invalid(reason string) error { return fmt.Errorf("%w: %s", ErrInvalid, reason) }

// maxToken bounds an assertion, in bytes: one that carries an access token of
// 32 KiB, which base64 makes longer twice where it cannot be packed, fits with
// all its claims.
const maxToken = 80 << 10

// headerStart is what every header begins with, whatever its key. Its 18
// bytes are whole groups of base64.
const headerStart = `{"typ":"` + Type + `","`

var tokenStart = encodeSegment([]byte(headerStart))

// signatureLen is the length of an ES256 signature as a segment.
var signatureLen = base64.RawURLEncoding.EncodedLen(64)

// IsAssertion reports whether token claims to be an assertion. It looks at
// the first bytes alone, so that other tokens cost nothing.
func IsAssertion(token string) bool { return strings.HasPrefix(token, tokenStart) }

// headerOf returns the first segment of the assertions that the key called id
// signs.
func headerOf(id string) string {
	return encodeSegment([]byte(headerStart + `alg":"ES256","kid":"` + id + `"}`))
}

// split takes a token apart at its dots. ok is false when it cannot be an
// assertion, whatever the key.
func split(token string) (header, body, signature string, ok bool) {
	if len(token) > maxToken {
		return "", "", "", false
	}
	header, rest, _ := strings.Cut(token, ".")
	body, signature, _ = strings.Cut(rest, ".")
	return header, body, signature, len(signature) == signatureLen
}

func encodeSegment(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

func decodeSegment(segment string) ([]byte, error) {
	return base64.RawURLEncoding.Strict().DecodeString(segment)
}
