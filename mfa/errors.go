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
