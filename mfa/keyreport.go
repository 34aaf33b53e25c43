package mfa

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/seal"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// KeyReport tells of the sealing keys and what needs them.
type KeyReport struct {
	// Since is when the pair in use came into use, zero for the first.
	Since time.Time
	// Keys are those in the file of this node, and those that it lacks though
	// documents need them.
	Keys []KeyUse
	// Rotation is the one under way, nil for none.
	Rotation *Rotation
}

// KeyUse is a key and what needs it.
type KeyUse struct {
	ID seal.KeyID
	// Hashing tells a key for codes and tokens from one for documents.
	Hashing bool
	// InUse says that it is the one which seals, or hashes, now. Held says
	// that the file of this node has it.
	InUse, Held bool
	// Documents are sealed with it.
	Documents int
	// People hold unused backup codes that were hashed with it.
	People int
	// Sessions may have a refresh token that was.
	Sessions int
	// TokensUntil is when the last assertion runs out whose access token is
	// sealed with it, zero for a key in use or one that was long ago.
	TokensUntil time.Time
}

// needed reports whether removing the key would lose anything at now.
func (u KeyUse) needed(now time.Time) bool {
	return u.InUse || u.Documents > 0 || u.People > 0 || u.Sessions > 0 || now.Before(u.TokensUntil)
}

// Report looks through all documents. ErrKeyMismatch, ErrMoved or
// ErrUnfinishedCopy is returned as by Follow, store.ErrUnavailable when this
// node had to stop reading on the way.
func (k *KeyFile) Report(ctx context.Context) (KeyReport, error) {
	if _, err := k.Follow(ctx); err != nil {
		return KeyReport{}, err
	}
	report, s, err := k.report(ctx)
	if err != nil {
		return KeyReport{}, err
	}
	if s.rotation != nil {
		r := k.describe(s)
		report.Rotation = &r
	}
	return report, nil
}

func (k *KeyFile) report(ctx context.Context) (KeyReport, keyState, error) {
	s, err := k.state(ctx)
	if err != nil {
		return KeyReport{}, s, err
	}
	keys, now := k.documents.keys, k.now().UTC()
	use := keys.InUse()
	report := KeyReport{Since: s.since}
	for _, id := range keys.Sealing() {
		entry := KeyUse{ID: id, Held: true, InUse: id == use.Sealing}
		// Another node may have gone on for as long as it takes to follow.
		if until := s.since.Add(KeyPoll + k.config.TokenLifetime); id != use.Sealing && now.Before(until) {
			entry.TokensUntil = until
		}
		report.Keys = append(report.Keys, entry)
	}
	for _, id := range keys.Hashing() {
		report.Keys = append(report.Keys, KeyUse{ID: id, Hashing: true, Held: true, InUse: id == use.Hashing})
	}
	err = k.each(ctx, "", func(d store.Document) error {
		if id, ok := seal.KeyOf(d.Value); ok {
			report.use(id, false).Documents++
		}
		var u user
		if !strings.HasPrefix(d.Key, userPrefix) || k.documents.decode(d.Key, d.Value, &u) != nil {
			return nil
		}
		for _, id := range u.hashedBy() {
			report.use(id, true).People++
		}
		for _, session := range u.Sessions {
			if !now.Before(session.ExpiresAt) {
				continue
			}
			for i := range report.Keys {
				if entry := &report.Keys[i]; entry.Hashing && !entry.InUse && session.mayNeed(entry.ID, s.since) {
					entry.Sessions++
				}
			}
		}
		return nil
	})
	if err == nil {
		err = k.documents.ready() // or records did not open, and are missing
	}
	return report, s, err
}

// use returns the entry of a key.
func (r *KeyReport) use(id seal.KeyID, hashing bool) *KeyUse {
	i := slices.IndexFunc(r.Keys, func(u KeyUse) bool { return u.ID == id && u.Hashing == hashing })
	if i < 0 {
		r.Keys = append(r.Keys, KeyUse{ID: id, Hashing: hashing})
		i = len(r.Keys) - 1
	}
	return &r.Keys[i]
}

// hashedBy returns the keys that the person's unused backup codes need.
func (u *user) hashedBy() []seal.KeyID {
	var ids []seal.KeyID
	add := func(hashes [][]byte) {
		for _, hash := range hashes {
			if id, ok := seal.KeyOf(hash); ok && !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	add(u.BackupCodes)
	for _, p := range u.Pending {
		add(p.BackupCodes)
	}
	return ids
}
