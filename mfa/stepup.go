package mfa

import (
	"fmt"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

// stepUpMaxAge is how long ago a second factor may have been shown to
// change what protects an account.
const stepUpMaxAge = 15 * time.Minute

// StepUp says which second factor changes what protects an account.
type StepUp string

const (
	// StepUpStrongest asks for the level of the strongest factor that the
	// person has in use.
	StepUpStrongest StepUp = "strongest"
	// StepUpAny takes every factor. A link by e-mail counts only for people
	// who have nothing stronger.
	StepUpAny StepUp = "any"
)

// Check returns an error when p is none of the choices. "" is
// StepUpStrongest.
func (p StepUp) Check() error {
	switch p {
	case "", StepUpStrongest, StepUpAny:
		return nil
	}
	return fmt.Errorf("unknown choice %q: choose %s or %s", string(p), StepUpStrongest, StepUpAny)
}

// demands returns the level that changes to the factors of u need, "" when
// no factor is in use.
func (s *Service) demands(u *user) string {
	acr := u.strongest()
	if acr != ACRPhR {
		return acr
	}
	if _, offered := s.kinds[factor.TypePasskey]; !offered || s.stepUp == StepUpAny {
		return ACRMFA // a passkey cannot be shown where they are not on offer
	}
	return acr
}

// requireStepUp refuses a change to the factors of a person who has one in
// use, unless the caller has shown, recently, one as strong as the strongest
// of them. An access token alone, which can be stolen, never adds or replaces
// a factor; neither does a code that was phished from who has a passkey.
func (s *Service) requireStepUp(u *user, caller Caller, now time.Time) error {
	if !u.enrolled() {
		return nil
	}
	return u.requireSession(caller, s.demands(u), now)
}

// requireAuthority refuses acting on others, which needs what a change to
// the caller's own factors does, and more than a link by e-mail in any case.
// Who has no factor must enrol first.
func (s *Service) requireAuthority(u *user, caller Caller, now time.Time) error {
	return u.requireSession(caller, stronger(s.demands(u), ACRMFA), now)
}

// requireSession refuses a caller without a recent session of the level
// acr.
func (u *user) requireSession(caller Caller, acr string, now time.Time) error {
	s := u.session(caller.Session, now)
	if s == nil || now.Sub(s.AuthTime) > stepUpMaxAge || !ACRSatisfies(s.ACR, acr) {
		return &StepUpError{ACR: acr, MaxAge: stepUpMaxAge}
	}
	return nil
}

// requireSignIn decides whether caller may begin a setup: who has a factor
// must have shown it, who has none must have signed in recently enough.
func (s *Service) requireSignIn(u *user, caller Caller, now time.Time) error {
	if u.enrolled() {
		return s.requireStepUp(u, caller, now)
	}
	if s.enrollmentMaxAuthAge == 0 {
		return nil
	}
	if caller.AuthTime.IsZero() || now.Sub(caller.AuthTime) > s.enrollmentMaxAuthAge {
		return &StepUpError{MaxAge: s.enrollmentMaxAuthAge}
	}
	return nil
}
