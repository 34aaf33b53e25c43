package etcd

import (
	"errors"
	"fmt"
	"slices"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// errTxOver is returned by a Tx that is used after its Update.
var errTxOver = errors.New("transaction used after its update")

// document is what is, or is not, under a key of the store.
type document struct {
	key      string
	value    []byte
	revision int64 // of its last modification; 0 when there is none
}

func (d document) exists() bool { return d.revision != 0 }

// tx is the view that one Update has of what was read. It keeps the writes.
type tx struct {
	docs   []document
	writes []write // one for each of docs
	over   bool
}

type write struct {
	value   []byte
	written bool // value holds, nil meaning that the document goes
}

func newTx(docs []document) *tx {
	return &tx{docs: docs, writes: make([]write, len(docs))}
}

// Get implements store.Tx.
func (t *tx) Get(key string) ([]byte, error) {
	i, err := t.named(key)
	if err != nil {
		return nil, err
	}
	switch w := t.writes[i]; {
	case w.written && w.value != nil:
		return append([]byte{}, w.value...), nil
	case !w.written && t.docs[i].exists():
		return append([]byte{}, t.docs[i].value...), nil
	}
	return nil, store.ErrNotFound
}

// Put implements store.Tx.
func (t *tx) Put(key string, value []byte) error {
	i, err := t.named(key)
	if err != nil {
		return err
	}
	if err := store.CheckValue(value); err != nil {
		return err
	}
	t.writes[i] = write{append([]byte{}, value...), true}
	return nil
}

// Delete implements store.Tx.
func (t *tx) Delete(key string) error {
	i, err := t.named(key)
	if err != nil {
		return err
	}
	t.writes[i] = write{nil, true}
	return nil
}

func (t *tx) named(key string) (int, error) {
	if t.over {
		return 0, errTxOver
	}
	i := slices.IndexFunc(t.docs, func(d document) bool { return d.key == key })
	if i < 0 {
		return 0, fmt.Errorf("%w: %q", store.ErrKeyNotNamed, key)
	}
	return i, nil
}

// call calls fn with the transaction, which is of no use afterwards.
func (t *tx) call(fn func(store.Tx) error) error {
	defer func() { t.over = true }()
	return fn(t)
}

// operations returns the writes as etcd makes them. store.ErrTooLarge is
// returned when they are too large together.
func (t *tx) operations(at layout) ([]clientv3.Op, error) {
	var operations []clientv3.Op
	size := 0
	for i, w := range t.writes {
		key := t.docs[i].key
		switch {
		case !w.written:
			continue
		case w.value != nil:
			operations = append(operations, clientv3.OpPut(at.doc(key), string(w.value)))
		case t.docs[i].exists():
			operations = append(operations, clientv3.OpDelete(at.doc(key)))
		}
		size += len(key) + len(w.value)
	}
	return operations, store.CheckUpdate(size)
}
