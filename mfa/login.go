package mfa

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

// LoginProof is what a client sends to verify a login: exactly one of its
// fields.
type LoginProof struct {
	// Code is that of an authenticator app, or a backup code.
	Code string
	// Token is that of a mailed link.
	Token string
	// Link names a login link, which was approved elsewhere.
	Link string
	// Credential is a passkey's answer to a challenge.
	Credential json.RawMessage
}

// codeVerifier is a kind of factor that is proven by a code.
type codeVerifier interface {
	// VerifyLogin returns the state in which code is spent.
	// factor.ErrSpentProof or factor.ErrWrongProof is returned when it is
	// not accepted.
	VerifyLogin(state json.RawMessage, code string, now time.Time) (json.RawMessage, error)
}

// VerifyLogin accepts a proof of one of the caller's factors, or a backup
// code, and begins a session. Each proof is good once.
//
// ErrUnknownType or ErrTypeUnavailable is returned for a type that cannot
// be, ErrWrongProof when the proof does not fit, ErrLinkPending when a link
// has not been approved yet, and a *LockedError while code entry is locked,
// whatever the code.
func (s *Service) VerifyLogin(ctx context.Context, caller Caller, t factor.Type, proof LoginProof) (*Grant, error) {
	kind, err := s.kind(t)
	if err != nil && !(errors.Is(err, ErrTypeUnavailable) && proof.Code != "") {
		return nil, err
	}
	if err := s.signing.ready(ctx); err != nil {
		return nil, err // before a proof is spent
	}
	var shown session
	switch {
	case proof.Code != "":
		shown, err = s.verifyCode(ctx, caller, t, proof.Code)
	case t == factor.TypeMagicLink && proof.Link != "":
		shown, err = s.redeemLink(ctx, caller, proof.Link)
	case t == factor.TypeMagicLink:
		shown, err = s.verifyLink(ctx, caller, proof.Token)
	case t == factor.TypePasskey:
		shown, err = s.verifyPasskey(ctx, caller, kind, proof.Credential)
	default:
		err = fmt.Errorf("%w: it is not of the kind that the type needs", ErrWrongProof)
	}
	if err != nil {
		s.recordFailure(caller, t, proof, err)
		return nil, fmt.Errorf("verifying login: %w", err)
	}
	s.record(caller, EventVerified, shown.Method)
	return s.grant(ctx, caller, shown)
}

// recordFailure tells of a login that was refused.
func (s *Service) recordFailure(caller Caller, t factor.Type, proof LoginProof, err error) {
	e := caller.event(EventFailed, string(t))
	var locked *LockedError
	switch {
	case errors.Is(err, errCloned):
		e.Kind, e.Reason = EventClonedPasskey, "counter_rollback"
	case errors.Is(err, ErrLinkPending):
		return
	case errors.As(err, &locked):
		e.Reason = "locked"
	case errors.Is(err, factor.ErrSpentProof):
		e.Reason = "replayed"
	case errors.Is(err, factor.ErrMalformedProof):
		e.Reason = "malformed"
	case errors.Is(err, ErrWrongProof):
		e.Reason = "wrong_proof"
	default:
		return // this side's fault, and in its log
	}
	s.journal.Record(e)
	if errors.Is(err, errLocks) {
		e.Kind, e.Reason = EventLocked, "too_many_wrong_codes"
		s.journal.Record(e)
	}
}

// errLocks is wrapped around the wrong proof that locks code entry.
var errLocks = errors.New("code entry is locked now")

// verifyCode decides about a code in one update: whether code entry is
// locked, whether the code is right, that it is spent or counts as wrong.
// A right code that comes again does not count, nor does what cannot be a code:
// they are no guesses.
func (s *Service) verifyCode(ctx context.Context, caller Caller, t factor.Type, code string) (shown session, err error) {
	now := s.now().UTC()
	key := userPrefix + caller.accountKey()
	var refusal error
	err = s.documents.update(ctx, func(tx transaction) error {
		refusal = nil
		u := &user{}
		if _, err := tx.get(key, u); err != nil {
			return err
		}
		if !u.enrolled() {
			return fmt.Errorf("%w: no factor is in use", ErrWrongProof)
		}
		if err := u.Lockout.check(now); err != nil {
			return err
		}
		proven, err := s.spendCode(u, caller.accountKey(), t, code, s.own().UTC())
		switch {
		case errors.Is(err, factor.ErrSpentProof), errors.Is(err, factor.ErrMalformedProof):
			return err
		case errors.Is(err, ErrWrongProof):
			refusal = err
			if u.Lockout.fail(now, s.lockout) {
				refusal = fmt.Errorf("%w: %w", err, errLocks)
			}
			return tx.put(key, u)
		case err != nil:
			return err
		}
		u.Lockout = lockout{}
		if err := s.adopt(u, caller); err != nil {
			return err
		}
		shown = s.begin(u, proven, now)
		return tx.put(key, u)
	}, key)
	if err == nil {
		err = refusal
	}
	return shown, err
}

// spendCode takes code as that of the authenticator app, where the login is
// by one, else as a backup code. factor.ErrMalformedProof is returned for what
// can be neither.
func (s *Service) spendCode(u *user, account string, t factor.Type, code string, now time.Time) (evidence, error) {
	refusal := fmt.Errorf("%w: it is no code of this account", ErrWrongProof)
	malformed := true
	app, ok := s.kinds[factor.TypeTOTP].(codeVerifier)
	if f := u.inUse(factor.TypeTOTP); t == factor.TypeTOTP && ok && f != nil {
		state, err := app.VerifyLogin(f.State, code, now)
		if err == nil {
			f.State = state
			return evidenceOf(f), nil
		}
		if !errors.Is(err, ErrWrongProof) {
			return evidence{}, err
		}
		if malformed = errors.Is(err, factor.ErrMalformedProof); !malformed {
			refusal = err
		}
	}
	normalized, ok := normalizeCode(code)
	if !ok {
		if malformed {
			return evidence{}, fmt.Errorf("%w: it is neither a code of an app nor a backup code", factor.ErrMalformedProof)
		}
		return evidence{}, refusal
	}
	switch spent, known := s.spendBackupCode(u, account, normalized); {
	case spent:
		return u.backupEvidence(), nil
	case known:
		return evidence{}, fmt.Errorf("%w: backup code", factor.ErrSpentProof)
	}
	return evidence{}, refusal
}
