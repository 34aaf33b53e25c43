package mfa

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/seal"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// checkKey is the document that ties a store to its keys, and says which of
// them are in use: the sealing key is the one that it is sealed with, the
// hashing key is named in it. Every node follows it: one that lacks these
// keys stays out.
const checkKey = sealPrefix + "check.2"

// sealPrefix is that of the documents that keys are kept in step by.
const sealPrefix = "seal/"

// checkText is what tells a check from anything else.
const checkText = "caddy-mfa"

// keyCheck is what it seals. In format 1 it was checkText alone while the keys
// were those that the store was made with.
type keyCheck struct {
	Product string     `json:"product"` // checkText
	Format  int        `json:"format"`  // storeFormat; 0 in format 1
	Hashing seal.KeyID `json:"hashing"`
	Since   time.Time  `json:"since"` // of the change; zero before the first
}

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
// and st do not belong together, ErrMoved or ErrUnfinishedCopy when st is not
// to be used.
func LoadKeys(ctx context.Context, st store.Store, path string) (*seal.Keys, Made, error) {
	check, err := st.Get(ctx, checkKey)
	legacy := errors.Is(err, store.ErrNotFound)
	if legacy {
		check, err = st.Get(ctx, legacyCheckKey)
	}
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
	if err := compare(keys, check, path); err != nil {
		return keys, Made{}, err
	}
	if legacy {
		return keys, Made{}, adoptFormat(ctx, st, keys)
	}
	return keys, Made{}, nil
}

// adoptStore ties a store without a check to the keys at path.
func adoptStore(ctx context.Context, st store.Store, path string) (*seal.Keys, Made, error) {
	if err := closed(getter(ctx, st)); err != nil {
		return nil, Made{}, err
	}
	documents, err := st.List(ctx, "", "", 3)
	if err != nil {
		return nil, Made{}, fmt.Errorf("listing documents: %w", err)
	}
	// A copy that was killed in its first moment has left a document.
	if slices.ContainsFunc(documents, func(d store.Document) bool { return d.Key != checkKey && d.Key != sameKey }) {
		// Another node may have come first since the look at the check.
		if _, err := st.Get(ctx, checkKey); err == nil {
			return LoadKeys(ctx, st, path)
		} else if !errors.Is(err, store.ErrNotFound) {
			return nil, Made{}, fmt.Errorf("reading key check: %w", err)
		}
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
		if err := closed(tx.Get); err != nil {
			return err
		}
		sealed, err := newCheck(keys)
		if err != nil {
			return err
		}
		adopted = true
		return tx.Put(checkKey, sealed)
	}, checkKey, movedKey, copyingKey)
	if err != nil {
		return nil, Made{}, fmt.Errorf("tying store to keys: %w", err)
	}
	return keys, Made{Keys: created, Store: adopted}, nil
}

// newCheck makes the document of a store that is new: the newest keys are
// in use.
func newCheck(keys *seal.Keys) ([]byte, error) {
	return sealCheck(keys, keys.Newest(), time.Time{})
}

// compare takes the keys into use that check names. Where they are not at
// hand, keys are of no use until they are.
func compare(keys *seal.Keys, check []byte, path string) error {
	sealing, _ := seal.KeyOf(check)
	pair, since, err := openCheck(keys, check)
	if errors.Is(err, seal.ErrUnknownKey) {
		pair, err = seal.Pair{Sealing: sealing}, nil
	}
	if errors.Is(err, ErrNewerStore) {
		keys.Stop(err)
		return err
	}
	if err == nil {
		err = keys.Use(pair, since)
	}
	if err != nil {
		return fmt.Errorf("%w: the store is sealed with key %s, %s holds key %s; put the file there that the other nodes have, or the one that was in use when the store was made",
			ErrKeyMismatch, sealing, path, keys.ID())
	}
	return nil
}

// openCheck reads which keys are in use, and since when; the time is zero
// where it is the first pair. An error is returned when keys do not open
// the document.
func openCheck(keys *seal.Keys, check []byte) (seal.Pair, time.Time, error) {
	sealing, ok := seal.KeyOf(check)
	if !ok {
		return seal.Pair{}, time.Time{}, seal.ErrNotOpened
	}
	// Keys that are out of step open nothing, others of the same file do.
	first := seal.Pair{Sealing: sealing, Hashing: keys.Hashing()[0]}
	keys, err := keys.Using(first)
	if err != nil {
		return seal.Pair{}, time.Time{}, err
	}
	text, err := keys.Open(label(checkKey), check)
	if err != nil { // a copy, or what was closed, may have that of format 1
		text, err = keys.Open(label(legacyCheckKey), check)
	}
	if err != nil {
		return seal.Pair{}, time.Time{}, err
	}
	if string(text) == checkText {
		return first, time.Time{}, nil
	}
	var changed keyCheck
	if err := json.Unmarshal(text, &changed); err != nil || changed.Product != checkText {
		return seal.Pair{}, time.Time{}, fmt.Errorf("%w: the key check is not one", store.ErrCorrupt)
	}
	if changed.Format > storeFormat {
		return seal.Pair{}, time.Time{}, fmt.Errorf("%w (format %d; this version knows %d)", ErrNewerStore, changed.Format, storeFormat)
	}
	return seal.Pair{Sealing: sealing, Hashing: changed.Hashing}, changed.Since, nil
}

// sealCheck makes the document that takes pair into use.
func sealCheck(keys *seal.Keys, pair seal.Pair, since time.Time) ([]byte, error) {
	keys, err := keys.Using(pair)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(keyCheck{Product: checkText, Format: storeFormat, Hashing: pair.Hashing, Since: since})
	if err != nil {
		return nil, fmt.Errorf("encoding key check: %w", err)
	}
	return keys.Seal(label(checkKey), text)
}
