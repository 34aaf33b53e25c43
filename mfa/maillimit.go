package mfa

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/mail"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// mailLimit is how many mails may go out within a span of time.
type mailLimit struct {
	count  int
	within time.Duration
}

// Limits on mail. The one by address keeps strangers' accounts from
// flooding a mailbox; it counts setups alone, so that they cannot starve
// its owner of mail either.
var (
	userMailLimit    = mailLimit{5, 15 * time.Minute}
	addressMailLimit = mailLimit{5, time.Hour}
)

// mailCount is the document that counts the setup mails to one address.
type mailCount struct {
	Mails []time.Time `json:"mails"`
}

// add returns sent with now added and what no longer counts removed.
// A RateLimitError is returned when the limit is reached.
func (l mailLimit) add(sent []time.Time, now time.Time) ([]time.Time, error) {
	recent := l.recent(sent, now)
	if len(recent) >= l.count {
		return nil, &RateLimitError{RetryAfter: recent[len(recent)-l.count].Add(l.within).Sub(now)}
	}
	return append(recent, now), nil
}

func (l mailLimit) recent(sent []time.Time, now time.Time) []time.Time {
	return slices.DeleteFunc(slices.Clone(sent), func(t time.Time) bool {
		return !now.Before(t.Add(l.within))
	})
}

// remove takes one mail sent at the time at off the count.
func remove(sent []time.Time, at time.Time) []time.Time {
	if i := slices.IndexFunc(sent, at.Equal); i >= 0 {
		return slices.Delete(slices.Clone(sent), i, i+1)
	}
	return sent
}

// addressKeys names the count of an address without telling the address:
// where it is kept, and where it was before the keys were changed.
func (s *Service) addressKeys(address string) ([]string, error) {
	hashes, err := s.documents.keys.Hashes("caddy-mfa mail address", []byte(address))
	if err != nil {
		return nil, fmt.Errorf("%w: hashing address: %w", store.ErrUnavailable, err)
	}
	keys := make([]string, len(hashes))
	for i, hash := range hashes {
		keys[i] = mailPrefix + base64.RawURLEncoding.EncodeToString(hash)
	}
	return keys, nil
}

// count reads the mails to an address, whose keys are given.
func (t transaction) count(addressKeys []string) (mailCount, error) {
	var all mailCount
	for _, key := range addressKeys {
		var count mailCount
		if _, err := t.get(key, &count); err != nil {
			return mailCount{}, err
		}
		all.Mails = append(all.Mails, count.Mails...)
	}
	slices.SortFunc(all.Mails, time.Time.Compare)
	return all, nil
}

// putCount writes them, to one place.
func (t transaction) putCount(addressKeys []string, count mailCount) error {
	for _, key := range addressKeys[1:] {
		if err := t.tx.Delete(key); err != nil {
			return err
		}
	}
	return t.put(addressKeys[0], count)
}

// deliver sends the mail of a setup. The mail is counted before it goes
// out, so that no number of requests at once gets past the limits, and
// taken off the count only when it certainly was not sent: a recipient that
// the server refuses counts, or any number of them could be tried.
func (s *Service) deliver(ctx context.Context, caller Caller, offer factor.Offer) error {
	userKey := userPrefix + caller.accountKey()
	addressKeys, err := s.addressKeys(offer.Address)
	if err != nil {
		return err
	}
	now := s.now().UTC()
	err = s.documents.update(ctx, func(t transaction) error {
		u, err := s.load(t, caller, now)
		if err != nil {
			return err
		}
		count, err := t.count(addressKeys)
		if err != nil {
			return err
		}
		if u.Mails, err = userMailLimit.add(u.Mails, now); err != nil {
			return err
		}
		if count.Mails, err = addressMailLimit.add(count.Mails, now); err != nil {
			return err
		}
		if err := t.put(userKey, u); err != nil {
			return err
		}
		return t.putCount(addressKeys, count)
	}, append(addressKeys[:len(addressKeys):len(addressKeys)], userKey)...)
	if err != nil {
		return err
	}
	// A caller that leaves does not stop the mail: whether it went out would
	// then be unknown, and could not be counted.
	ctx = context.WithoutCancel(ctx)
	if err := offer.Deliver(ctx); err != nil {
		if errors.Is(err, mail.ErrUnavailable) {
			err = errors.Join(err, s.uncount(ctx, userKey, addressKeys, now))
		}
		return fmt.Errorf("%w: %w", ErrMailNotSent, err)
	}
	return nil
}

func (s *Service) uncount(ctx context.Context, userKey string, addressKeys []string, at time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, finishTimeout)
	defer cancel()
	return s.documents.update(ctx, func(t transaction) error {
		var u user
		if found, err := t.get(userKey, &u); err != nil || !found {
			return err
		}
		count, err := t.count(addressKeys)
		if err != nil {
			return err
		}
		u.Mails = remove(u.Mails, at)
		count.Mails = remove(count.Mails, at)
		if err := t.put(userKey, u); err != nil {
			return err
		}
		return t.putCount(addressKeys, count)
	}, append(addressKeys[:len(addressKeys):len(addressKeys)], userKey)...)
}
