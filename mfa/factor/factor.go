// Package factor is the small vocabulary that the kinds of second factor
// share with the service that keeps them: what a setup is given, what it
// offers the client, what proves it, and what remains of it.
//
// One package per kind implements Kind: totp, passkey and magiclink. A
// kind knows how its own factor works and nothing of users, stores or
// HTTP; the service knows those and treats a kind's state as opaque
// bytes.
package factor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Type names a kind of factor in the public API.
type Type string

// The kinds of factor that the API knows.
const (
	TypeTOTP      Type = "GOOGLE_AUTH"
	TypeMagicLink Type = "MAGIC_LINK"
	TypePasskey   Type = "PASSKEY"
)

// Known reports whether t is one of the API's types.
func (t Type) Known() bool {
	return t == TypeTOTP || t == TypeMagicLink || t == TypePasskey
}

// Kind is one kind of factor. Its methods may be called concurrently.
type Kind interface {
	Type() Type

	// Begin starts a setup. It changes nothing outside: what must be
	// remembered until the confirmation is in Offer.State, what must be
	// sent is behind Offer.Deliver. ErrBadRequest, wrapped with what is wrong and
	// how to mend it, is returned when the request cannot be served.
	Begin(account Account, request Request, now time.Time) (Offer, error)

	// Confirm checks proof against the state of a pending setup.
	// ErrWrongProof, wrapped with the reason, is returned when the proof
	// does not fit.
	// It computes and does nothing else.
	Confirm(account Account, state json.RawMessage, proof Proof, now time.Time) (Credential, error)
}

// Unique is implemented by a kind whose credentials carry an identifier
// that must be new over all users.
type Unique interface {
	// UniqueID returns the identifier of the credential that proof brings,
	// before anything about it has been checked. ErrWrongProof is returned
	// when there is none to be found.
	UniqueID(proof Proof) (string, error)
}

// Account is the person a factor belongs to, as far as a kind needs it.
type Account struct {
	// Key identifies the account in tokens that come back without a
	// bearer. It is opaque, URL-safe and no secret.
	Key string
	// Name is what the person recognises the account by: an e-mail address or the
	// subject of the bearer.
	Name string
	// Handle is the WebAuthn user handle: 32 bytes that say nothing about
	// the person.
	Handle []byte
	// Email is the address that the bearer claims, "" when it claims none.
	Email string
	// Credentials are the states of the account's confirmed factors of
	// this kind.
	Credentials []json.RawMessage
}

// Request is what a client may say when it begins a setup.
type Request struct {
	Email  string
	Device Device
}

// Device is the client's own description of the device at hand, in either of
// the two shapes that clients send. It names a factor, and proves nothing.
type Device struct {
	Name       string
	Type       string
	UserAgent  string
	DeviceType string
	OS         string
	Browser    string
}

// Offer is a setup that has begun.
type Offer struct {
	// State is what Confirm needs back, kept sealed by the service.
	State json.RawMessage
	// Answer is what the client is told: totp.Enrolment,
	// passkey.Enrolment or magiclink.Enrolment.
	Answer any
	// Lifetime is how long the setup may wait for its confirmation; 0
	// leaves it to the service.
	Lifetime time.Duration
	// Address is the mailbox that Deliver writes to, in the one spelling
	// that limits count by, "" when nothing is to be delivered.
	Address string
	// Deliver sends what has to reach the person by another way. It is nil when
	// there is nothing to send. It gives up when ctx ends and within
	// seconds of its own accord.
	Deliver func(ctx context.Context) error
}

// Proof is what a client sends to confirm a factor; each kind reads the
// fields it knows.
type Proof struct {
	Code       string
	Token      string
	Credential json.RawMessage
	Challenge  string
}

// Credential is a confirmed factor as its kind wants it kept.
type Credential struct {
	// Name is what the person is shown in a list of factors.
	Name string
	// State is what the kind needs to verify the factor later.
	State json.RawMessage
}

var (
	// ErrBadRequest is returned when a setup request lacks something or
	// holds something that cannot be used. Its wrapped text is meant for the
	// caller.
	ErrBadRequest = errors.New("bad setup request")

	// ErrWrongProof is returned when a proof does not fit. Its wrapped
	// text is for the operator's log and holds no secret.
	ErrWrongProof = errors.New("wrong proof")

	// ErrSpentProof is returned when a proof was right, and was used
	// before. It wraps ErrWrongProof.
	ErrSpentProof = fmt.Errorf("%w: used before", ErrWrongProof)

	// ErrMalformedProof is returned for a code that has not the form of one: it
	// is a slip of the hand and no guess. It wraps ErrWrongProof.
	ErrMalformedProof = fmt.Errorf("%w: malformed", ErrWrongProof)
)
