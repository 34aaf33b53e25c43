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

// addressKey names the count of an address without telling the address.
func (s *Service) addressKey(address string) (string, error) {
	hash, err := s.documents.keys.Hash("caddy-mfa mail address", []byte(address))
	if err != nil {
		return "", fmt.Errorf("hashing address: %w", err)
	}
	return mailPrefix + base64.RawURLEncoding.EncodeToString(hash), nil
}

// deliver sends the mail of a setup. The mail is counted before it goes
// out, so that no number of requests at once gets past the limits, and
// taken off the count only when it certainly was not sent: a recipient that
// the server refuses counts, or any number of them could be tried.
func (s *Service) deliver(ctx context.Context, caller Caller, offer factor.Offer) error {
	userKey := userPrefix + caller.accountKey()
	addressKey, err := s.addressKey(offer.Address)
	if err != nil {
		return err
	}
	now := s.now().UTC()
	err = s.documents.update(ctx, func(t transaction) error {
		u, err := s.load(t, caller, now)
		if err != nil {
			return err
		}
		var count mailCount
		if _, err := t.get(addressKey, &count); err != nil {
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
		return t.put(addressKey, count)
	}, userKey, addressKey)
	if err != nil {
		return err
	}
	// A caller that leaves does not stop the mail: whether it went out would
	// then be unknown, and could not be counted.
	ctx = context.WithoutCancel(ctx)
	if err := offer.Deliver(ctx); err != nil {
		if errors.Is(err, mail.ErrUnavailable) {
			err = errors.Join(err, s.uncount(ctx, userKey, addressKey, now))
		}
		return fmt.Errorf("%w: %w", ErrMailNotSent, err)
	}
	return nil
}

func (s *Service) uncount(ctx context.Context, userKey, addressKey string, at time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, finishTimeout)
	defer cancel()
	return s.documents.update(ctx, func(t transaction) error {
		var u user
		if found, err := t.get(userKey, &u); err != nil || !found {
			return err
		}
		var count mailCount
		if _, err := t.get(addressKey, &count); err != nil {
			return err
		}
		u.Mails = remove(u.Mails, at)
		count.Mails = remove(count.Mails, at)
		if err := t.put(userKey, u); err != nil {
			return err
		}
		return t.put(addressKey, count)
	}, userKey, addressKey)
}
