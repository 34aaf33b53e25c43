package mfa

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/caddymfa/caddy-mfa/mfa/seal"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

var (
	// ErrDestinationInUse is returned when the destination of a copy holds
	// documents, and may not be overwritten.
	ErrDestinationInUse = errors.New("the destination holds documents")

	// ErrSourceChanging is returned when a source was written to all the time
	// that it was copied.
	ErrSourceChanging = errors.New("the source is being written to")

	// ErrCopyFailed is returned when the destination does not hold what was
	// written to it.
	ErrCopyFailed = errors.New("the destination is not what was copied")

	// ErrSameStore is returned when what is written to the destination stands
	// in the source.
	ErrSameStore = errors.New("the source and the destination are the same store")
)

// CopyOptions are those of a Copy.
type CopyOptions struct {
	// Overwrite replaces all that the destination holds.
	Overwrite bool
	// Progress is told how many documents more were looked at; nil means
	// nobody is.
	Progress func(documents int)
	// Marked is called once the destination is marked as unfinished, before
	// any document of it is changed. When it returns an error, nothing is
	// copied, and a destination that was in use before is in use again. Nil
	// means that nothing is to be called.
	Marked func(ctx context.Context) error
}

// Copied tells what Copy did.
type Copied struct {
	// Kinds are the documents by what they are about.
	Kinds []CopiedKind
	// Documents is how many both stores hold now, SHA256 the checksum of
	// their keys and contents, which was read back from each.
	Documents int
	SHA256    string
	// Written and Removed are the documents that had to be, Passes the times
	// that both stores were gone through.
	Written, Removed, Passes int
}

// maxPasses is how often the source is gone through before it is given up.
const maxPasses = 8

// Copy makes the destination hold the documents of the source, sealed as they
// are, and verifies that by a checksum of both. It goes on after what an
// earlier copy, broken off, has done. Until it ends well, no node starts on
// the destination; one that serves from it goes on for KeyPoll, and what it
// writes then is lost, or has the copy fail.
//
// What others write to the source meanwhile is copied too, in further passes;
// ErrSourceChanging is returned when that does not end. What they write
// after the last pass is missing: CloseStore first where that may be.
//
// ErrDestinationInUse is returned when there is something to overwrite,
// ErrSameStore when that is the source, ErrForeignStore or ErrUnfinishedCopy
// when the source cannot be copied.
func Copy(ctx context.Context, from, to store.Store, options CopyOptions) (Copied, error) {
	if options.Progress == nil {
		options.Progress = func(int) {}
	}
	if _, err := sourceCheck(ctx, from); err != nil {
		return Copied{}, fmt.Errorf("source: %w", err)
	}
	id := []byte(newID())
	if options.Overwrite {
		// Otherwise a source, which holds documents, is no destination.
		if err := distinct(ctx, from, to, id); err != nil {
			return Copied{}, err
		}
	}
	undo, err := beginCopy(ctx, to, id, options.Overwrite)
	if err != nil {
		return Copied{}, fmt.Errorf("destination: %w", err)
	}
	if options.Marked != nil {
		if err := options.Marked(ctx); err != nil {
			return Copied{}, errors.Join(err, undo())
		}
	}
	copied, err := copyAll(ctx, from, to, id, options.Progress)
	if err != nil {
		return copied, err
	}
	// The keys in use may have been changed in the meantime.
	check, err := sourceCheck(ctx, from)
	if err != nil {
		return copied, fmt.Errorf("source: %w", err)
	}
	if err := endCopy(ctx, to, id, check); err != nil {
		return copied, fmt.Errorf("destination: %w", err)
	}
	return copied, nil
}

// copyAll makes passes until both stores hold the same.
func copyAll(ctx context.Context, from, to store.Store, id []byte, progress func(int)) (Copied, error) {
	var (
		copied Copied
		before digested // of the source, in the pass before
	)
	for copied.Passes < maxPasses {
		copied.Passes++
		written, removed, err := copyPass(ctx, from, to, id, progress)
		copied.Written += written
		copied.Removed += removed
		if err != nil {
			return copied, err
		}
		source, err := digest(ctx, from, progress)
		if err != nil {
			return copied, fmt.Errorf("verifying source: %w", err)
		}
		destination, err := digest(ctx, to, progress)
		if err != nil {
			return copied, fmt.Errorf("verifying destination: %w", err)
		}
		if source.sum == destination.sum {
			copied.Kinds, copied.Documents, copied.SHA256 = source.kinds, source.documents, source.sum
			return copied, nil
		}
		if source.sum == before.sum {
			// Nobody has written to the source while this pass was made.
			return copied, fmt.Errorf("%w: it has %d documents with checksum %s, the source %d with %s",
				ErrCopyFailed, destination.documents, destination.sum, source.documents, source.sum)
		}
		before = source
	}
	return copied, fmt.Errorf("%w, also after %d passes: stop its nodes, or close it, and copy again", ErrSourceChanging, maxPasses)
}

