package assertion

import (
	"errors"
	"slices"
	"time"
)

// Keyring is the set of keys that assertions are signed with. It is never
// changed, and so safe for concurrent use; Rotate makes another.
type Keyring struct {
	keys []*signingKey // at least one, oldest first
}

// NewKeyring makes a set of one new key, which signs from now. In the place
// of another set it ends every assertion that was signed before.
func NewKeyring(now time.Time) (*Keyring, error) {
	key, err := makeSigningKey(now)
	if err != nil {
		return nil, err
	}
	return &Keyring{keys: []*signingKey{key}}, nil
}

// Rotate returns the set with a new key, which is published at once and signs
// from overlap after now, so that whoever keeps the published set has it by
// then. The keys before it verify until retention after that, at most; those
// whose time is over are left out. With both zero, the new key is alone.
func (k *Keyring) Rotate(now time.Time, overlap, retention time.Duration) (*Keyring, error) {
	if overlap < 0 || retention < 0 {
		return nil, errors.New("rotating signing keys: overlap and retention cannot be negative")
	}
	next, err := makeSigningKey(now.Add(overlap))
	if err != nil {
		return nil, err
	}
	rotated := &Keyring{}
	until := next.from.Add(retention)
	for _, old := range k.keys {
		key := *old
		if key.until.IsZero() || key.until.After(until) {
			key.until = until
		}
		if !key.expired(now) {
			rotated.keys = append(rotated.keys, &key)
		}
	}
	rotated.keys = append(rotated.keys, next)
	return rotated, nil
}

// signer returns the key that signs at now: the newest that has begun. On a
// node whose clock is behind, the only key may not have.
func (k *Keyring) signer(now time.Time) *signingKey {
	for _, key := range slices.Backward(k.keys) {
		if !key.from.After(now) {
			return key
		}
	}
	return k.keys[0]
}

// byHeader returns the key of assertions with that header, if it counts at
// now. One that has not begun to sign here may have on another node.
func (k *Keyring) byHeader(header string, now time.Time) (*signingKey, bool) {
	for _, key := range k.keys {
		if key.header == header && !key.expired(now) {
			return key, true
		}
	}
	return nil, false
}

// KeyInfo describes a key of a set.
type KeyInfo struct {
	// ID is its RFC 7638 thumbprint, the kid of what it signs.
	ID string
	// From is when it begins to sign, Until when it counts no more, zero while
	// no key follows it.
	From, Until time.Time
	// Signs says that it is the one which signs.
	Signs bool
}

// Keys describes the keys that count at now, oldest first.
func (k *Keyring) Keys(now time.Time) []KeyInfo {
	signer := k.signer(now)
	var infos []KeyInfo
	for _, key := range k.keys {
		if !key.expired(now) {
			infos = append(infos, KeyInfo{ID: key.id, From: key.from, Until: key.until, Signs: key == signer})
		}
	}
	return infos
}
