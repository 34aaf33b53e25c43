package mfa

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Reset removes all factors, backup codes, pending setups and sessions of a
// person: the caller, or, when subject is not "" and not the caller's, a
// person of the caller's issuer and organization. With mustEnroll they have
// to enrol at the next gate, also where that is left to them.
//
// ErrForbidden is returned when the caller's token claims no role for acting
// on others, a *StepUpError when they have not shown a factor recently,
// ErrNoUser when there is no such person within their reach, ErrEnforced when
// the caller's own factor would go and one of their organizations demands
// one.
func (s *Service) Reset(ctx context.Context, caller Caller, subject string, mustEnroll bool) error {
	subject = s.subject(caller.Issuer, subject)
	if subject == "" || accountKey(caller.Issuer, subject) == caller.accountKey() {
		err := s.changeUnlessEnforced(ctx, caller, func(u *user, now time.Time) ([]Event, []*Notice, error) {
			told := u.reset(mustEnroll, now)
			return []Event{caller.event(EventReset, "")}, []*Notice{told}, nil
		})
		if err != nil {
			return fmt.Errorf("resetting: %w", err)
		}
		return nil
	}
	return s.resetOther(ctx, caller, subject, mustEnroll)
}

// resetOther resets somebody else, by an update over both records: the
// admin's authority holds when it happens.
func (s *Service) resetOther(ctx context.Context, caller Caller, subject string, mustEnroll bool) error {
	if !s.isAdmin(caller) {
		return ErrForbidden
	}
	adminKey := userPrefix + caller.accountKey()
	err := s.changeRecord(ctx, accountKey(caller.Issuer, subject), change{
		client:  caller.Client,
		byOther: true,
		also:    []string{adminKey},
		decide: func(t transaction, u *user, now time.Time) ([]Event, []*Notice, error) {
			admin := &user{}
			if _, err := t.get(adminKey, admin); err != nil {
				return nil, nil, err
			}
			if err := s.requireAuthority(admin, caller, now); err != nil {
				return nil, nil, err
			}
			if u.Subject == "" || u.MoreOrganizations || len(caller.Organizations) != 1 || !slices.Equal(u.Organizations, caller.Organizations) {
				return nil, nil, ErrNoUser
			}
			told := u.reset(mustEnroll, now)
			e := u.event(EventReset, "", caller.Client)
			e.ActorKind, e.By = ActorAdministrator, caller.Subject
			return []Event{e}, []*Notice{told}, nil
		},
	})
	if err != nil {
		return fmt.Errorf("resetting another: %w", err)
	}
	return nil
}

// reset takes everything from u that a second factor rests on. What is
// known of the person's organizations stays, and so do the counts that
// limit mail.
func (u *user) reset(mustEnroll bool, now time.Time) *Notice {
	var told *Notice
	if len(u.Factors) > 0 {
		told = u.notice(EventReset, "", "", now)
	}
	u.dropFactors(func(userFactor) bool { return true })
	u.endSessions()
	u.MustEnroll = u.MustEnroll || mustEnroll
	return told
}
