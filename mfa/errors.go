package mfa

import (
	"errors"
	"fmt"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

var (
	// ErrUnknownType is returned when a request names a kind of factor
	// that does not exist.
	ErrUnknownType = errors.New("unknown kind of factor")

	// ErrTypeUnavailable is returned when a request names a kind of factor
	// that exists but is not on offer here.
	ErrTypeUnavailable = errors.New("kind of factor not on offer")

	// ErrBadRequest is returned when a setup request lacks something; its
	// text, after this error's own, is meant for the caller.
	ErrBadRequest = factor.ErrBadRequest

	// ErrWrongProof is returned when what should confirm a setup does not.
	ErrWrongProof = factor.ErrWrongProof

	// ErrNoPendingSetup is returned when there is no setup to confirm:
	// none was begun, or it expired, was used, or was voided by wrong
	// proofs or by another factor's confirmation.
	ErrNoPendingSetup = errors.New("no pending setup")

	// ErrCredentialTaken is returned when a passkey is registered already,
	// for whomever.
	ErrCredentialTaken = errors.New("credential is registered already")

	// ErrTooManyCredentials is returned when a person holds as many
	// factors of a kind as one may.
	ErrTooManyCredentials = errors.New("too many credentials of this kind")

	// ErrNotEnrolled is returned when a request is about a factor, or about
	// the factors, of a person who has none.
	ErrNotEnrolled = errors.New("no such factor is enrolled")

	// ErrNoCredential is returned when a person has no factor of that ID.
	ErrNoCredential = errors.New("no such credential")

	// ErrNoUser is returned when there is nobody of that name, or nobody
	// within the caller's reach.
	ErrNoUser = errors.New("no such user")

	// ErrForbidden is returned when the caller's token claims no role for
	// acting on others.
	ErrForbidden = errors.New("an administrator's role is required")

	// ErrNoOrganization is returned when the caller's token does not name
	// one organization.
	ErrNoOrganization = errors.New("the caller is not of one organization")

	// ErrEnforced is returned when a change would leave a person without a
	// factor whose organization demands one.
	ErrEnforced = errors.New("an organization demands a factor")

	// ErrLinkPending is returned when a login link has not been approved
	// yet.
	ErrLinkPending = errors.New("the link has not been approved yet")

	// ErrSessionExpired is returned when a refresh token is not, or no
	// longer, good.
	ErrSessionExpired = errors.New("the session has ended")

	// ErrInvalidAssertion is returned when a token that claims to be an
	// assertion is none that is good.
	ErrInvalidAssertion = errors.New("assertion is not valid")

	// ErrUndecidedAssertion is returned when an assertion is of a key that is
	// not known, and the store cannot be asked about it just now. It wraps
	// ErrInvalidAssertion.
	ErrUndecidedAssertion = fmt.Errorf("%w: its key is not known yet", ErrInvalidAssertion)

	// ErrMailNotSent is returned when the mail system did not take a mail.
	ErrMailNotSent = errors.New("mail could not be sent")
)

// StepUpError is returned when a request needs a stronger or fresher proof
// of who is calling than it came with (RFC 9470).
type StepUpError struct {
	// ACR is the authentication level asked for, "" when the caller only
	// has to sign in afresh.
	ACR string
	// MaxAge is how long ago that authentication may lie.
	MaxAge time.Duration
}

func (e *StepUpError) Error() string {
	if e.ACR == "" {
		return fmt.Sprintf("a sign-in within the last %v is needed", e.MaxAge)
	}
	return fmt.Sprintf("a second factor shown within the last %v is needed", e.MaxAge)
}

// RateLimitError is returned when something was asked for too often.
type RateLimitError struct {
	// RetryAfter is when the next attempt can succeed, from now.
	RetryAfter time.Duration
}

func (e *RateLimitError) Error() string {
	return fmt.Sprintf("too many requests, next one in %v", e.RetryAfter)
}

// LockedError is returned when codes are not accepted, right or wrong.
type LockedError struct {
	// RetryAfter is when they will be again, from now.
	RetryAfter time.Duration
	// Off says that it takes an administrator's reset or the operator's
	// unlock.
	Off bool
}

func (e *LockedError) Error() string {
	if e.Off {
		return "codes are switched off after too many wrong ones"
	}
	return fmt.Sprintf("codes are locked for %v after too many wrong ones", e.RetryAfter)
}
