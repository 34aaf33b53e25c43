package mfa

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/magiclink"
)

// Purposes of a mailed link.
const (
	PurposeSetup = "setup"
	PurposeLogin = "login"
)

// LinkInfo is what the opener of a link is told before they decide.
type LinkInfo struct {
	Purpose     string // PurposeSetup or PurposeLogin
	RequestedAt time.Time
	Client      Client
	ExpiresAt   time.Time
}

// OpenedLink is a mailed link that somebody opened: nobody but its token
// says who they are.
type OpenedLink struct {
	Token string
	// Number is what the asking screen shows, 0 when none was entered. A
	// login link needs it.
	Number int
	Client Client
}

// InspectLink tells what a link is for and who asked for it. It spends
// nothing. ErrWrongProof is returned for a link that is not, or no longer,
// good.
func (s *Service) InspectLink(ctx context.Context, token string) (LinkInfo, error) {
	token, account, hash, err := s.openLink(token)
	if err != nil {
		return LinkInfo{}, err
	}
	u := &user{}
	if err := s.documents.read(ctx, userPrefix+account, u); err != nil {
		return LinkInfo{}, fmt.Errorf("inspecting link: %w", err)
	}
	now := s.now().UTC()
	if l := u.link(hash, now); l != nil && !l.Approved {
		return LinkInfo{Purpose: PurposeLogin, RequestedAt: l.RequestedAt, Client: l.Client, ExpiresAt: l.ExpiresAt}, nil
	}
	if p := s.pendingLink(u, account, token, now); p != nil {
		return LinkInfo{Purpose: PurposeSetup, RequestedAt: p.BegunAt, Client: p.Client, ExpiresAt: p.ExpiresAt}, nil
	}
	return LinkInfo{}, errDeadLink
}

// errDeadLink is returned for a link that is not, or no longer, good: there
// is neither a login nor a setup that it fits.
var errDeadLink = fmt.Errorf("%w: %w", ErrWrongProof, ErrNoPendingSetup)

// openLink takes the token of an opened link apart. It returns the token in the
// form that links are recognised by.
func (s *Service) openLink(mailed string) (token, account string, hash []byte, err error) {
	if _, err := s.kind(factor.TypeMagicLink); err != nil {
		return "", "", nil, err
	}
	if token, err = s.documents.readLink(mailed, s.now()); err != nil {
		return "", "", nil, err
	}
	account, hash, ok := magiclink.HashToken(token)
	if !ok || len(account) != accountKeyLength {
		return "", "", nil, errDeadLink
	}
	return token, account, hash, nil
}

// known takes a token apart and makes sure, by a look at the record, that
// there is such a link: anybody may send tokens, and only one that is good
// is worth an update.
func (s *Service) known(ctx context.Context, mailed string) (token, account string, hash []byte, err error) {
	if token, account, hash, err = s.openLink(mailed); err != nil {
		return "", "", nil, err
	}
	u := &user{}
	if err := s.documents.read(ctx, userPrefix+account, u); err != nil {
		return "", "", nil, fmt.Errorf("opening link: %w", err)
	}
	now := s.now().UTC()
	if u.link(hash, now) == nil && s.pendingLink(u, account, token, now) == nil {
		return "", "", nil, errDeadLink
	}
	return token, account, hash, nil
}

// pendingLink returns the setup that token would confirm, nil for none.
func (s *Service) pendingLink(u *user, account, token string, now time.Time) *pendingSetup {
	p := u.pending(factor.TypeMagicLink, now)
	if p == nil {
		return nil
	}
	_, err := s.kinds[factor.TypeMagicLink].Confirm(u.account(account, factor.TypeMagicLink), p.State, factor.Proof{Token: token}, now)
	if err != nil {
		return nil
	}
	return p
}

// ActivateMagicLink approves the login that the link was sent for, or
// confirms the setup. The opener gets nothing but that: an approved login is
// completed by whom it was asked for. ErrWrongProof or ErrNoPendingSetup is
// returned when the token, or the number, does not fit, or no longer.
func (s *Service) ActivateMagicLink(ctx context.Context, link OpenedLink) error {
	token, account, hash, err := s.known(ctx, link.Token)
	if err != nil {
		return err
	}
	link.Token = token
	now := s.now().UTC()
	key := userPrefix + account
	var (
		about   user
		refusal error
		isLogin bool
	)
	err = s.documents.update(ctx, func(t transaction) error {
		refusal, isLogin = nil, false
		u := &user{}
		if _, err := t.get(key, u); err != nil {
			return err
		}
		l := u.link(hash, now)
		if l == nil || l.Approved {
			return nil
		}
		about, isLogin = *u, true
		if l.Number != link.Number {
			refusal = fmt.Errorf("%w: the number is not the one that the asking screen shows", ErrWrongProof)
			if link.Number == 0 {
				return nil // not an attempt
			}
			if l.WrongNumbers++; l.WrongNumbers >= maxWrongNumbers {
				u.Links = slices.DeleteFunc(u.Links, func(other loginLink) bool { return other.ID == l.ID })
			}
			return t.put(key, u)
		}
		l.Approved = true
		return t.put(key, u)
	}, key)
	if err != nil {
		return fmt.Errorf("approving link: %w", err)
	}
	if !isLogin {
		return s.confirmLink(ctx, account, link)
	}
	e := about.event(EventLinkApproved, string(factor.TypeMagicLink), link.Client)
	if refusal != nil {
		e.Kind, e.Reason = EventFailed, "wrong_match_number"
	}
	s.journal.Record(e)
	return refusal
}

// DenyLink kills the link: whoever asked for it is not its owner. A denied
// setup is void.
func (s *Service) DenyLink(ctx context.Context, link OpenedLink) error {
	token, account, hash, err := s.known(ctx, link.Token)
	if err != nil {
		return err
	}
	link.Token = token
	now := s.now().UTC()
	key := userPrefix + account
	var about user
	err = s.documents.update(ctx, func(t transaction) error {
		u := &user{}
		if _, err := t.get(key, u); err != nil {
			return err
		}
		about = *u
		if l := u.link(hash, now); l != nil {
			u.Links = slices.DeleteFunc(u.Links, func(other loginLink) bool { return other.ID == l.ID })
			return t.put(key, u)
		}
		if s.pendingLink(u, account, link.Token, now) == nil {
			return errDeadLink
		}
		u.dropPending(factor.TypeMagicLink)
		return t.put(key, u)
	}, key)
	if errors.Is(err, errDeadLink) {
		return err
	}
	if err != nil {
		return fmt.Errorf("denying link: %w", err)
	}
	s.journal.Record(about.event(EventLinkDenied, string(factor.TypeMagicLink), link.Client))
	return nil
}

// event makes an event about u, by themselves.
func (u *user) event(kind EventKind, method string, client Client) Event {
	return Event{Kind: kind, ActorKind: ActorPerson, Issuer: u.Issuer, Subject: u.Subject, Method: method, Client: client}
}
