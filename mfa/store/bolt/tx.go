package bolt

import (
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// errTxOver is returned by a Tx that is used after its Update.
var errTxOver = errors.New("transaction used after its update")

// tx is the view of one Update. Its writes stay with it until the
// function has returned nil, so that one that fails spoils nothing for
// the others in the same commit.
type tx struct {
	bucket *bbolt.Bucket // nil when the call is over
	docs   []doc         // one for each named key
	failed error         // damage met on the way, even if fn made light of it
}

type doc struct {
	key     string
	value   []byte
	written bool // value holds, nil meaning that the document goes
}

func newTx(keys []string) tx {
	docs := make([]doc, len(keys))
	for i, key := range keys {
		docs[i].key = key
	}
	return tx{docs: docs}
}

// Get implements store.Tx.
func (t *tx) Get(key string) ([]byte, error) {
	d, err := t.named(key)
	if err != nil {
		return nil, err
	}
	if d.written {
		if d.value == nil {
			return nil, store.ErrNotFound
		}
		return append([]byte{}, d.value...), nil
	}
	var value []byte
	err = guard(func() (err error) {
		value, err = read(t.bucket, key)
		return err
	})
	if errors.Is(err, store.ErrCorrupt) {
		t.failed = err
	}
	return value, err
}

// Put implements store.Tx.
func (t *tx) Put(key string, value []byte) error {
	d, err := t.named(key)
	if err != nil {
		return err
	}
	if err := store.CheckValue(value); err != nil {
		return err
	}
	d.value, d.written = append([]byte{}, value...), true
	return nil
}

// Delete implements store.Tx.
func (t *tx) Delete(key string) error {
	d, err := t.named(key)
	if err != nil {
		return err
	}
	d.value, d.written = nil, true
	return nil
}

func (t *tx) named(key string) (*doc, error) {
	if t.bucket == nil {
		return nil, errTxOver
	}
	for i := range t.docs {
		if t.docs[i].key == key {
			return &t.docs[i], nil
		}
	}
	return nil, fmt.Errorf("%w: %q", store.ErrKeyNotNamed, key)
}

// size returns the size of the writes.
func (t *tx) size() (size int) {
	for _, d := range t.docs {
		if d.written {
			size += len(d.key) + len(d.value)
		}
	}
	return size
}

// apply makes the writes in b and returns their keys.
func (t *tx) apply(b *bbolt.Bucket) (written []string, err error) {
	for _, d := range t.docs {
		switch {
		case !d.written:
			continue
		case d.value == nil:
			err = b.Delete([]byte(d.key))
		default:
			err = b.Put([]byte(d.key), d.value)
		}
		if err != nil {
			return written, err
		}
		written = append(written, d.key)
	}
	return written, nil
}
