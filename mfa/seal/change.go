package seal

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/mac"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"

	"github.com/caddymfa/caddy-mfa/mfa/internal/newfile"
)

func sealingTemplate() *tinkpb.KeyTemplate { return aead.XChaCha20Poly1305KeyTemplate() }
func hashingTemplate() *tinkpb.KeyTemplate { return mac.HMACSHA256Tag256KeyTemplate() }

// AddKeys adds a new pair to the key file at path, beside those that it
// holds, and returns it. The file is replaced as a whole: it holds the pair
// or, after a crash, does not. Mode and owner stay.
func AddKeys(path string) (Pair, error) {
	r, err := read(path)
	if err != nil {
		return Pair{}, err
	}
	var pair Pair
	if r.sealing, pair.Sealing, err = withNew(r.sealing, sealingTemplate()); err != nil {
		return Pair{}, fmt.Errorf("making sealing key: %w", err)
	}
	if r.hashing, pair.Hashing, err = withNew(r.hashing, hashingTemplate()); err != nil {
		return Pair{}, fmt.Errorf("making hashing key: %w", err)
	}
	return pair, r.replace(path)
}

// RemoveKeys takes the keys that gone names out of the key file at path, as a
// whole like AddKeys. ErrUnknownKey is returned when it does not hold one of
// them. It is an error to leave it without a key.
func RemoveKeys(path string, gone []KeyID) error {
	r, err := read(path)
	if err != nil {
		return err
	}
	held := append(identify(r.sealing), identify(r.hashing)...)
	for _, id := range gone {
		if !slices.Contains(held, id) {
			return fmt.Errorf("%s: %w %s", path, ErrUnknownKey, id)
		}
	}
	if r.sealing, err = without(r.sealing, gone); err != nil {
		return fmt.Errorf("removing sealing key: %w", err)
	}
	if r.hashing, err = without(r.hashing, gone); err != nil {
		return fmt.Errorf("removing hashing key: %w", err)
	}
	return r.replace(path)
}

func (r ring) replace(path string) error {
	content, err := r.format()
	if err != nil {
		return err
	}
	if err := newfile.Replace(path, content); err != nil {
		return fmt.Errorf("writing key file: %w", err)
	}
	return nil
}

// withNew adds a key, as the primary one: the newest.
func withNew(h *keyset.Handle, template *tinkpb.KeyTemplate) (*keyset.Handle, KeyID, error) {
	manager := keyset.NewManagerFromHandle(h)
	id, err := manager.Add(template)
	if err != nil {
		return nil, 0, err
	}
	if err := manager.SetPrimary(id); err != nil {
		return nil, 0, err
	}
	h, err = manager.Handle()
	return h, KeyID(id), err
}

func without(h *keyset.Handle, gone []KeyID) (*keyset.Handle, error) {
	kept := slices.DeleteFunc(identify(h), func(id KeyID) bool { return slices.Contains(gone, id) })
	if len(kept) == 0 {
		return nil, errors.New("it is the last")
	}
	// The newest of those that stay is the primary one.
	h, err := withPrimary(h, kept[len(kept)-1])
	if err != nil {
		return nil, err
	}
	manager := keyset.NewManagerFromHandle(h)
	for _, id := range identify(h) {
		if !slices.Contains(kept, id) {
			if err := manager.Delete(uint32(id)); err != nil {
				return nil, err
			}
		}
	}
	return manager.Handle()
}
