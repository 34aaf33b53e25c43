// Package seal protects what the product stores: documents are encrypted
// and authenticated, and codes are kept as keyed hashes. Both rest on one
// key file that lives outside the database, so that a stolen database
// alone tells nothing.
//
// The primitives are Tink's: XChaCha20-Poly1305, whose 192-bit nonces
// set no bound on how many documents one key may seal, and HMAC-SHA256.
// Each is a Tink keyset, so that a key can be added, made primary and
// later dropped while what an older key sealed stays readable.
//
// A label says what a sealed text is and whom it belongs to. It is
// authenticated with the text: a document moved under another key, or a
// hash moved to another user, is refused.
package seal

import (
	"errors"
	"fmt"
	"sort"
	"strings"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/mac"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// ErrNotOpened is returned when a sealed text was made with another key
// or under another label, or was changed since.
var ErrNotOpened = errors.New("sealed text does not open with this key and label")

// Keys seals and hashes. A *Keys is safe for concurrent use; it comes
// from Load or LoadOrCreate.
type Keys struct {
	sealing tink.AEAD
	hashing tink.MAC
	id      string
}

func newKeys(sealing, hashing *keyset.Handle) (*Keys, error) {
	a, err := aead.New(sealing)
	if err != nil {
		return nil, fmt.Errorf("reading sealing keyset: %w", err)
	}
	m, err := mac.New(hashing)
	if err != nil {
		return nil, fmt.Errorf("reading hashing keyset: %w", err)
	}
	return &Keys{sealing: a, hashing: m, id: describe(sealing)}, nil
}

// describe names a keyset by its key IDs, which Tink draws at random and
// writes in the clear before every ciphertext.
func describe(h *keyset.Handle) string {
	var ids []string
	for _, k := range h.KeysetInfo().GetKeyInfo() {
		ids = append(ids, fmt.Sprintf("%08x", k.GetKeyId()))
	}
	sort.Strings(ids)
	return strings.Join(ids, ",")
}

// ID names the sealing keyset in messages. It is no secret.
func (k *Keys) ID() string { return k.id }

// Seal encrypts text under label.
func (k *Keys) Seal(label string, text []byte) ([]byte, error) {
	sealed, err := k.sealing.Encrypt(text, []byte(label))
	if err != nil {
		return nil, fmt.Errorf("sealing %q: %w", label, err)
	}
	return sealed, nil
}

// Open decrypts what Seal made under the same label. ErrNotOpened is
// returned when it did not, or not with these keys.
func (k *Keys) Open(label string, sealed []byte) ([]byte, error) {
	text, err := k.sealing.Decrypt(sealed, []byte(label))
	if err != nil {
		return nil, ErrNotOpened
	}
	return text, nil
}

// Hash returns a keyed hash of secret under label: 32 bytes behind
// Tink's 5-byte key prefix.
func (k *Keys) Hash(label string, secret []byte) ([]byte, error) {
	h, err := k.hashing.ComputeMAC(message(label, secret))
	if err != nil {
		return nil, fmt.Errorf("hashing %q: %w", label, err)
	}
	return h, nil
}

// Matches reports, in constant time, whether hash is what Hash returned
// for label and secret under any of the hashing keys.
func (k *Keys) Matches(label string, secret, hash []byte) bool {
	return k.hashing.VerifyMAC(hash, message(label, secret)) == nil
}

// message joins label and secret so that no two pairs join alike.
func message(label string, secret []byte) []byte {
	m := make([]byte, 0, len(label)+1+len(secret))
	m = append(m, label...)
	m = append(m, 0)
	return append(m, secret...)
}
