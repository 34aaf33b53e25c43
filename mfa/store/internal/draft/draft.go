// Package draft is the store.Tx of engines that read documents, let a
// function decide over them, and write afterwards what it has decided.
package draft

import (
	"errors"
	"fmt"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// errOver is returned by a Tx that is used after its Update.
var errOver = errors.New("transaction used after its update")

// Document is what was read under a key.
type Document struct {
	Key     string
	Value   []byte
	Version int64 // 0 when there is none
}

// Write is what became of a document.
type Write struct {
	Document        // as it was read
	New      []byte // never nil unless Deleted
	Deleted  bool   // which is not set for a document that was not there
}

// Tx is a store.Tx over documents that were read. It belongs to one
// goroutine.
type Tx struct {
	entries []entry
	over    bool
}

type entry struct {
	Document
	written bool // value holds, nil meaning that the document goes
	value   []byte
}

// New returns a Tx over docs, one for each key that was named.
func New(docs []Document) *Tx {
	t := &Tx{entries: make([]entry, len(docs))}
	for i, d := range docs {
		t.entries[i].Document = d
	}
	return t
}

// Call calls fn with t, which is of no use to it afterwards.
func (t *Tx) Call(fn func(store.Tx) error) error {
	defer func() { t.over = true }()
	return fn(t)
}

// Writes returns what fn has written. store.ErrTooLarge is returned when it
// is more than one Update may write.
func (t *Tx) Writes() ([]Write, error) {
	var writes []Write
	size := 0
	for _, e := range t.entries {
		if !e.written || e.value == nil && e.Version == 0 {
			continue
		}
		writes = append(writes, Write{Document: e.Document, New: e.value, Deleted: e.value == nil})
		size += len(e.Key) + len(e.value)
	}
	return writes, store.CheckUpdate(size)
}

// Get implements store.Tx.
func (t *Tx) Get(key string) ([]byte, error) {
	e, err := t.named(key)
	if err != nil {
		return nil, err
	}
	value, there := e.Value, e.Version != 0
	if e.written {
		value, there = e.value, e.value != nil
	}
	if !there {
		return nil, store.ErrNotFound
	}
	return append([]byte{}, value...), nil
}

// Put implements store.Tx.
func (t *Tx) Put(key string, value []byte) error {
	e, err := t.named(key)
	if err != nil {
		return err
	}
	if err := store.CheckValue(value); err != nil {
		return err
	}
	e.written, e.value = true, append([]byte{}, value...)
	return nil
}

// Delete implements store.Tx.
func (t *Tx) Delete(key string) error {
	e, err := t.named(key)
	if err != nil {
		return err
	}
	e.written, e.value = true, nil
	return nil
}

func (t *Tx) named(key string) (*entry, error) {
	if t.over {
		return nil, errOver
	}
	for i := range t.entries {
		if t.entries[i].Key == key {
			return &t.entries[i], nil
		}
	}
	return nil, fmt.Errorf("%w: %q", store.ErrKeyNotNamed, key)
}
