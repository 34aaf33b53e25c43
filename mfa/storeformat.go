package mfa

import (
	"context"
	"errors"
	"fmt"

	"github.com/caddymfa/caddy-mfa/mfa/seal"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// A version that does not know a field of a record drops it when it writes
// the record again, and with it what the field forbids. So versions whose
// records differ in that way must not serve from one store, neither at once
// nor by turns. Each keeps its key check where the others do not find it, and
// without one they serve nobody: those before format 2 under legacyCheckKey,
// all others under checkKey with the format in it.
const (
	// storeFormat is that of the records that this version writes. It is raised
	// when an older version would do harm by what it drops.
	storeFormat = 2

	// legacyCheckKey is where the key check of format 1 is. The first node of
	// this version that opens the store takes it from there.
	legacyCheckKey = sealPrefix + "check"

	// legacyMovedKey says that the check under movedKey was there.
	legacyMovedKey = sealPrefix + "moved.1"
)

// ErrNewerStore is returned when a newer version has written to a store, in a
// format that this one does not know.
var ErrNewerStore = errors.New("the store is in use by a newer version, whose records this one would damage: run that version here, too")

// adoptFormat makes a store of format 1 one of this version's. It does nothing
// where that was done. The keys must be those of the store.
func adoptFormat(ctx context.Context, st store.Store, keys *seal.Keys) error {
	err := st.Update(ctx, func(tx store.Tx) error {
		legacy, err := tx.Get(legacyCheckKey)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		_, err = tx.Get(checkKey)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err != nil {
			pair, since, err := openCheck(keys, legacy)
			if err != nil {
				return err
			}
			check, err := sealCheck(keys, pair, since)
			if err != nil {
				return err
			}
			if err := tx.Put(checkKey, check); err != nil {
				return err
			}
		}
		return tx.Delete(legacyCheckKey)
	}, checkKey, legacyCheckKey)
	if err != nil {
		return fmt.Errorf("taking the store over from an older version: %w", err)
	}
	return nil
}
