package bearer

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
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

	// newer returns the keys to try for a token that none of tried verifies,
	// because the issuer may have changed a key and kept its name: those that
	// fit and are not among tried. It returns none when there is no newer set,
	// or when it is too early to look for one.
	newer(ctx context.Context, q query, tried []key) []key

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
	if fitting := set.find(q.keyID, q.algorithm); len(fitting) > 0 {
		return fitting, nil
	}
	return nil, errUnknownKey
}

// untried are the keys of set to try that are not among tried.
func (q query) untried(set *keySet, tried []key) []key {
	return slices.DeleteFunc(set.find(q.keyID, q.algorithm), func(k key) bool {
		return slices.ContainsFunc(tried, k.same)
	})
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

// HMACSecretBase64 is HMACSecret of the bytes that encoded stands for, in
// base64 of either alphabet (RFC 4648 sections 4 and 5), with padding or
// without. Line breaks and blanks around it do not count. The error says
// nothing of the secret.
func HMACSecretBase64(encoded string) (KeySource, error) {
	plain := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(strings.TrimSpace(encoded), "="))
	secret, err := base64.RawStdEncoding.DecodeString(plain)
	if err != nil {
		return nil, errors.New("it is not base64: take out the word base64 if your login signs with the text as it stands")
	}
	keys, err := HMACSecret(secret)
	if err != nil {
		return nil, fmt.Errorf("decoded from base64: %w", err)
	}
	return keys, nil
}

func (s secretSource) lookup(_ context.Context, q query) ([]key, error) {
	return q.in(s.set)
}

func (secretSource) newer(context.Context, query, []key) []key { return nil }

func (secretSource) issuer() string { return "" }
