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
func (k *KeyFile) Reseal(ctx context.Context, after string, limit int) (Resealed, error) {
	found, err := k.documents.store.List(ctx, "", after, limit)
	if err != nil {
		return Resealed{}, fmt.Errorf("listing documents: %w", err)
	}
	r := Resealed{Seen: len(found)}
	for _, document := range found {
		if !k.outdated(document.Key, document.Value) {
			continue
		}
		done, err := k.reseal(ctx, document.Key)
		if err != nil {
			return r, fmt.Errorf("sealing document anew: %w", err)
		}
		if done {
			r.Resealed++
		}
	}
	if len(found) == limit {
		r.Next = found[len(found)-1].Key
	}
	return r, nil
}

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

func (k *KeyFile) reseal(ctx context.Context, key string) (done bool, err error) {
	err = k.documents.store.Update(ctx, func(tx store.Tx) error {
		done = false
		sealed, err := tx.Get(key)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if !k.outdated(key, sealed) {
			return nil
		}
		text, err := k.documents.keys.Open(label(key), sealed)
		if err != nil {
			return nil
		}
		if sealed, err = k.documents.seal(key, text); err != nil {
			return err
		}
		done = true
		return tx.Put(key, sealed)
	}, key)
	return done, err
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
	return true, err
}
