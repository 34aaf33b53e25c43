// Package seal protects what the product stores: documents are encrypted
// and authenticated, and codes are kept as keyed hashes. Both rest on one
// key file that lives outside the database, so that a stolen database
// alone tells nothing.
//
// The primitives are Tink's: XChaCha20-Poly1305, whose 192-bit nonces
// set no bound on how many documents one key may seal, and HMAC-SHA256.
// Each is a Tink keyset, so that a key can be added, taken into use and
// later dropped while what an older key sealed stays readable. Which of
// them is in use is not the file's to say: all who share a store must agree
// on it; see Keys.Use.
//
// A label says what a sealed text is and whom it belongs to. It is
// authenticated with the text: a document moved under another key, or a
// hash moved to another user, is refused.
package seal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/mac"
	"github.com/tink-crypto/tink-go/v2/tink"
)

var (
	// ErrNotOpened is returned when a sealed text was made with another key
	// or under another label, or was changed since.
	ErrNotOpened = errors.New("sealed text does not open with this key and label")

	// ErrUnknownKey is returned when a key is needed that the key file does
	// not hold: the one that sealed a text, or the one that is in use.
	ErrUnknownKey = errors.New("the key file lacks the key")

	// ErrStopped is returned by keys that must not be used for now.
	ErrStopped = errors.New("the sealing keys are out of use")
)

// KeyID names a key of a key file. Tink draws it at random and writes it in
// the clear before what the key makes. It is no secret.
type KeyID uint32

func (id KeyID) String() string { return fmt.Sprintf("%08x", uint32(id)) }

// MarshalText implements encoding.TextMarshaler.
func (id KeyID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (id *KeyID) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 16, 32)
	if err != nil || len(text) != 8 {
		return errors.New("a key ID has eight hexadecimal digits")
	}
	*id = KeyID(n)
	return nil
}

// Pair names the keys that are in use together.
type Pair struct {
	Sealing KeyID `json:"sealing"`
	Hashing KeyID `json:"hashing"`
}

// Keys seals and hashes. A *Keys is safe for concurrent use; it comes
// from Load or LoadOrCreate.
type Keys struct {
	state atomic.Pointer[state]
}

// state is what a Keys holds between two changes of it.
type state struct {
	ring
	use   Pair
	since time.Time
	aead  tink.AEAD
	mac   tink.MAC
	// macs hash with one key each: the one in use first.
	macs []tink.MAC
	// stopped is why nothing may be sealed or opened, nil when it may.
	stopped error
}

// ring are the keysets of a key file.
type ring struct {
	sealing, hashing *keyset.Handle
}

// newKeys uses the newest pair, which is the one that Tink calls primary.
func newKeys(r ring) (*Keys, error) {
	use, err := r.newest()
	if err != nil {
		return nil, err
	}
	s, err := r.using(use)
	if err != nil {
		return nil, err
	}
	k := &Keys{}
	k.state.Store(s)
	return k, nil
}

func (r ring) newest() (Pair, error) {
	sealing, err := r.sealing.Primary()
	if err != nil {
		return Pair{}, fmt.Errorf("reading sealing keyset: %w", err)
	}
	hashing, err := r.hashing.Primary()
	if err != nil {
		return Pair{}, fmt.Errorf("reading hashing keyset: %w", err)
	}
	return Pair{Sealing: KeyID(sealing.KeyID()), Hashing: KeyID(hashing.KeyID())}, nil
}

// using makes the state in which the pair is in use.
func (r ring) using(use Pair) (*state, error) {
	s := &state{ring: r, use: use}
	sealing, err := withPrimary(r.sealing, use.Sealing)
	if err != nil {
		return nil, err
	}
	if s.aead, err = aead.New(sealing); err != nil {
		return nil, fmt.Errorf("reading sealing keyset: %w", err)
	}
	ids := identify(r.hashing)
	slices.Reverse(ids) // the newest are asked for most
	ids = append([]KeyID{use.Hashing}, slices.DeleteFunc(ids, func(id KeyID) bool { return id == use.Hashing })...)
	for _, id := range ids {
		hashing, err := withPrimary(r.hashing, id)
		if err != nil {
			return nil, err
		}
		m, err := mac.New(hashing)
		if err != nil {
			return nil, fmt.Errorf("reading hashing keyset: %w", err)
		}
		s.macs = append(s.macs, m)
	}
	s.mac = s.macs[0]
	return s, nil
}

