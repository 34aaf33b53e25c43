package totp

import (
	"crypto/subtle"
	"fmt"
	"strings"
	"time"

	"github.com/pquerna/otp/hotp"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/internal/typed"
)

const (
	// codeLength is the number of digits of a code.
	codeLength = 6

	// period is the length of a time step in seconds.
	period = 30

	// noStep is the last spent step of a secret that was never used.
	noStep = -1
)

// parseCode reads a code as a person types it. factor.ErrMalformedProof is
// returned unless six decimal digits, of any script, are all that it says.
func parseCode(text string) (string, error) {
	code, ok := typed.Code(text)
	if !ok {
		return "", fmt.Errorf("%w: the code is longer than %d bytes", factor.ErrMalformedProof, typed.MaxCode)
	}
	if strings.Trim(code, "0123456789") != "" {
		return "", fmt.Errorf("%w: the code holds something else than digits", factor.ErrMalformedProof)
	}
	if len(code) != codeLength {
		return "", fmt.Errorf("%w: the code has %d digits instead of %d", factor.ErrMalformedProof, len(code), codeLength)
	}
	return code, nil
}

// findStep returns the time step at which secret gives code, among those
// within the skew around now that come after spent, the last step that was
// accepted (noStep for none). factor.ErrSpentProof is returned when the code
// is that of a step up to spent alone, factor.ErrWrongProof when it is of
// none (RFC 6238, section 5.2).
//
// All candidates are computed and compared in constant time, whichever
// matches. When two steps happen to share the code, the later one is
// returned, so that spending it spends the code.
func (k *Kind) findStep(secret, code string, now time.Time, spent int64) (int64, error) {
	if len(secret) != secretLength {
		// An empty secret would be a key like any other to HMAC.
		return noStep, fmt.Errorf("computing code: the secret has %d characters instead of %d", len(secret), secretLength)
	}
	current := now.Unix() / period
	found, matches, replays := int64(noStep), 0, 0
	for step := max(current-k.skew, 0); step <= current+k.skew; step++ {
		expected, err := hotp.GenerateCode(secret, uint64(step))
		if err != nil {
			return noStep, fmt.Errorf("computing code: %w", err)
		}
		fresh := 0
		if step > spent {
			fresh = 1
		}
		match := subtle.ConstantTimeCompare([]byte(expected), []byte(code))
		found = int64(subtle.ConstantTimeSelect(match&fresh, int(step), int(found)))
		matches |= match & fresh
		replays |= match
	}
	switch {
	case matches != 0:
		return found, nil
	case replays != 0:
		return noStep, fmt.Errorf("%w: the code's time step is spent", factor.ErrSpentProof)
	default:
		return noStep, fmt.Errorf("%w: the code is of no time step that is accepted now", factor.ErrWrongProof)
	}
}
