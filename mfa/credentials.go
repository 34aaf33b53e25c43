package mfa

import (
	"context"
	"fmt"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/passkey"
)

// maxCredentialName is the longest name of a factor, in characters.
const maxCredentialName = 64

// Credential is one confirmed factor, as its owner sees it.
type Credential struct {
	ID        string
	Type      factor.Type
	Name      string
	CreatedAt time.Time
	UsedAt    time.Time // zero when it was never used
	Enabled   bool
	// Passkey is what is known of a passkey, nil for other types.
	Passkey *passkey.Details
}

// Credentials lists the caller's confirmed factors, oldest first.
func (s *Service) Credentials(ctx context.Context, caller Caller) ([]Credential, error) {
	u, err := s.read(ctx, caller)
	if err != nil {
		return nil, err
	}
	return u.credentials()
}

func (u *user) credentials() ([]Credential, error) {
	var all []Credential
	for _, f := range u.Factors {
		c := Credential{ID: f.ID, Type: f.Type, Name: f.Name, CreatedAt: f.CreatedAt, UsedAt: f.UsedAt, Enabled: !f.Disabled}
		if f.Type == factor.TypePasskey {
			details, err := passkey.Describe(f.State)
			if err != nil {
				return nil, err
			}
			c.Passkey = &details
		}
		all = append(all, c)
	}
	return all, nil
}

// RenameCredential gives a factor of the caller's another name.
// ErrNoCredential is returned when there is none called id, ErrBadRequest
// when name cannot be shown, a *StepUpError when the caller has not shown a
// factor recently.
func (s *Service) RenameCredential(ctx context.Context, caller Caller, id, name string) error {
	if shown := factor.DisplayText(name, maxCredentialName); shown == "" || shown != name {
		return fmt.Errorf("%w: the name must have 1 to %d characters, without control characters or spaces around it",
			ErrBadRequest, maxCredentialName)
	}
	err := s.change(ctx, caller, func(u *user, _ time.Time) ([]Event, []*Notice, error) {
		f := u.factor(id)
		if f == nil {
			return nil, nil, ErrNoCredential
		}
		f.Name = name
		return nil, nil, nil
	})
	if err != nil {
		return fmt.Errorf("renaming credential: %w", err)
	}
	return nil
}

// RemoveCredential removes a factor of the caller's, with the sessions that
// were begun by it. With the last factor go the backup codes and all
// sessions. Errors are those of RenameCredential, and ErrEnforced as by
// Disable.
func (s *Service) RemoveCredential(ctx context.Context, caller Caller, id string) error {
	err := s.changeUnlessEnforced(ctx, caller, func(u *user, now time.Time) ([]Event, []*Notice, error) {
		f := u.factor(id)
		if f == nil {
			return nil, nil, ErrNoCredential
		}
		t, name := f.Type, f.Name
		told := u.notice(EventRemoved, t, name, now) // also to an address that goes
		u.dropFactors(func(f userFactor) bool { return f.ID == id })
		return []Event{caller.event(EventRemoved, string(t))}, []*Notice{told}, nil
	})
	if err != nil {
		return fmt.Errorf("removing credential: %w", err)
	}
	return nil
}