func withPrimary(h *keyset.Handle, id KeyID) (*keyset.Handle, error) {
	if !slices.Contains(identify(h), id) {
		return nil, fmt.Errorf("%w %s", ErrUnknownKey, id)
	}
	manager := keyset.NewManagerFromHandle(h)
	if err := manager.SetPrimary(uint32(id)); err != nil {
		return nil, fmt.Errorf("using key %s: %w", id, err)
	}
	return manager.Handle()
}

// identify lists the keys of a keyset, oldest first.
func identify(h *keyset.Handle) []KeyID {
	var ids []KeyID
	for _, k := range h.KeysetInfo().GetKeyInfo() {
		ids = append(ids, KeyID(k.GetKeyId()))
	}
	return ids
}

// prefixSize is that of what Tink puts before a text: a one, and the key's
// ID.
const prefixSize = 5

// KeyOf tells which key sealed a text or made a hash, if it is one at all.
func KeyOf(made []byte) (KeyID, bool) {
	if len(made) < prefixSize || made[0] != 1 {
		return 0, false
	}
	return KeyID(binary.BigEndian.Uint32(made[1:])), true
}

// ID names the sealing keys in messages. It is no secret.
func (k *Keys) ID() string {
	var names []string
	for _, id := range k.Sealing() {
		names = append(names, id.String())
	}
	slices.Sort(names)
	return strings.Join(names, ",")
}

// Sealing lists the sealing keys, oldest first.
func (k *Keys) Sealing() []KeyID { return identify(k.state.Load().sealing) }

// Hashing lists the hashing keys, oldest first.
func (k *Keys) Hashing() []KeyID { return identify(k.state.Load().hashing) }

// Newest returns the pair that was added last.
func (k *Keys) Newest() Pair {
	pair, _ := k.state.Load().newest() // newKeys and Adopt made sure
	return pair
}

// InUse returns the pair that seals and hashes.
func (k *Keys) InUse() Pair { return k.state.Load().use }

// Seal encrypts text under label. ErrStopped is returned when the keys are.
func (k *Keys) Seal(label string, text []byte) ([]byte, error) {
	s := k.state.Load()
	if err := s.err(); err != nil {
		return nil, err
	}
	sealed, err := s.aead.Encrypt(text, []byte(label))
	if err != nil {
		return nil, fmt.Errorf("sealing %q: %w", label, err)
	}
	return sealed, nil
}

// Open decrypts what Seal made under the same label. ErrNotOpened is
// returned when it did not, or not with these keys, with ErrUnknownKey when
// it names another key, and with ErrStopped when the keys are.
func (k *Keys) Open(label string, sealed []byte) ([]byte, error) {
	s := k.state.Load()
	if err := s.err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotOpened, err)
	}
	text, err := s.aead.Decrypt(sealed, []byte(label))
	if err != nil {
		if id, ok := KeyOf(sealed); ok && !slices.Contains(identify(s.sealing), id) {
			return nil, fmt.Errorf("%w: %w %s", ErrNotOpened, ErrUnknownKey, id)
		}
		return nil, ErrNotOpened
	}
	return text, nil
}

// Hash returns a keyed hash of secret under label: 32 bytes behind
// Tink's 5-byte key prefix. ErrStopped is returned when the keys are.
func (k *Keys) Hash(label string, secret []byte) ([]byte, error) {
	s := k.state.Load()
	if err := s.err(); err != nil {
		return nil, err
	}
	h, err := s.mac.ComputeMAC(message(label, secret))
	if err != nil {
		return nil, fmt.Errorf("hashing %q: %w", label, err)
	}
	return h, nil
}

// Hashes is Hash under every hashing key, that in use first: what was
// filed under a hash is found again after a change of keys.
func (k *Keys) Hashes(label string, secret []byte) ([][]byte, error) {
	s := k.state.Load()
	if err := s.err(); err != nil {
		return nil, err
	}
	var hashes [][]byte
	for _, m := range s.macs {
		h, err := m.ComputeMAC(message(label, secret))
		if err != nil {
			return nil, fmt.Errorf("hashing %q: %w", label, err)
		}
		hashes = append(hashes, h)
	}
	return hashes, nil
}

// Matches reports, in constant time, whether hash is what Hash returned
// for label and secret under any of the hashing keys.
func (k *Keys) Matches(label string, secret, hash []byte) bool {
	return k.state.Load().mac.VerifyMAC(hash, message(label, secret)) == nil
}

// message joins label and secret so that no two pairs join alike.
func message(label string, secret []byte) []byte {
	m := make([]byte, 0, len(label)+1+len(secret))
	m = append(m, label...)
	m = append(m, 0)
	return append(m, secret...)
}
