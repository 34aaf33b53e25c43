package bearer

import (
	"context"
	"slices"
	"time"
)

// KeySource is where the keys come from. It is made by JWKSURL, OIDC,
// JWKSFile, PublicKeyFile, HMACSecret or DevKeys and is safe for
// concurrent use.
type KeySource interface {
	// lookup returns the keys to try for a token, at least one, all of
	// which fit the algorithm. errUnknownKey is returned when the keys are
	// current and none fits, ErrKeysUnavailable when they cannot be had.
	lookup(ctx context.Context, q query) ([]key, error)

	// issuer is the iss that tokens signed by these keys must carry, or
	// "" when the source does not know.
	issuer() string
}

// query is what a token says about its key, and the verifier's clock.
type query struct {
	keyID     string // "" when the token names no key
	algorithm string
	now       func() time.Time
}

// in finds the keys to try in a set that is as new as can be.
func (q query) in(set *keySet) ([]key, error) {
	if fitting, _ := set.find(q.keyID, q.algorithm); len(fitting) > 0 {
		return fitting, nil
	}
	return nil, errUnknownKey
}

type secretSource struct {
	set *keySet
}

// HMACSecret is a secret shared with the issuer, for HS256, HS384 and
// HS512. It must have at least 32 bytes. Whoever verifies with it can
// sign with it too: prefer a public key where there is a choice.
func HMACSecret(secret []byte) (KeySource, error) {
	k, err := newKey("", "", slices.Clone(secret))
	if err != nil {
		return nil, err
	}
	return secretSource{&keySet{keys: []key{k}, nameless: true}}, nil
}

func (s secretSource) lookup(_ context.Context, q query) ([]key, error) {
	return q.in(s.set)
}

func (secretSource) issuer() string { return "" }
