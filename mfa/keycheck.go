package mfa

import (
	"context"
	"errors"
	"fmt"

	"github.com/caddymfa/caddy-mfa/mfa/seal"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// checkKey is the document that ties a store to its keys. Every node reads
// it at start: one that holds other keys stays out.
const checkKey = "seal/check"

// checkText is what the document seals.
const checkText = "caddy-mfa"

var (
	// ErrKeyMissing is returned when a store has been used with a key file
	// that is not there.
	ErrKeyMissing = errors.New("the store was made with a key file that is missing")

	// ErrKeyMismatch is returned when a store was made with another key
	// file.
	ErrKeyMismatch = errors.New("the store was made with another key file")

	// ErrForeignStore is returned when a store holds documents but none that
	// ties it to a key file.
	ErrForeignStore = errors.New("the store holds documents that are not caddy-mfa's")
)

// Made tells what was made by LoadKeys. A store that is new beside keys that
// are not is either the first of its node, or one that got lost.
type Made struct {
	Keys  bool // the key file
	Store bool // the store had never been used
}

// LoadKeys returns the keys at path if they are those of st, and makes
// them only for a store that has never been used: with new keys, an
// existing store would look empty and everybody would enrol anew.
// ErrKeyMissing, ErrKeyMismatch or ErrForeignStore is returned when path
// and st do not belong together.
func LoadKeys(ctx context.Context, st store.Store, path string) (*seal.Keys, Made, error) {
	check, err := st.Get(ctx, checkKey)
	if errors.Is(err, store.ErrNotFound) {
		return adoptStore(ctx, st, path)
	}
	if err != nil {
		return nil, Made{}, fmt.Errorf("reading key check: %w", err)
	}
	keys, err := seal.Load(path)
	if errors.Is(err, seal.ErrNoKeyFile) {
		return nil, Made{}, fmt.Errorf("%w: put the original file back at %s; without it the enrolled factors cannot be read", ErrKeyMissing, path)
	}
	if err != nil {
		return nil, Made{}, err
	}
	return keys, Made{}, compare(keys, check, path)
}

// adoptStore ties a store without a check to the keys at path.
func adoptStore(ctx context.Context, st store.Store, path string) (*seal.Keys, Made, error) {
	documents, err := st.List(ctx, "", "", 1)
	if err != nil {
		return nil, Made{}, fmt.Errorf("listing documents: %w", err)
	}
	if len(documents) > 0 && documents[0].Key != checkKey {
		return nil, Made{}, ErrForeignStore
	}
	keys, created, err := seal.LoadOrCreate(path)
	if err != nil {
		return nil, Made{}, err
	}
	var adopted bool
	err = st.Update(ctx, func(tx store.Tx) error {
		adopted = false
		// Another node may have come first, with the same keys or not.
		check, err := tx.Get(checkKey)
		if err == nil {
			return compare(keys, check, path)
		}
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		sealed, err := keys.Seal(label(checkKey), []byte(checkText))
		if err != nil {
			return err
		}
		adopted = true
		return tx.Put(checkKey, sealed)
	}, checkKey)
	if err != nil {
		return nil, Made{}, fmt.Errorf("tying store to keys: %w", err)
	}
	return keys, Made{Keys: created, Store: adopted}, nil
}

func compare(keys *seal.Keys, check []byte, path string) error {
	text, err := keys.Open(label(checkKey), check)
	if err != nil || string(text) != checkText {
		return fmt.Errorf("%w: %s holds key %s; put the file back that was in use when the store was made", ErrKeyMismatch, path, keys.ID())
	}
	return nil
}
