package totp

import (
	"crypto/subtle"
	"fmt"
	"time"
	"unicode"

	"github.com/pquerna/otp/hotp"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

const (
	// codeLength is the number of digits of a code.
	codeLength = 6

	// maxTypedCode bounds what is looked at as a code, in bytes.
	maxTypedCode = 64

	// period is the length of a time step in seconds.
	period = 30

	// noStep is the last spent step of a secret that was never used.
	noStep = -1
)

// parseCode takes the spaces and dashes out of a code as a person types
// it. factor.ErrWrongProof is returned unless six ASCII digits remain.
func parseCode(typed string) (string, error) {
	if typed == "" {
		return "", fmt.Errorf("%w: no code was given", factor.ErrWrongProof)
	}
	if len(typed) > maxTypedCode {
		return "", fmt.Errorf("%w: the code is longer than %d bytes", factor.ErrWrongProof, maxTypedCode)
	}
	digits := make([]byte, 0, codeLength)
	for _, r := range typed {
		switch {
		case '0' <= r && r <= '9':
			digits = append(digits, byte(r))
		case unicode.IsSpace(r), unicode.Is(unicode.Pd, r):
		default:
			return "", fmt.Errorf("%w: the code holds something else than the digits 0 to 9", factor.ErrWrongProof)
		}
	}
	if len(digits) != codeLength {
		return "", fmt.Errorf("%w: the code has %d digits instead of %d", factor.ErrWrongProof, len(digits), codeLength)
	}
	return string(digits), nil
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
