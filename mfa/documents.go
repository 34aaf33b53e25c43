package mfa

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/caddymfa/caddy-mfa/mfa/seal"
	"github.com/caddymfa/caddy-mfa/mfa/store"
	"github.com/caddymfa/caddy-mfa/mfa/store/storeclock"
)

// Prefixes of the keys under which documents lie.
const (
	userPrefix       = "user/"       // by account key: user
	credentialPrefix = "credential/" // by hash of a credential's ID: credentialOwner
	mailPrefix       = "mail/"       // by keyed hash of an address: mailCount
)

// documents reads and writes sealed JSON. A document is sealed whole and
// bound to its key: who can write the database, but has not the key file,
// can neither read a record, nor change one, nor swap two.
type documents struct {
	store store.Store
	keys  *seal.Keys
	// clock is that of the store; while it is apart from the own one, nothing
	// is opened or sealed. Nil for a KeyFile, which follows also then.
	clock *storeclock.Clock
}

// label is what a document is sealed under.
func label(key string) string { return "caddy-mfa document " + key }

// outOfStep reports whether err is of keys that are not those of the store.
func outOfStep(err error) bool {
	return errors.Is(err, seal.ErrUnknownKey) || errors.Is(err, seal.ErrStopped)
}

// ready returns store.ErrUnavailable while this node must stay out.
func (d documents) ready() error {
	if err := d.keys.Err(); err != nil {
		return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	return d.inTime()
}

// inTime returns store.ErrUnavailable while the clock of this node is too far
// from that of the store.
func (d documents) inTime() error {
	if err := d.clock.Err(); err != nil {
		return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	return nil
}

// open opens the document under key. store.ErrCorrupt is returned when it is
// none of ours, store.ErrUnavailable when this node lacks the key.
func (d documents) open(key string, sealed []byte) ([]byte, error) {
	if err := d.inTime(); err != nil {
		return nil, err
	}
	text, err := d.keys.Open(label(key), sealed)
	if outOfStep(err) {
		return nil, fmt.Errorf("%w: opening document: %w", store.ErrUnavailable, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: opening document: %w", store.ErrCorrupt, err)
	}
	return text, nil
}

// seal seals the document under key. store.ErrUnavailable is returned when
// this node lacks the key in use.
func (d documents) seal(key string, text []byte) ([]byte, error) {
	if err := d.inTime(); err != nil {
		return nil, err
	}
	sealed, err := d.keys.Seal(label(key), text)
	if outOfStep(err) {
		return nil, fmt.Errorf("%w: sealing document: %w", store.ErrUnavailable, err)
	}
	return sealed, err
}

// hash makes a keyed hash. store.ErrUnavailable is returned when this node
// lacks the key in use.
func (d documents) hash(label string, secret []byte) ([]byte, error) {
	if err := d.inTime(); err != nil {
		return nil, err
	}
	hash, err := d.keys.Hash(label, secret)
	if outOfStep(err) {
		return nil, fmt.Errorf("%w: hashing: %w", store.ErrUnavailable, err)
	}
	return hash, err
}

func (d documents) decode(key string, sealed []byte, into any) error {
	text, err := d.open(key, sealed)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%w: decoding document: %w", store.ErrCorrupt, err)
	}
	if u, ok := into.(*user); ok {
		u.upgrade()
	}
	return nil
}

// read decodes the document under key into into, which stays as it is
// when there is none.
func (d documents) read(ctx context.Context, key string, into any) error {
	sealed, err := d.store.Get(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading document: %w", err)
	}
	return d.decode(key, sealed, into)
}

// transaction is a store.Tx of sealed documents.
type transaction struct {
	documents
	tx store.Tx
}

// update is Store.Update over sealed documents.
func (d documents) update(ctx context.Context, fn func(transaction) error, keys ...string) error {
	return d.store.Update(ctx, func(tx store.Tx) error {
		return fn(transaction{documents: d, tx: tx})
	}, keys...)
}

// get decodes the document under key into into and reports whether there
// is one.
func (t transaction) get(key string, into any) (bool, error) {
	sealed, err := t.tx.Get(key)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading document: %w", err)
	}
	return true, t.decode(key, sealed, into)
}

func (t transaction) put(key string, document any) error {
	text, err := json.Marshal(document)
	if err != nil {
		return fmt.Errorf("encoding document: %w", err)
	}
	sealed, err := t.seal(key, text)
	if err != nil {
		return err
	}
	return t.tx.Put(key, sealed)
}
