package mfa

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

// SetupRequest begins a setup.
type SetupRequest struct {
	Type   factor.Type
	Email  string
	Device factor.Device
}

// Setup is a setup that has begun.
type Setup struct {
	// Offer is what the person's device needs: totp.Enrolment,
	// magiclink.Enrolment or passkey.Enrolment.
	Offer any
	// BackupCodes become valid, and void all older ones, when the setup is
	// confirmed. Nil when the person keeps those they hold.
	BackupCodes []string
	// ExpiresAt is when an unconfirmed setup lapses.
	ExpiresAt time.Time
}

// finishTimeout is how long the store may take to write down what became
// of a mail after its sender has left.
const finishTimeout = 5 * time.Second

// Setup begins the enrolment of a factor. Nothing counts until it is
// confirmed; a setup of the same type that was pending is replaced, unless
// an error is returned.
//
// ErrUnknownType, ErrTypeUnavailable or ErrBadRequest is returned for a request
// that cannot be served, a *StepUpError when the person has a factor that they
// have not shown recently or has signed in too long ago, a *RateLimitError or
// ErrMailNotSent when mail cannot be sent now.
func (s *Service) Setup(ctx context.Context, caller Caller, request SetupRequest) (*Setup, error) {
	kind, err := s.kind(request.Type)
	if err != nil {
		return nil, err
	}
	account, err := s.account(ctx, caller, request.Type)
	if err != nil {
		return nil, err
	}
	now := s.now().UTC()
	named := account
	if named.Key, err = s.documents.linkOwner(account.Key, now); err != nil {
		return nil, err
	}
	offer, err := kind.Begin(named, factor.Request{Email: request.Email, Device: request.Device}, now)
	if err != nil {
		return nil, err
	}
	if offer.Deliver != nil {
		// The link in the mail works once the setup is stored, below. In this
		// order a mail system that is down leaves what was pending untouched.
		if err := s.deliver(ctx, caller, offer); err != nil {
			return nil, err
		}
		// Who has left meanwhile has the mail all the same.
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
		defer cancel()
	}
	lifetime := offer.Lifetime
	if lifetime == 0 {
		lifetime = PendingLifetime
	}
	codes := newBackupCodes(s.backupCodes)
	hashes, err := s.documents.hashCodes(account.Key, codes)
	if err != nil {
		return nil, err
	}
	setup := &Setup{Offer: offer.Answer, ExpiresAt: now.Add(lifetime).Truncate(time.Second)}
	key := userPrefix + account.Key
	err = s.documents.update(ctx, func(t transaction) error {
		u, err := s.load(t, caller, now)
		if err != nil {
			return err
		}
		p := pendingSetup{Type: request.Type, BegunAt: now, ExpiresAt: setup.ExpiresAt, Client: caller.Client, State: offer.State, Begun: u.begunBy(caller, now)}
		setup.BackupCodes = nil
		if request.Type == factor.TypeTOTP || len(u.BackupCodes) == 0 {
			setup.BackupCodes, p.BackupCodes = codes, hashes
		}
		u.setPending(p, now)
		return t.put(key, u)
	}, key)
	if err != nil {
		return nil, fmt.Errorf("keeping pending setup: %w", err)
	}
	s.record(caller, EventSetupBegun, string(request.Type))
	return setup, nil
}

// account describes the caller to a kind of factor.
func (s *Service) account(ctx context.Context, caller Caller, t factor.Type) (factor.Account, error) {
	key := caller.accountKey()
	u := user{}
	if err := s.documents.read(ctx, userPrefix+key, &u); err != nil {
		return factor.Account{}, err
	}
	if err := s.adopt(&u, caller); err != nil {
		return factor.Account{}, err
	}
	account := u.account(key, t)
	account.Name, account.Email = caller.name(), caller.Email
	return account, nil
}

// load returns the record, a new one when there is none, of a caller who
// may begin a setup.
func (s *Service) load(t transaction, caller Caller, now time.Time) (*user, error) {
	u := &user{}
	if _, err := t.get(userPrefix+caller.accountKey(), u); err != nil {
		return nil, err
	}
	if err := s.requireSignIn(u, caller, now); err != nil {
		return nil, err
	}
	return u, s.adopt(u, caller)
}

// handleSize is the size of a user handle. WebAuthn allows 64 bytes.
const handleSize = 32

// adopt fills in what a new record lacks, and what today's token says. The
// handle is a keyed hash of the account: two first setups at once agree on it,
// and it tells nobody who the person is (WebAuthn L3, 14.6.1).
func (s *Service) adopt(u *user, caller Caller) error {
	u.Issuer, u.Subject = caller.Issuer, caller.Subject
	u.seen(caller.Organizations)
	u.claimsEmail(caller.Email, s.now().UTC())
	if len(u.Handle) == handleSize {
		return nil
	}
	// A record that was deleted may come again, and what was begun before does
	// not.
	u.Epoch = newID()
	hash, err := s.documents.hash("caddy-mfa user handle", []byte(caller.accountKey()))
	if err != nil {
		return fmt.Errorf("making user handle: %w", err)
	}
	// Tink puts the key's ID in front, which would only be a constant.
	u.Handle = bytes.Clone(hash[len(hash)-handleSize:])
	return nil
}