// CheckKeyFile returns ErrKeyMismatch unless the key file at path is that of
// st, whether or not st is closed.
func CheckKeyFile(ctx context.Context, st store.Store, path string) error {
	check, err := sourceCheck(ctx, st)
	if err != nil {
		return err
	}
	keys, err := seal.Load(path)
	if err != nil {
		return err
	}
	return compare(keys, check, path)
}

// sourceCheck returns the key check of a store that is in use, or was until
// it was closed.
func sourceCheck(ctx context.Context, from store.Store) ([]byte, error) {
	for _, key := range []string{checkKey, movedKey, legacyCheckKey} {
		check, err := from.Get(ctx, key)
		if err == nil {
			return check, nil
		}
		if !errors.Is(err, store.ErrNotFound) {
			return nil, fmt.Errorf("reading key check: %w", err)
		}
	}
	if err := closed(getter(ctx, from)); err != nil {
		return nil, err
	}
	found, err := from.List(ctx, "", "", 1)
	if err != nil {
		return nil, fmt.Errorf("listing documents: %w", err)
	}
	if len(found) == 0 {
		return nil, errors.New("it is empty: nothing was ever stored there")
	}
	return nil, ErrForeignStore
}

// sameKey is that of a document which stands in the destination for a moment,
// to see whether the source then has it too.
const sameKey = sealPrefix + "same"

// distinct returns ErrSameStore when both are one store, which may go by many
// names: to begin a copy onto itself would cost it its key check.
func distinct(ctx context.Context, from, to store.Store, id []byte) (err error) {
	err = to.Update(ctx, func(tx store.Tx) error { return tx.Put(sameKey, id) }, sameKey)
	if err != nil {
		return fmt.Errorf("destination: %w", err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
		defer cancel()
		failed := to.Update(ctx, func(tx store.Tx) error { return tx.Delete(sameKey) }, sameKey)
		if failed != nil {
			err = errors.Join(err, fmt.Errorf("destination: %w", failed))
		}
	}()
	seen, err := from.Get(ctx, sameKey)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("source: %w", err)
	}
	if bytes.Equal(seen, id) {
		return ErrSameStore
	}
	return nil
}

// beginCopy marks the destination as one that is not whole. Undo takes that
// back, as long as no document was changed since.
func beginCopy(ctx context.Context, to store.Store, id []byte, overwrite bool) (undo func() error, err error) {
	found, err := to.List(ctx, "", "", 1)
	if err != nil {
		return nil, fmt.Errorf("listing documents: %w", err)
	}
	states := []string{copyingKey, checkKey, legacyCheckKey, movedKey, legacyMovedKey}
	before := make(map[string][]byte)
	err = to.Update(ctx, func(tx store.Tx) error {
		clear(before)
		for _, key := range states {
			value, err := tx.Get(key)
			if err == nil {
				before[key] = value
			} else if !errors.Is(err, store.ErrNotFound) {
				return err
			}
		}
		if before[copyingKey] == nil && !overwrite && (len(found) > 0 || before[checkKey] != nil || before[legacyCheckKey] != nil) {
			return ErrDestinationInUse
		}
		for _, key := range states[1:] {
			if err := tx.Delete(key); err != nil {
				return err
			}
		}
		return tx.Put(copyingKey, id)
	}, states...)
	undo = func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
		defer cancel()
		err := to.Update(ctx, func(tx store.Tx) error {
			if err := checkCopy(tx, id); err != nil {
				return err
			}
			if err := tx.Delete(copyingKey); err != nil {
				return err
			}
			for key, value := range before {
				if err := tx.Put(key, value); err != nil {
					return err
				}
			}
			return nil
		}, states...)
		if err != nil {
			return fmt.Errorf("destination: taking back that it is unfinished: %w", err)
		}
		return nil
	}
	return undo, err
}

// endCopy opens the destination, unless another copy has begun since.
func endCopy(ctx context.Context, to store.Store, id, check []byte) error {
	return to.Update(ctx, func(tx store.Tx) error {
		if err := checkCopy(tx, id); err != nil {
			return err
		}
		if err := tx.Delete(copyingKey); err != nil {
			return err
		}
		if err := tx.Put(copiedKey, id); err != nil {
			return err
		}
		return tx.Put(checkKey, check)
	}, copyingKey, copiedKey, checkKey)
}

// checkCopy makes sure that the destination is that of the copy id still.
func checkCopy(tx store.Tx, id []byte) error {
	marked, err := tx.Get(copyingKey)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if !bytes.Equal(marked, id) {
		return fmt.Errorf("%w: another copy has begun, or ended, meanwhile", ErrCopyFailed)
	}
	return nil
}

// notCopied reports whether a document is about its own store.
func notCopied(key string) bool {
	switch key {
	case checkKey, legacyCheckKey, movedKey, legacyMovedKey, copyingKey, copiedKey, sameKey:
		return true
	}
	return false
}
