package mfa

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/panics"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// Sweep removes what no longer says anything: counts of mail that have run
// out, and records of people who began a setup and never confirmed one, or
// have none any more.
// Every node may sweep at any time.
func (s *Service) Sweep(ctx context.Context) error {
	now := s.now().UTC()
	err := s.sweep(ctx, mailPrefix, func(key string, sealed []byte) (bool, error) {
		var count mailCount
		err := s.documents.decode(key, sealed, &count)
		return len(addressMailLimit.recent(count.Mails, now)) == 0, err
	})
	if err != nil {
		return fmt.Errorf("sweeping mail counts: %w", err)
	}
	err = s.sweep(ctx, userPrefix, func(key string, sealed []byte) (bool, error) {
		var u user
		err := s.documents.decode(key, sealed, &u)
		return u.spent(now), err
	})
	if err != nil {
		return fmt.Errorf("sweeping user records: %w", err)
	}
	return nil
}

// spent reports whether u says nothing that a new record would not.
func (u *user) spent(now time.Time) bool {
	for _, p := range u.Pending {
		if now.Before(p.ExpiresAt) {
			return false
		}
	}
	return len(u.Factors) == 0 && len(u.Organizations) == 0 && !u.MustEnroll &&
		len(userMailLimit.recent(u.Mails, now)) == 0 && len(noticeLimit.recent(u.Notices, now)) == 0
}

// sweep deletes the documents under prefix that expired says may go. It
// looks first and asks for an update only then, so that a sweep does not
// stand in the way of requests. A document that does not open is kept for
// whoever can mend it.
func (s *Service) sweep(ctx context.Context, prefix string, expired func(key string, sealed []byte) (bool, error)) error {
	const page = 200
	after := ""
	for {
		found, err := s.documents.store.List(ctx, prefix, after, page)
		if err != nil {
			return err
		}
		for _, document := range found {
			after = document.Key
			// Nor does one that nobody can read keep the others.
			gone := false
			err := panics.Try(panics.Sweep, func() (err error) {
				gone, err = expired(document.Key, document.Value)
				return err
			})
			if err != nil || !gone {
				continue
			}
			err = s.documents.store.Update(ctx, func(tx store.Tx) error {
				sealed, err := tx.Get(document.Key)
				if errors.Is(err, store.ErrNotFound) {
					return nil
				}
				if err != nil {
					return err
				}
				if gone, err := expired(document.Key, sealed); err != nil || !gone {
					return err
				}
				return tx.Delete(document.Key)
			}, document.Key)
			if err != nil {
				return err
			}
		}
		if len(found) < page {
			return nil
		}
	}
}
