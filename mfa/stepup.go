package mfa

import (
	"slices"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

// stepUpMaxAge is how long ago a second factor may have been shown to
// change what protects an account.
const stepUpMaxAge = 15 * time.Minute

// requireStepUp refuses a change to the factors of a person who has one,
// unless the caller has shown one recently: an access token alone, which
// can be stolen, never adds or replaces a factor. A link by e-mail is
// enough only for who has nothing stronger.
func (u *user) requireStepUp(caller Caller, now time.Time) error {
	if !u.enrolled() {
		return nil
	}
	acr := ACRMFA
	if !slices.ContainsFunc(u.methods(), func(t factor.Type) bool { return t != factor.TypeMagicLink }) {
		acr = ACRMail
	}
	return u.requireSession(caller, acr, now)
}

// requireAuthority refuses acting on others without a recent second factor
// that is more than a link by e-mail. Who has none must enrol first.
func (u *user) requireAuthority(caller Caller, now time.Time) error {
	return u.requireSession(caller, ACRMFA, now)
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
		return u.requireStepUp(caller, now)
	}
	if s.enrollmentMaxAuthAge == 0 {
		return nil
	}
	if caller.AuthTime.IsZero() || now.Sub(caller.AuthTime) > s.enrollmentMaxAuthAge {
		return &StepUpError{MaxAge: s.enrollmentMaxAuthAge}
	}
	return nil
}
