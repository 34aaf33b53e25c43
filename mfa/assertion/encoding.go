package assertion

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// encodedKey is a key of an encoded Keyring.
type encodedKey struct {
	ID      string    `json:"kid"`
	Private []byte    `json:"private"` // the scalar, 32 bytes
	From    time.Time `json:"from"`
	Until   time.Time `json:"until,omitzero"`
}

// Encode returns the keys, private halves and all, for ParseKeyring.
func (k *Keyring) Encode() ([]byte, error) {
	encoded := make([]encodedKey, len(k.keys))
	for i, key := range k.keys {
		private, err := key.private.Bytes()
		if err != nil {
			return nil, fmt.Errorf("encoding signing key: %w", err)
		}
		encoded[i] = encodedKey{ID: key.id, Private: private, From: key.from, Until: key.until}
	}
	return json.Marshal(encoded)
}

var errNotKeyring = errors.New("parsing signing keys: not an encoded keyring, or a damaged one")

// ParseKeyring reads what Encode wrote. Its error says nothing of what is in
// data.
func ParseKeyring(data []byte) (*Keyring, error) {
	var encoded []encodedKey
	if json.Unmarshal(data, &encoded) != nil || len(encoded) == 0 {
		return nil, errNotKeyring
	}
	k := &Keyring{}
	for _, e := range encoded {
		private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), e.Private)
		if err != nil {
			return nil, errNotKeyring
		}
		key, err := newSigningKey(private, e.From, e.Until)
		if err != nil {
			return nil, err
		}
		if key.id != e.ID {
			return nil, errNotKeyring
		}
		k.keys = append(k.keys, key)
	}
	return k, nil
}
