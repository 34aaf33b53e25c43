package mfa

import (
	"context"
	"fmt"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

// Disable puts the caller's factors of type t out of use and ends all
// sessions. It keeps them for Enable. With the last factor in use the
// backup codes go.
//
// ErrUnknownType is returned for a type that cannot be, ErrNotEnrolled when
// the caller has none of it, ErrEnforced when it is the last and one of
// their organizations demands one, a *StepUpError when they have not shown
// a factor recently.
func (s *Service) Disable(ctx context.Context, caller Caller, t factor.Type) error {
	if !t.Known() {
		return ErrUnknownType
	}
	err := s.changeUnlessEnforced(ctx, caller, func(u *user, now time.Time) ([]Event, []*Notice, error) {
		if !u.configured(t) {
			return nil, nil, ErrNotEnrolled
		}
		for i := range u.Factors {
			if u.Factors[i].Type == t {
				u.Factors[i].Disabled = true
			}
		}
		u.endSessions()
		u.settle()
		return []Event{caller.event(EventDisabled, string(t))}, []*Notice{u.notice(EventDisabled, t, "", now)}, nil
	})
	if err != nil {
		return fmt.Errorf("disabling factor: %w", err)
	}
	return nil
}

// changeUnlessEnforced is change for what may leave the caller without a
// factor, which their organizations may not allow.
func (s *Service) changeUnlessEnforced(ctx context.Context, caller Caller, decide decision) error {
	_, standing, err := s.standing(ctx, caller)
	if err != nil {
		return err
	}
	return s.change(ctx, caller, func(u *user, now time.Time) ([]Event, []*Notice, error) {
		was := u.enrolled()
		events, notices, err := decide(u, now)
		if err == nil && was && !u.enrolled() && standing.Enforced {
			return nil, nil, ErrEnforced
		}
		return events, notices, err
	})
}

// Enable puts the caller's disabled factors of type t back into use.
// ErrUnknownType, ErrNotEnrolled or a *StepUpError is returned as by
// Disable.
func (s *Service) Enable(ctx context.Context, caller Caller, t factor.Type) error {
	if !t.Known() {
		return ErrUnknownType
	}
	err := s.change(ctx, caller, func(u *user, now time.Time) ([]Event, []*Notice, error) {
		if err := s.requireSignIn(u, caller, now); err != nil {
			return nil, nil, err
		}
		if !u.configured(t) {
			return nil, nil, ErrNotEnrolled
		}
		changed := false
		for i := range u.Factors {
			if f := &u.Factors[i]; f.Type == t && f.Disabled {
				f.Disabled, changed = false, true
			}
		}
		if !changed {
			return nil, nil, nil
		}
		u.MustEnroll = false
		u.Pending = nil // as by addFactor
		return []Event{caller.event(EventEnabled, string(t))}, []*Notice{u.notice(EventEnabled, t, "", now)}, nil
	})
	if err != nil {
		return fmt.Errorf("enabling factor: %w", err)
	}
	return nil
}

// SetPrimary makes t the type that the caller is asked for first.
// ErrUnknownType, ErrNotEnrolled or a *StepUpError is returned as by
// Disable.
func (s *Service) SetPrimary(ctx context.Context, caller Caller, t factor.Type) error {
	if !t.Known() {
		return ErrUnknownType
	}
	err := s.change(ctx, caller, func(u *user, _ time.Time) ([]Event, []*Notice, error) {
		if !u.has(t) {
			return nil, nil, ErrNotEnrolled
		}
		u.Primary = t
		return []Event{caller.event(EventPrimaryChanged, string(t))}, nil, nil
	})
	if err != nil {
		return fmt.Errorf("choosing primary factor: %w", err)
	}
	return nil
}
