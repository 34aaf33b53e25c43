package mfa

import (
	"context"
	"errors"
	"fmt"
	"io"

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
)

// Restore replaces all records by those of the backup that it reads from r,
// into the store that s keeps its records in. ErrForeignBackup is returned for
// one that these keys do not open, ErrInUse when there is something to lose
// and overwrite does not say so, store.ErrBadSnapshot for one that is
// damaged.
func (s *Service) Restore(ctx context.Context, into store.Snapshotter, r io.Reader, overwrite bool) error {
	err := into.Restore(ctx, r, func(live, backup store.Content) error {
		check, err := backup.Get(checkKey)
		if err != nil {
			return ErrForeignBackup
		}
		if pair, _, err := openCheck(s.documents.keys, check); err != nil || !s.documents.keys.Hold(pair) {
			sealing, _ := seal.KeyOf(check)
			return fmt.Errorf("%w: it is sealed with key %s, which the key file does not hold, or no longer", ErrForeignBackup, sealing)
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
	if err != nil {
		return fmt.Errorf("restoring backup: %w", err)
	}
	return nil
}
