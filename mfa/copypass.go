package mfa

import (
	"bytes"
	"context"
	"fmt"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// Bounds of one Update of a copy.
const (
	copyKeys  = 64
	copyBytes = store.MaxValue
)

// write is a document to put or, when it is gone, to delete.
type write struct {
	store.Document
	gone bool
}

// writer writes documents to the destination of one copy.
type writer struct {
	ctx   context.Context
	to    store.Store
	id    []byte // of the copy
	batch []write
	size  int // of batch, in bytes

	written, removed int
}

func (w *writer) add(d write) error {
	size := len(d.Key) + len(d.Value)
	if len(w.batch) == copyKeys || w.size+size > copyBytes {
		if err := w.flush(); err != nil {
			return err
		}
	}
	w.batch = append(w.batch, d)
	w.size += size
	return nil
}

// flush writes what was added. Another copy into the same store ends this
// one: it would not know what it holds.
func (w *writer) flush() error {
	if len(w.batch) == 0 {
		return nil
	}
	keys := []string{copyingKey}
	for _, d := range w.batch {
		keys = append(keys, d.Key)
		if d.gone {
			w.removed++
		} else {
			w.written++
		}
	}
	err := w.to.Update(w.ctx, func(tx store.Tx) error {
		if err := checkCopy(tx, w.id); err != nil {
			return err
		}
		for _, d := range w.batch {
			var err error
			if d.gone {
				err = tx.Delete(d.Key)
			} else {
				err = tx.Put(d.Key, d.Value)
			}
			if err != nil {
				return fmt.Errorf("writing document %q: %w", d.Key, err)
			}
		}
		return nil
	}, keys...)
	if err != nil {
		return fmt.Errorf("destination: writing documents: %w", err)
	}
	w.batch, w.size = nil, 0
	return nil
}

// copyPass goes through both stores once and writes what differs.
func copyPass(ctx context.Context, from, to store.Store, id []byte, progress func(int)) (written, removed int, err error) {
	w := &writer{ctx: ctx, to: to, id: id}
	if err = difference(ctx, from, to, progress, w.add); err == nil {
		err = w.flush()
	}
	return w.written, w.removed, err
}

// difference calls differs with what must be written for both stores to hold
// the same.
func difference(ctx context.Context, from, to store.Store, progress func(int), differs func(write) error) error {
	source := &listing{ctx: ctx, store: from, listed: progress}
	destination := &listing{ctx: ctx, store: to, listed: func(int) {}}
	for {
		want, err := source.next()
		if err != nil {
			return fmt.Errorf("source: %w", err)
		}
		have, err := destination.next()
		if err != nil {
			return fmt.Errorf("destination: %w", err)
		}
		switch {
		case want == nil && have == nil:
			return nil
		case want == nil || have != nil && have.Key < want.Key:
			err = differs(write{Document: store.Document{Key: have.Key}, gone: true})
			destination.skip()
		case have == nil || want.Key < have.Key:
			err = differs(write{Document: *want})
			source.skip()
		default:
			if !bytes.Equal(have.Value, want.Value) {
				err = differs(write{Document: *want})
			}
			source.skip()
			destination.skip()
		}
		if err != nil {
			return err
		}
	}
}
