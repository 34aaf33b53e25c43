package mfa

import (
	"context"
	"errors"
	"fmt"

	"github.com/caddymfa/caddy-mfa/mfa/seal"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// Resealed tells how far a Reseal came.
type Resealed struct {
	// Next is where to go on, "" at the end.
	Next string
	// Seen are the documents that were looked at, Resealed those of them
	// that were sealed anew.
	Seen, Resealed int
}

// Reseal seals documents anew that were sealed with a key other than the one
// in use: at most limit (1 to store.MaxPage) after the key after. Every node
// may do it at any time. A document that does not open is kept as it is.
// store.ErrUnavailable is returned while this node lacks the key in use.
func (k *KeyFile) Reseal(ctx context.Context, after string, limit int) (Resealed, error) {
	if err := k.documents.ready(); err != nil {
		return Resealed{}, fmt.Errorf("sealing documents anew: %w", err)
	}
	found, err := k.documents.store.List(ctx, "", after, limit)
	if err != nil {
		return Resealed{}, fmt.Errorf("listing documents: %w", err)
	}
	r := Resealed{Seen: len(found)}
	var (
		batch []string
		size  int
	)
	flush := func() error {
		done, err := k.reseal(ctx, batch)
		r.Resealed += done
		batch, size = nil, 0
		return err
	}
	for _, document := range found {
		if !k.outdated(document.Key, document.Value) {
			continue
		}
		if len(batch) == resealKeys || size+len(document.Value) > resealBytes {
			if err := flush(); err != nil {
				return r, err
			}
		}
		batch = append(batch, document.Key)
		size += len(document.Value)
	}
	if err := flush(); err != nil {
		return r, err
	}
	if len(found) == limit {
		r.Next = found[len(found)-1].Key
	}
	return r, nil
}

// Bounds of one Update. Few and small, so that nobody waits long behind it,
// and far from what an engine takes at once, should they have grown since.
const (
	resealKeys  = 32
	resealBytes = store.MaxValue / 4
)

// ResealAll is Reseal from one end to the other. It also removes what nodes
// that run no more have left of a rotation.
func (k *KeyFile) ResealAll(ctx context.Context) (resealed int, err error) {
	s, err := k.state(ctx)
	if err != nil {
		return 0, err
	}
	if err := k.clear(ctx, s.stale); err != nil {
		return 0, err
	}
	const page = 200
	for after := ""; ; {
		r, err := k.Reseal(ctx, after, page)
		resealed += r.Resealed
		if err != nil || r.Next == "" {
			return resealed, err
		}
		after = r.Next
	}
}

// outdated reports whether a document is sealed with a key other than the
// one in use.
func (k *KeyFile) outdated(key string, sealed []byte) bool {
	id, ok := seal.KeyOf(sealed)
	return ok && id != k.documents.keys.InUse().Sealing && key != checkKey
}

// reseal seals the documents under keys anew and returns how many it has.
func (k *KeyFile) reseal(ctx context.Context, keys []string) (done int, err error) {
	if len(keys) == 0 {
		return 0, nil
	}
	err = k.documents.store.Update(ctx, func(tx store.Tx) error {
		done = 0
		for _, key := range keys {
			sealed, err := tx.Get(key)
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			if !k.outdated(key, sealed) {
				continue
			}
			text, err := k.documents.keys.Open(label(key), sealed)
			if err != nil {
				continue
			}
			if sealed, err = k.documents.seal(key, text); err != nil {
				return err
			}
			if err := tx.Put(key, sealed); err != nil {
				return err
			}
			done++
		}
		return k.documents.ready() // or nothing has opened
	}, keys...)
	if err != nil {
		return 0, fmt.Errorf("sealing documents anew: %w", err)
	}
	return done, nil
}

// each calls visit with every document.
func (k *KeyFile) each(ctx context.Context, prefix string, visit func(store.Document) error) error {
	for after := ""; ; {
		found, err := k.documents.store.List(ctx, prefix, after, store.MaxPage)
		if err != nil {
			return fmt.Errorf("listing documents: %w", err)
		}
		for _, document := range found {
			if err := visit(document); err != nil {
				return err
			}
			after = document.Key
		}
		if len(found) < store.MaxPage {
			return nil
		}
	}
}

// errFound ends a look through documents early.
var errFound = errors.New("found")

// resealed reports whether every document that this node can open is sealed
// with the key in use.
func (k *KeyFile) resealed(ctx context.Context) (bool, error) {
	err := k.each(ctx, "", func(d store.Document) error {
		if !k.outdated(d.Key, d.Value) {
			return nil
		}
		if _, err := k.documents.keys.Open(label(d.Key), d.Value); err != nil {
			return nil
		}
		return errFound
	})
	if errors.Is(err, errFound) {
		return false, nil
	}
	if err == nil {
		err = k.documents.ready() // or nothing has opened
	}
	return true, err
}
