package mfa

import (
	"context"
	"errors"
	"fmt"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// A store whose key check is gone is served by nobody. One of these documents
// says why.
const (
	// movedKey is that of a source that was closed; it holds the check.
	movedKey = sealPrefix + "moved"

	// copyingKey is that of a destination that does not hold everything yet;
	// it names the copy.
	copyingKey = sealPrefix + "copying"

	// copiedKey is that of a destination which was copied as a whole. The
	// first node that serves from it writes that to its audit log, and removes
	// the document: the command that copied has no such log.
	copiedKey = sealPrefix + "copied"
)

var (
	// errNoCheck is returned when the key check is gone.
	errNoCheck = errors.New("the store is not in use")

	// ErrMoved is returned when a store was closed, because it was copied to
	// another.
	ErrMoved = fmt.Errorf("%w: it was closed by a copy to another store, where its records go on", errNoCheck)

	// ErrUnfinishedCopy is returned when a store is the destination of a copy
	// that has not come to its end.
	ErrUnfinishedCopy = fmt.Errorf("%w: it is the unfinished copy of another store: copy again", errNoCheck)
)

// whyNoCheck says why a store has no key check.
func whyNoCheck(has func(key string) bool) error {
	switch {
	case has(copyingKey):
		return ErrUnfinishedCopy
	case has(movedKey):
		return ErrMoved
	default:
		return fmt.Errorf("%w: its key check is gone", errNoCheck)
	}
}

// closed returns ErrMoved or ErrUnfinishedCopy for a store that is not to be
// used. Get is that of the store, or of an update.
func closed(get func(key string) ([]byte, error)) error {
	for _, state := range []struct {
		key string
		why error
	}{{copyingKey, ErrUnfinishedCopy}, {movedKey, ErrMoved}} {
		_, err := get(state.key)
		if err == nil {
			return state.why
		}
		if !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("reading state of store: %w", err)
		}
	}
	return nil
}

// getter is st.Get within ctx.
func getter(ctx context.Context, st store.Store) func(key string) ([]byte, error) {
	return func(key string) ([]byte, error) { return st.Get(ctx, key) }
}

// CloseStore has no node serve from st any more: those that run answer
// that it is unavailable, KeyPoll later at most, and none starts. It reports
// whether the store was open. ReopenStore takes that back.
func CloseStore(ctx context.Context, st store.Store) (changed bool, err error) {
	return swapCheck(ctx, st, checkKey, movedKey)
}

// ReopenStore opens a store that CloseStore has closed, and reports whether
// it was.
func ReopenStore(ctx context.Context, st store.Store) (changed bool, err error) {
	return swapCheck(ctx, st, movedKey, checkKey)
}

func swapCheck(ctx context.Context, st store.Store, from, to string) (changed bool, err error) {
	err = st.Update(ctx, func(tx store.Tx) error {
		changed = false
		check, err := tx.Get(from)
		if errors.Is(err, store.ErrNotFound) {
			_, err := tx.Get(to)
			if errors.Is(err, store.ErrNotFound) {
				return whyNoCheck(func(key string) bool { _, err := tx.Get(key); return err == nil })
			}
			return err
		}
		if err != nil {
			return err
		}
		if err := tx.Delete(from); err != nil {
			return err
		}
		changed = true
		return tx.Put(to, check)
	}, checkKey, movedKey, copyingKey)
	return changed && err == nil, err
}
