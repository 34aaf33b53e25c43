package mfa

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/magiclink"
	"github.com/caddymfa/caddy-mfa/mfa/mail"
)

// loginLink is a login link that was mailed. It is redeemed by the token in
// the mail, or, after its approval, by its ID.
type loginLink struct {
	ID          string    `json:"id"`
	TokenHash   []byte    `json:"tokenHash"`
	Number      int       `json:"number"`
	RequestedAt time.Time `json:"requestedAt"`
	ExpiresAt   time.Time `json:"expiresAt"`
	Client      Client    `json:"client"`
	Begun       begun     `json:"begun,omitzero"`
	// Factor is the ID of the factor whose address it was mailed to.
	Factor   string `json:"factor,omitempty"`
	Approved bool   `json:"approved,omitempty"`
	// WrongNumbers counts approvals with another number.
	WrongNumbers int `json:"wrongNumbers,omitempty"`
}

// maxWrongNumbers is how many wrong numbers kill a login link.
const maxWrongNumbers = 3

// The number that the asking screen shows has two digits, as people copy
// it from one screen to another.
const (
	leastNumber = 10
	mostNumber  = 99
)

// SentLink is a login link that is on its way.
type SentLink struct {
	// ID redeems the link once it is approved. "" for the link of a setup,
	// which confirms it by itself.
	ID string
	// Number is what the screen that asked shows, and the person enters
	// where they open the link.
	Number    int
	ExpiresAt time.Time
}

// SendLink mails a login link to the caller's confirmed address, or, when
// there is none and a setup waits, its mail again. ErrNotEnrolled is
// returned when there is neither, a *RateLimitError or ErrMailNotSent when
// mail cannot be sent now.
func (s *Service) SendLink(ctx context.Context, caller Caller) (*SentLink, error) {
	kind, err := s.links()
	if err != nil {
		return nil, err
	}
	u, err := s.read(ctx, caller)
	if err != nil {
		return nil, err
	}
	now := s.now().UTC()
	if f := u.inUse(factor.TypeMagicLink); f != nil {
		return s.sendLoginLink(ctx, caller, kind, *f, now)
	}
	if p := u.pending(factor.TypeMagicLink, now); p != nil {
		return s.resend(ctx, caller, kind, *p, now)
	}
	return nil, fmt.Errorf("sending magic link: %w", ErrNotEnrolled)
}

func (s *Service) links() (*magiclink.Kind, error) {
	kind, err := s.kind(factor.TypeMagicLink)
	if err != nil {
		return nil, err
	}
	return kind.(*magiclink.Kind), nil
}

// sendLoginLink counts the mail and stores the link in one update, then
// sends it: a link that is opened at once is known.
func (s *Service) sendLoginLink(ctx context.Context, caller Caller, kind *magiclink.Kind, f userFactor, now time.Time) (*SentLink, error) {
	account := caller.accountKey()
	owner, err := s.documents.linkOwner(account, now)
	if err != nil {
		return nil, err
	}
	link, err := kind.BeginLogin(factor.Account{Key: owner}, f.State, magiclink.LoginRequest{
		AccountName: caller.name(), IP: caller.Client.IP, UserAgent: caller.Client.UserAgent, At: now,
	})
	if err != nil {
		return nil, fmt.Errorf("making magic link: %w", err)
	}
	entry := loginLink{
		ID:          newID(),
		TokenHash:   link.TokenHash,
		RequestedAt: now,
		ExpiresAt:   now.Add(link.Lifetime).Truncate(time.Second),
		Client:      caller.Client,
		Factor:      f.ID,
	}
	key := userPrefix + account
	err = s.documents.update(ctx, func(t transaction) error {
		u := &user{}
		if _, err := t.get(key, u); err != nil {
			return err
		}
		if current := u.inUse(factor.TypeMagicLink); current == nil || current.ID != f.ID {
			return ErrNotEnrolled
		}
		if u.Mails, err = userMailLimit.add(u.Mails, now); err != nil {
			return err
		}
		u.Links = slices.DeleteFunc(u.Links, func(l loginLink) bool { return !u.redeemable(l, now) })
		entry.Begun = u.begunBy(caller, now)
		if entry.Number, err = drawNumber(u.Links); err != nil {
			return err
		}
		u.Links = append(u.Links, entry)
		if over := len(u.Links) - userMailLimit.count; over > 0 {
			u.Links = slices.Delete(u.Links, 0, over) // links may outlive the span of the limit
		}
		return t.put(key, u)
	}, key)
	if err != nil {
		return nil, fmt.Errorf("keeping magic link: %w", err)
	}
	// A caller that leaves does not stop the mail; see deliver.
	ctx = context.WithoutCancel(ctx)
	if err := link.Deliver(ctx); err != nil {
		if errors.Is(err, mail.ErrUnavailable) {
			err = errors.Join(err, s.withdrawLink(ctx, key, entry.ID, now))
		}
		return nil, fmt.Errorf("%w: %w", ErrMailNotSent, err)
	}
	s.record(caller, EventLinkSent, string(factor.TypeMagicLink))
	return &SentLink{ID: entry.ID, Number: entry.Number, ExpiresAt: entry.ExpiresAt}, nil
}

