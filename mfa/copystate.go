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
	return changeState(ctx, st, func(tx store.Tx, at map[string][]byte) (bool, error) {
		if check := at[checkKey]; check != nil {
			return true, move(tx, checkKey, movedKey, check)
		}
		if check := at[legacyCheckKey]; check != nil { // nodes of an older version serve from it
			return true, errors.Join(move(tx, legacyCheckKey, movedKey, check), tx.Put(legacyMovedKey, nil))
		}
		return false, nil
	})
}

// ReopenStore opens a store that CloseStore has closed, and reports whether
// it was.
func ReopenStore(ctx context.Context, st store.Store) (changed bool, err error) {
	return changeState(ctx, st, func(tx store.Tx, at map[string][]byte) (bool, error) {
		check, to := at[movedKey], checkKey
		if check == nil {
			return false, nil
		}
		if at[legacyMovedKey] != nil {
			to = legacyCheckKey
		}
		return true, errors.Join(move(tx, movedKey, to, check), tx.Delete(legacyMovedKey))
	})
}

// move puts what is under one key under another.
func move(tx store.Tx, from, to string, value []byte) error {
	return errors.Join(tx.Delete(from), tx.Put(to, value))
}

// changeState changes whether st is in use: change gets the documents that say
// so. Those that are there are not nil.
func changeState(ctx context.Context, st store.Store, change func(tx store.Tx, at map[string][]byte) (bool, error)) (changed bool, err error) {
	err = st.Update(ctx, func(tx store.Tx) error {
		changed = false
		at := make(map[string][]byte)
		for _, key := range []string{checkKey, legacyCheckKey, movedKey, legacyMovedKey} {
			value, err := tx.Get(key)
			if err == nil {
				at[key] = append([]byte{}, value...)
			} else if !errors.Is(err, store.ErrNotFound) {
				return err
			}
		}
		if at[checkKey] == nil && at[legacyCheckKey] == nil && at[movedKey] == nil {
			return whyNoCheck(func(key string) bool { _, err := tx.Get(key); return err == nil })
		}
		var err error
		changed, err = change(tx, at)
		return err
	}, checkKey, legacyCheckKey, movedKey, legacyMovedKey, copyingKey)
	return changed && err == nil, err
}
