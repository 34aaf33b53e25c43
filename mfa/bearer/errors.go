package bearer

import (
	"errors"
	"fmt"
)

var (
	// ErrInvalidToken is returned when the token is to be refused with 401
	// invalid_token (RFC 6750 section 3.1). The text of the returned error
	// may be shown as the error_description: it holds only characters that
	// are allowed there and nothing of the token.
	ErrInvalidToken = errors.New("invalid token")

	// ErrKeysUnavailable is returned when the keys that would decide about
	// the token cannot be had at the moment; the fitting answer is 503. The
	// text of the returned error names the cause and is meant for the
	// operator's log, not for the caller.
	ErrKeysUnavailable = errors.New("keys unavailable")

	// errUnknownKey is returned by a KeySource whose keys are current and
	// do not include the one that the token asks for.
	errUnknownKey = errors.New("no such key")
)

// invalid makes an ErrInvalidToken. The reason is shown to the caller: it
// must be printable ASCII without quotes and backslashes, and must not
// repeat what stands in the token.
func invalid(reason string) error {
	return fmt.Errorf("%w: %s", ErrInvalidToken, reason)
}

func unavailable(cause error) error {
	return fmt.Errorf("%w: %w", ErrKeysUnavailable, cause)
}