// drawNumber draws a number that none of links has: who enters the number of
// their own screen never approves the login that another screen asked for at
// the same time.
func drawNumber(links []loginLink) (int, error) {
	var free []int
	for n := leastNumber; n <= mostNumber; n++ {
		if !slices.ContainsFunc(links, func(l loginLink) bool { return l.Number == n }) {
			free = append(free, n)
		}
	}
	i, err := rand.Int(rand.Reader, big.NewInt(int64(len(free))))
	if err != nil {
		return 0, fmt.Errorf("drawing number: %w", err)
	}
	return free[i.Int64()], nil
}

// withdrawLink forgets a link whose mail was not sent.
func (s *Service) withdrawLink(ctx context.Context, key, id string, at time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, finishTimeout)
	defer cancel()
	return s.documents.update(ctx, func(t transaction) error {
		u := &user{}
		if found, err := t.get(key, u); err != nil || !found {
			return err
		}
		u.Mails = remove(u.Mails, at)
		u.Links = slices.DeleteFunc(u.Links, func(l loginLink) bool { return l.ID == id })
		return t.put(key, u)
	}, key)
}

// resend mails the link of a setup again, with a new token: the one before
// is kept as a hash alone. The setup lapses when it would have.
func (s *Service) resend(ctx context.Context, caller Caller, kind *magiclink.Kind, p pendingSetup, now time.Time) (*SentLink, error) {
	account := caller.accountKey()
	owner, err := s.documents.linkOwner(account, now)
	if err != nil {
		return nil, err
	}
	offer, err := kind.Resend(factor.Account{Key: owner, Name: caller.name(), Email: caller.Email}, p.State, now)
	if err != nil {
		return nil, fmt.Errorf("making magic link: %w", err)
	}
	if err := s.deliver(ctx, caller, offer); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
	defer cancel()
	key := userPrefix + account
	err = s.documents.update(ctx, func(t transaction) error {
		u := &user{}
		if _, err := t.get(key, u); err != nil {
			return err
		}
		current := u.pending(factor.TypeMagicLink, now)
		if current == nil || !slices.Equal(current.State, p.State) {
			return ErrNoPendingSetup // confirmed or replaced meanwhile
		}
		current.State, current.Client = offer.State, caller.Client
		return t.put(key, u)
	}, key)
	if err != nil {
		return nil, fmt.Errorf("keeping pending setup: %w", err)
	}
	s.record(caller, EventLinkSent, string(factor.TypeMagicLink))
	return &SentLink{ExpiresAt: p.ExpiresAt}, nil
}

// link returns the login link that hash is of, nil when there is none that
// is still good at now.
func (u *user) link(hash []byte, now time.Time) *loginLink {
	for i := range u.Links {
		if l := &u.Links[i]; subtle.ConstantTimeCompare(l.TokenHash, hash) == 1 && u.redeemable(*l, now) {
			return l
		}
	}
	return nil
}

// redeemable reports whether l has neither expired nor ended at now, and was
// mailed to an address that is in use. Links of older records name no factor;
// they went with the address.
func (u *user) redeemable(l loginLink, now time.Time) bool {
	f := u.inUse(factor.TypeMagicLink)
	return f != nil && (l.Factor == "" || l.Factor == f.ID) && now.Before(l.ExpiresAt) && u.waits(l.Begun, now)
}

// verifyLink redeems a login link by its token, which the caller has from
// their mailbox.
func (s *Service) verifyLink(ctx context.Context, caller Caller, token string) (session, error) {
	token, err := s.documents.readLink(token, s.now())
	if err != nil {
		return session{}, err
	}
	account, hash, ok := magiclink.HashToken(token)
	if !ok || account != caller.accountKey() {
		return session{}, fmt.Errorf("%w: not a token of this account", ErrWrongProof)
	}
	return s.spendLink(ctx, caller, func(u *user, now time.Time) (*loginLink, error) {
		// An approved one is for the screen that asked for it.
		if l := u.link(hash, now); l != nil && !l.Approved {
			return l, nil
		}
		return nil, fmt.Errorf("%w: the link is used or has expired", ErrWrongProof)
	})
}

// redeemLink redeems a login link that was approved on another device.
func (s *Service) redeemLink(ctx context.Context, caller Caller, id string) (session, error) {
	return s.spendLink(ctx, caller, func(u *user, now time.Time) (*loginLink, error) {
		for i := range u.Links {
			l := &u.Links[i]
			if subtle.ConstantTimeCompare([]byte(l.ID), []byte(id)) != 1 || !u.redeemable(*l, now) {
				continue
			}
			if !l.Approved {
				return nil, ErrLinkPending
			}
			return l, nil
		}
		return nil, fmt.Errorf("%w: the link is used, denied or has expired", ErrWrongProof)
	})
}

// spendLink begins a session by the login link that find finds.
func (s *Service) spendLink(ctx context.Context, caller Caller, find func(*user, time.Time) (*loginLink, error)) (shown session, err error) {
	now := s.now().UTC()
	key := userPrefix + caller.accountKey()
	err = s.documents.update(ctx, func(t transaction) error {
		u := &user{}
		if _, err := t.get(key, u); err != nil {
			return err
		}
		f := u.inUse(factor.TypeMagicLink)
		if f == nil {
			return fmt.Errorf("%w: no magic link is in use", ErrWrongProof)
		}
		l, err := find(u, now)
		if err != nil {
			return err
		}
		id := l.ID
		u.Links = slices.DeleteFunc(u.Links, func(l loginLink) bool { return l.ID == id })
		if err := s.adopt(u, caller); err != nil {
			return err
		}
		shown = s.begin(u, evidenceOf(f), now)
		return t.put(key, u)
	}, key)
	return shown, err
}
