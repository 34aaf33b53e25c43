package mfa

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/seal"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// Retired tells what Retire did.
type Retired struct {
	// Removed are no longer in the file.
	Removed []KeyUse
	// Kept are needed still.
	Kept []KeyUse
}

// Retire removes the keys from this node's file that are not in use and that
// nothing needs. With all it also removes those that backup codes, refresh
// tokens and assertions still need, which are then of no use any more.
// ErrKeysNeeded is returned, and nothing is removed, while documents are
// sealed with them: these are never given up.
func (k *KeyFile) Retire(ctx context.Context, all bool) (Retired, error) {
	k.changing.Lock()
	defer k.changing.Unlock()
	if _, err := k.Follow(ctx); err != nil {
		return Retired{}, err
	}
	report, s, err := k.report(ctx)
	if err != nil {
		return Retired{}, err
	}
	if s.rotation != nil {
		return Retired{}, fmt.Errorf("%w: a rotation to key %s is under way: rotate again, which ends it", ErrKeysNeeded, s.rotation.Pair.Sealing)
	}
	var result Retired
	for _, key := range report.Keys {
		if key.InUse || !key.Held {
			continue
		}
		if key.Documents > 0 {
			return Retired{}, fmt.Errorf("%w: documents are sealed with %s (%d): rotate again, which seals them anew", ErrKeysNeeded, key.ID, key.Documents)
		}
		// Another node may be about to write with the key that it knew.
		if wait := 2*KeyPoll - s.settled; k.config.Shared && wait > 0 {
			return Retired{}, fmt.Errorf("%w: other nodes may take %s more to follow", ErrKeysNeeded, wait.Round(time.Second))
		}
		if key.needed(k.now()) && !all {
			result.Kept = append(result.Kept, key)
		} else {
			result.Removed = append(result.Removed, key)
		}
	}
	// A backup of before the change is read with both keys of a pair or not
	// at all.
	if slices.ContainsFunc(result.Kept, func(u KeyUse) bool { return !u.Hashing }) {
		result.Removed = slices.DeleteFunc(result.Removed, func(u KeyUse) bool {
			if u.Hashing {
				result.Kept = append(result.Kept, u)
			}
			return u.Hashing
		})
	}
	if len(result.Removed) == 0 {
		return result, nil
	}
	var gone []seal.KeyID
	for _, key := range result.Removed {
		gone = append(gone, key.ID)
	}
	if all {
		if err := k.dropCodes(ctx, result.Removed); err != nil {
			return Retired{}, err
		}
	}
	err = k.changeFile(func(path string) error { return seal.RemoveKeys(path, gone) })
	if err != nil {
		return Retired{}, fmt.Errorf("removing keys %v: %w", gone, err)
	}
	k.config.Journal.Record(byOperator(EventSealingKeysMade))
	return result, nil
}

// dropCodes takes the backup codes out of all records that the keys have
// hashed: a person is not to be told of codes that work no more.
func (k *KeyFile) dropCodes(ctx context.Context, keys []KeyUse) error {
	hashed := func(hash []byte) bool {
		id, ok := seal.KeyOf(hash)
		return ok && slices.ContainsFunc(keys, func(u KeyUse) bool { return u.Hashing && u.ID == id })
	}
	drop := func(u *user) (dropped bool) {
		lists := []*[][]byte{&u.BackupCodes, &u.SpentCodes}
		for i := range u.Pending {
			lists = append(lists, &u.Pending[i].BackupCodes)
		}
		for _, list := range lists {
			before := len(*list)
			*list = slices.DeleteFunc(*list, hashed)
			dropped = dropped || len(*list) < before
		}
		return dropped
	}
	return k.each(ctx, userPrefix, func(d store.Document) error {
		var u user
		if k.documents.decode(d.Key, d.Value, &u) != nil || !drop(&u) {
			return nil
		}
		err := k.documents.update(ctx, func(t transaction) error {
			var u user
			if found, err := t.get(d.Key, &u); err != nil || !found || !drop(&u) {
				return err
			}
			return t.put(d.Key, u)
		}, d.Key)
		if err != nil {
			return fmt.Errorf("removing backup codes: %w", err)
		}
		return nil
	})
}
