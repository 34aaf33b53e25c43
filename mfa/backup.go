package mfa

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/caddymfa/caddy-mfa/mfa/seal"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

var (
	// ErrInUse is returned when a restore would replace a store that holds
	// users, or is newer, and was not told to.
	ErrInUse = errors.New("the store is in use")

	// ErrForeignBackup is returned for a backup that was made with another
	// key file.
	ErrForeignBackup = errors.New("the backup was made with another key file")

	// ErrKeysChanging is returned while the keys are being changed that a
	// backup may need.
	ErrKeysChanging = errors.New("the sealing keys are being changed: try again when that has ended")
)

// Restore replaces all records by those of the backup that it reads from r,
// into the store that the keys are of. ErrForeignBackup is returned for one
// that these keys do not open, ErrKeysChanging while another call changes
// them, ErrInUse when there is something to lose and overwrite does not say
// so, store.ErrBadSnapshot for one that is damaged.
func (k *KeyFile) Restore(ctx context.Context, into store.Snapshotter, r io.Reader, overwrite bool) error {
	held := false
	err := into.Restore(ctx, r, func(live, backup store.Content) error {
		// From here until the records are there, no key of theirs may go. Who
		// changes keys now may be waiting for the store, so is not waited for.
		if held = k.changing.TryLock(); !held {
			return ErrKeysChanging
		}
		if err := opens(k.documents.keys, backup); err != nil {
			return err
		}
		if overwrite {
			return nil
		}
		users, err := live.Count(userPrefix, 1)
		if err != nil {
			return err
		}
		if users > 0 {
			return fmt.Errorf("%w: it holds users", ErrInUse)
		}
		if live.Revision() > backup.Revision() {
			return fmt.Errorf("%w: it has changed since the backup", ErrInUse)
		}
		return nil
	})
	if held {
		k.changing.Unlock()
	}
	if err != nil {
		return fmt.Errorf("restoring backup: %w", err)
	}
	k.config.Journal.Record(byOperator(EventStoreRestored))
	return adoptFormat(ctx, k.documents.store, k.documents.keys) // of an older version's backup
}

// Backup writes a snapshot of all records to w.
func (k *KeyFile) Backup(ctx context.Context, of store.Snapshotter, w io.Writer) error {
	// Recorded first: what was written before an error may be most of it.
	k.config.Journal.Record(byOperator(EventStoreBackedUp))
	if err := of.Snapshot(ctx, w); err != nil {
		return fmt.Errorf("backing up: %w", err)
	}
	return nil
}

// opens returns ErrForeignBackup for a backup that needs a key which is not
// there: the one that was in use, or, where it was made while records were
// being sealed anew, the one before.
func opens(keys *seal.Keys, backup store.Content) error {
	check, err := backup.Get(checkKey)
	if errors.Is(err, store.ErrNotFound) {
		check, err = backup.Get(legacyCheckKey)
	}
	if err != nil {
		return ErrForeignBackup
	}
	lacks := func(id seal.KeyID) error {
		return fmt.Errorf("%w: it is sealed with key %s, which the key file does not hold, or no longer", ErrForeignBackup, id)
	}
	pair, _, err := openCheck(keys, check)
	if errors.Is(err, ErrNewerStore) {
		return fmt.Errorf("%w: %w", ErrForeignBackup, err)
	}
	if err != nil || !keys.Hold(pair) {
		sealing, _ := seal.KeyOf(check)
		return lacks(sealing)
	}
	sealing := keys.Sealing()
	return backup.Each(func(_ string, sealed []byte) error {
		if id, ok := seal.KeyOf(sealed); ok && !slices.Contains(sealing, id) {
			return lacks(id)
		}
		return nil
	})
}
