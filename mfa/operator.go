package mfa

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

// Account is a person's record, as the operator sees it. It holds no
// secret.
type Account struct {
	Issuer        string
	Subject       string
	Email         string
	Organizations []string
	// MoreOrganizations says that the person was seen in more than are kept: a
	// factor is demanded of them, and no administrator reaches them.
	MoreOrganizations bool
	Methods           []factor.Type // of the factors in use
	Primary           factor.Type   // "" when no factor is in use
	Credentials       []Credential
	// Pending are the types of the setups that wait for confirmation.
	Pending     []factor.Type
	BackupCodes int // how many are left
	// BackupCodesACR is the level that they prove, "" when there are none.
	BackupCodesACR string
	MustEnroll     bool
	// LockedUntil is when code entry is open again, zero when it is;
	// CodesOff says that it takes a reset or an unlock.
	LockedUntil time.Time
	CodesOff    bool
	Sessions    []AccountSession
}

// AccountSession is a second factor that was shown and has not run out.
type AccountSession struct {
	Method    string
	ACR       string // its level
	AuthTime  time.Time
	ExpiresAt time.Time
}

// view describes u at now.
func (u *user) view(now time.Time) (Account, error) {
	credentials, err := u.credentials()
	if err != nil {
		return Account{}, err
	}
	a := Account{
		Issuer: u.Issuer, Subject: u.Subject, Email: u.Email, Organizations: u.Organizations, MoreOrganizations: u.MoreOrganizations,
		Methods: u.methods(), Primary: u.primary(), Credentials: credentials,
		BackupCodes: len(u.BackupCodes), MustEnroll: u.MustEnroll, CodesOff: u.Lockout.off(),
	}
	for _, p := range u.Pending {
		if now.Before(p.ExpiresAt) && u.waits(p.Begun, now) {
			a.Pending = append(a.Pending, p.Type)
		}
	}
	if a.BackupCodes > 0 {
		a.BackupCodesACR = codesLevel(u.BackupACR)
	}
	if now.Before(u.Lockout.Until) {
		a.LockedUntil = u.Lockout.Until
	}
	for _, s := range u.Sessions {
		if now.Before(s.ExpiresAt) {
			a.Sessions = append(a.Sessions, AccountSession{Method: s.Method, ACR: s.ACR, AuthTime: s.AuthTime, ExpiresAt: s.ExpiresAt})
		}
	}
	return a, nil
}

// Accounts lists people's records, in no order that means anything, at most
// limit of them (1 to store.MaxPage), after the cursor that the page before
// returned ("" for the first). The next cursor is "" at the end.
func (s *Service) Accounts(ctx context.Context, cursor string, limit int) (page []Account, next string, err error) {
	after := ""
	if cursor != "" {
		after = userPrefix + cursor
	}
	found, err := s.documents.store.List(ctx, userPrefix, after, limit)
	if err != nil {
		return nil, "", fmt.Errorf("listing users: %w", err)
	}
	now := s.now().UTC()
	for _, document := range found {
		u := &user{}
		if err := s.documents.decode(document.Key, document.Value, u); err != nil {
			return nil, "", fmt.Errorf("reading user: %w", err)
		}
		a, err := u.view(now)
		if err != nil {
			return nil, "", fmt.Errorf("reading user: %w", err)
		}
		page = append(page, a)
	}
	if len(found) == limit {
		next = strings.TrimPrefix(found[len(found)-1].Key, userPrefix)
	}
	return page, next, nil
}

// Account returns the record of a person. ErrNoUser is returned when there
// is none.
func (s *Service) Account(ctx context.Context, issuer, subject string) (Account, error) {
	u, err := s.read(ctx, Caller{Issuer: issuer, Subject: s.subject(issuer, subject)})
	if err != nil {
		return Account{}, err
	}
	if u.Subject == "" {
		return Account{}, ErrNoUser
	}
	return u.view(s.now().UTC())
}

// operate changes a person's record on the operator's behalf. ErrNoUser is
// returned when there is none.
func (s *Service) operate(ctx context.Context, issuer, subject string, decide func(u *user, now time.Time) (EventKind, *Notice)) error {
	return s.changeRecord(ctx, accountKey(issuer, s.subject(issuer, subject)), change{
		byOther: true,
		decide: func(_ transaction, u *user, now time.Time) ([]Event, []*Notice, error) {
			if u.Subject == "" {
				return nil, nil, ErrNoUser
			}
			e := u.event("", "", Client{})
			e.ActorKind, e.By = ActorOperator, Operator
			var told *Notice
			e.Kind, told = decide(u, now)
			return []Event{e}, []*Notice{told}, nil
		},
	})
}

// ResetAccount is Reset on the operator's behalf.
func (s *Service) ResetAccount(ctx context.Context, issuer, subject string, mustEnroll bool) error {
	err := s.operate(ctx, issuer, subject, func(u *user, now time.Time) (EventKind, *Notice) {
		return EventReset, u.reset(mustEnroll, now)
	})
	if err != nil {
		return fmt.Errorf("resetting user: %w", err)
	}
	return nil
}

// Unlock opens code entry again and forgets the wrong codes. ErrNoUser is
// returned when there is no such person.
func (s *Service) Unlock(ctx context.Context, issuer, subject string) error {
	err := s.operate(ctx, issuer, subject, func(u *user, _ time.Time) (EventKind, *Notice) {
		u.Lockout = lockout{}
		return EventUnlocked, nil
	})
	if err != nil {
		return fmt.Errorf("unlocking user: %w", err)
	}
	return nil
}

// Delete removes all that is kept of a person. They count as somebody never
// seen from then on, also where an organization they were seen in demands a
// factor, until their token claims it again. ErrNoUser is returned when
// there is no such person.
func (s *Service) Delete(ctx context.Context, issuer, subject string) error {
	err := s.operate(ctx, issuer, subject, func(u *user, _ time.Time) (EventKind, *Notice) {
		*u = user{}
		return EventDeleted, nil
	})
	if err != nil {
		return fmt.Errorf("deleting user: %w", err)
	}
	return nil
}
