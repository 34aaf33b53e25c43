package mfa

import "time"

// stepUpMaxAge is how long ago a second factor may have been shown to
// change what protects an account.
const stepUpMaxAge = 15 * time.Minute

// ACRMFA is the authentication level of a confirmed second factor.
const ACRMFA = "mfa"

// requireStepUp refuses a change to the factors of a person who has one:
// an access token alone, which can be stolen, never adds or replaces a
// factor.
func (u *user) requireStepUp() error {
	if len(u.Factors) > 0 {
		return &StepUpError{ACR: ACRMFA, MaxAge: stepUpMaxAge}
	}
	return nil
}

// requireSignIn decides whether caller may begin a setup: who has a factor
// must show it, who has none must have signed in recently enough.
func (s *Service) requireSignIn(u *user, caller Caller, now time.Time) error {
	if err := u.requireStepUp(); err != nil {
		return err
	}
	if s.enrollmentMaxAuthAge == 0 {
		return nil
	}
	if caller.AuthTime.IsZero() || now.Sub(caller.AuthTime) > s.enrollmentMaxAuthAge {
		return &StepUpError{MaxAge: s.enrollmentMaxAuthAge}
	}
	return nil
}
