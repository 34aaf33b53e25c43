package mfa

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/internal/mailbox"
	"github.com/caddymfa/caddy-mfa/mfa/mail"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// mailLimit is how many mails may go out within a span of time.
type mailLimit struct {
	count  int
	within time.Duration
}

// Limits on mail. Those by address keep accounts from flooding a mailbox; they
// count setups alone, so that nobody can starve its owner of mail for logins.
//
// A person whose access token claims the address is not counted with
// strangers: they have a budget of their own, within one of all who claim
// the address, should the login let anybody claim any.
var (
	userMailLimit     = mailLimit{5, 15 * time.Minute}
	addressMailLimit  = mailLimit{5, time.Hour}  // who does not claim the address, together
	ownMailLimit      = mailLimit{5, time.Hour}  // each who claims it
	claimantMailLimit = mailLimit{20, time.Hour} // all who claim it, together
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

// mailBudget is a limit and where its count is kept: under a hash of the
// address, now and before the keys were changed, so that the key does not tell
// the address.
type mailBudget struct {
	limit mailLimit
	keys  []string
}

// mailBudgets are those that a setup mail to address is counted in.
func (s *Service) mailBudgets(caller Caller, address string) ([]mailBudget, error) {
	named := []struct {
		label, text string
		limit       mailLimit
	}{{"caddy-mfa mail address", address, addressMailLimit}}
	if claimed, err := mailbox.ParseLocal(caller.Email); err == nil && claimed.Mailbox() == address {
		named[0].label, named[0].limit = "caddy-mfa mail address claimed", claimantMailLimit
		own := named[0]
		own.label, own.text, own.limit = "caddy-mfa mail address owned", caller.accountKey()+" "+address, ownMailLimit
		named = append(named, own)
	}
	var budgets []mailBudget
	for _, n := range named {
		hashes, err := s.documents.keys.Hashes(n.label, []byte(n.text))
		if err != nil {
			return nil, fmt.Errorf("%w: hashing address: %w", store.ErrUnavailable, err)
		}
		budget := mailBudget{limit: n.limit}
		for _, hash := range hashes {
			budget.keys = append(budget.keys, mailPrefix+base64.RawURLEncoding.EncodeToString(hash))
		}
		budgets = append(budgets, budget)
	}
	return budgets, nil
}

// keysOf are all keys of the budgets, and key.
func keysOf(budgets []mailBudget, key string) []string {
	keys := []string{key}
	for _, b := range budgets {
		keys = append(keys, b.keys...)
	}
	return keys
}

// count reads the mails of a budget.
func (t transaction) count(b mailBudget) (mailCount, error) {
	var all mailCount
	for _, key := range b.keys {
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
func (t transaction) putCount(b mailBudget, count mailCount) error {
	for _, key := range b.keys[1:] {
		if err := t.tx.Delete(key); err != nil {
			return err
		}
	}
	return t.put(b.keys[0], count)
}

// deliver sends the mail of a setup. The mail is counted before it goes
// out, so that no number of requests at once gets past the limits, and
// taken off the count only when it certainly was not sent: a recipient that
// the server refuses counts, or any number of them could be tried.
func (s *Service) deliver(ctx context.Context, caller Caller, offer factor.Offer) error {
	userKey := userPrefix + caller.accountKey()
	budgets, err := s.mailBudgets(caller, offer.Address)
	if err != nil {
		return err
	}
	now := s.now().UTC()
	err = s.documents.update(ctx, func(t transaction) error {
		u, err := s.load(t, caller, now)
		if err != nil {
			return err
		}
		if u.Mails, err = userMailLimit.add(u.Mails, now); err != nil {
			return err
		}
		for _, b := range budgets {
			count, err := t.count(b)
			if err != nil {
				return err
			}
			if count.Mails, err = b.limit.add(count.Mails, now); err != nil {
				return err
			}
			if err := t.putCount(b, count); err != nil {
				return err
			}
		}
		return t.put(userKey, u)
	}, keysOf(budgets, userKey)...)
	if err != nil {
		return err
	}
	// A caller that leaves does not stop the mail: whether it went out would
	// then be unknown, and could not be counted.
	ctx = context.WithoutCancel(ctx)
	if err := offer.Deliver(ctx); err != nil {
		if errors.Is(err, mail.ErrUnavailable) {
			err = errors.Join(err, s.uncount(ctx, userKey, budgets, now))
		}
		return fmt.Errorf("%w: %w", ErrMailNotSent, err)
	}
	return nil
}

// uncount takes a mail that was not sent off the counts.
func (s *Service) uncount(ctx context.Context, userKey string, budgets []mailBudget, at time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, finishTimeout)
	defer cancel()
	return s.documents.update(ctx, func(t transaction) error {
		var u user
		if found, err := t.get(userKey, &u); err != nil || !found {
			return err
		}
		for _, b := range budgets {
			count, err := t.count(b)
			if err != nil {
				return err
			}
			count.Mails = remove(count.Mails, at)
			if err := t.putCount(b, count); err != nil {
				return err
			}
		}
		u.Mails = remove(u.Mails, at)
		return t.put(userKey, u)
	}, keysOf(budgets, userKey)...)
}
