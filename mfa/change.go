package mfa

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// decision decides a change to a record at now, by changing it. It says
// what is to be told of it.
type decision func(u *user, now time.Time) ([]Event, []*Notice, error)

// change changes the caller's own record, once they have shown a factor
// recently, if they have one.
func (s *Service) change(ctx context.Context, caller Caller, decide decision) error {
	return s.changeRecord(ctx, caller.accountKey(), change{client: caller.Client, decide: func(_ transaction, u *user, now time.Time) ([]Event, []*Notice, error) {
		if err := s.requireStepUp(u, caller, now); err != nil {
			return nil, nil, err
		}
		if err := s.adopt(u, caller); err != nil {
			return nil, nil, err
		}
		return decide(u, now)
	}})
}

// change is a change to a person's record.
type change struct {
	client  Client // where it comes from
	byOther bool   // whether somebody else than the person makes it
	// also are keys that decide looks at, beside the record's own.
	also   []string
	decide func(t transaction, u *user, now time.Time) ([]Event, []*Notice, error)
}

// changeRecord changes the record of account in one update, over it and the
// documents that keep its credentials unique, and tells of the change. A
// record that decide leaves without a subject is deleted.
func (s *Service) changeRecord(ctx context.Context, account string, c change) error {
	now := s.now().UTC()
	key := userPrefix + account
	var (
		events  []Event
		notices []*Notice
	)
	for attempt := 0; ; attempt++ {
		before := &user{}
		if err := s.documents.read(ctx, key, before); err != nil {
			return err
		}
		err := s.documents.update(ctx, func(t transaction) (err error) {
			u := &user{}
			if _, err := t.get(key, u); err != nil {
				return err
			}
			held := u.uniqueKeys()
			if events, notices, err = c.decide(t, u, now); err != nil {
				return err
			}
			if err := t.release(held, u.uniqueKeys()); err != nil {
				return err
			}
			if u.Subject == "" {
				return t.tx.Delete(key)
			}
			return t.put(key, u)
		}, slices.Concat(before.uniqueKeys(), c.also, []string{key})...)
		// Credentials that came meanwhile were not named to the update.
		if errors.Is(err, store.ErrKeyNotNamed) && attempt < 3 {
			continue
		}
		if err != nil {
			return err
		}
		break
	}
	for _, e := range events {
		s.journal.Record(e)
	}
	s.tell(notices, c.client, c.byOther)
	return nil
}

// uniqueKeys returns the keys of the documents that keep u's credentials
// unique.
func (u *user) uniqueKeys() []string {
	var keys []string
	for _, f := range u.Factors {
		if f.UniqueKey != "" {
			keys = append(keys, f.UniqueKey)
		}
	}
	return keys
}

// release deletes the documents of credentials that were held and are not
// kept, so that they can be enrolled anew.
func (t transaction) release(held, kept []string) error {
	keep := make(map[string]bool, len(kept))
	for _, key := range kept {
		keep[key] = true
	}
	for _, key := range held {
		if !keep[key] {
			if err := t.tx.Delete(key); err != nil {
				return err
			}
		}
	}
	return nil
}
