package mfa

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/caddymfa/caddy-mfa/mfa/internal/mailbox"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// subject returns the form of a subject of issuer that records go by.
func (s *Service) subject(issuer, subject string) string {
	if s.addressSubjects == nil || !s.addressSubjects(issuer) {
		return subject
	}
	return mailbox.Fold(subject)
}

// Is reports whether subject, as somebody writes it, names the person of a.
func (s *Service) Is(a Account, subject string) bool {
	return s.subject(a.Issuer, subject) == a.Subject || subject == a.Subject
}

// Joined is what became of a record whose subject is an e-mail address that
// is not in lower case.
type Joined struct {
	Issuer, Subject string
	// Dropped says that the person had confirmed factors under another
	// spelling too. Those are kept, and the factors of this record are gone.
	Dropped bool
}

// JoinAddressSubjects puts records of Config.AddressSubjects that are kept
// under addresses with capital letters, as versions before did, in the place
// where they are looked for now. It must be called before anything is served,
// and after a restore; of any number of nodes that do so at once one moves
// each record. Factors, backup codes, sessions and lockouts stay; pending setups,
// links and refresh tokens end. A person of two records keeps the factors of
// the one in lower case, if it has any.
func (s *Service) JoinAddressSubjects(ctx context.Context) ([]Joined, error) {
	if s.addressSubjects == nil {
		return nil, nil
	}
	var all []Joined
	for after := userPrefix; ; {
		const page = 200
		found, err := s.documents.store.List(ctx, userPrefix, after, page)
		if err != nil {
			return all, fmt.Errorf("joining records: %w", err)
		}
		for _, document := range found {
			after = document.Key
			var u user
			err := s.documents.decode(document.Key, document.Value, &u)
			if errors.Is(err, store.ErrUnavailable) {
				return all, fmt.Errorf("joining records: %w", err)
			}
			if err != nil || s.subject(u.Issuer, u.Subject) == u.Subject {
				continue // what does not open is kept for whoever can mend it
			}
			joined, err := s.join(ctx, u.Issuer, u.Subject)
			if err != nil {
				return all, fmt.Errorf("joining records: %w", err)
			}
			if joined != nil {
				all = append(all, *joined)
			}
		}
		if len(found) < page {
			return all, nil
		}
	}
}

// join moves one record. It returns nil when somebody else has.
func (s *Service) join(ctx context.Context, issuer, subject string) (*Joined, error) {
	from, to := accountKey(issuer, subject), accountKey(issuer, s.subject(issuer, subject))
	fromKey, toKey := userPrefix+from, userPrefix+to
	for attempt := 0; ; attempt++ {
		keys := []string{fromKey, toKey}
		for _, key := range keys[:2] {
			before := &user{}
			if err := s.documents.read(ctx, key, before); err != nil {
				return nil, err
			}
			keys = append(keys, before.uniqueKeys()...)
		}
		var joined *Joined
		err := s.documents.update(ctx, func(t transaction) error {
			joined = nil
			old, u := &user{}, &user{}
			if found, err := t.get(fromKey, old); err != nil || !found {
				return err
			}
			if _, err := t.get(toKey, u); err != nil {
				return err
			}
			held := slices.Concat(old.uniqueKeys(), u.uniqueKeys())
			joined = &Joined{Issuer: issuer, Subject: subject, Dropped: len(old.Factors) > 0 && len(u.Factors) > 0}
			u.absorb(old, from)
			u.Issuer, u.Subject = issuer, s.subject(issuer, subject)
			if err := t.release(held, u.uniqueKeys()); err != nil {
				return err
			}
			if err := t.tx.Delete(fromKey); err != nil {
				return err
			}
			return t.put(toKey, u)
		}, keys...)
		// Credentials that came meanwhile were not named to the update.
		if errors.Is(err, store.ErrKeyNotNamed) && attempt < 3 {
			continue
		}
		return joined, err
	}
}

// absorb makes u the record of a person who had old, under another account
// key, as well. Whatever demands a factor of them, or keeps codes off, counts.
func (u *user) absorb(old *user, account string) {
	organizations, more, demanded, locked := u.Organizations, u.MoreOrganizations, u.MustEnroll, u.Lockout
	if len(u.Factors) == 0 {
		*u = *old
		u.Pending, u.Links = nil, nil // whose tokens name the other account
		if len(u.BackupCodes)+len(u.SpentCodes) > 0 && u.CodesOf == "" {
			u.CodesOf = account
		}
	} else {
		organizations, more, demanded, locked = old.Organizations, old.MoreOrganizations, old.MustEnroll, old.Lockout
	}
	u.seen(organizations)
	u.MoreOrganizations = u.MoreOrganizations || more
	u.MustEnroll = u.MustEnroll || demanded
	if locked.worse(u.Lockout) {
		u.Lockout = locked
	}
}
