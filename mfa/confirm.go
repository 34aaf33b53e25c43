package mfa

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/magiclink"
)

// VerifySetup confirms the caller's pending setup of type t: from then on
// the factor counts, its backup codes are the valid ones, and every other
// pending setup is void.
//
// ErrUnknownType or ErrTypeUnavailable is returned for a type that cannot
// be, a *StepUpError when the person has a factor already,
// ErrNoPendingSetup when there is nothing to confirm, ErrWrongProof when
// proof does not fit, which a pending setup survives four times, and
// ErrCredentialTaken or ErrTooManyCredentials when the credential cannot
// be added.
func (s *Service) VerifySetup(ctx context.Context, caller Caller, t factor.Type, proof factor.Proof) error {
	kind, err := s.kind(t)
	if err != nil {
		return err
	}
	return s.confirm(ctx, confirmation{
		kind:           kind,
		account:        caller.accountKey(),
		proof:          proof,
		admit:          (*user).requireStepUp,
		countsFailures: true,
	})
}

// ActivateMagicLink confirms the pending magic link that token belongs to.
// The token itself tells whose it is, and proves that its bearer reads the
// mailbox. ErrWrongProof or ErrNoPendingSetup is returned when it does not
// fit, or no longer.
func (s *Service) ActivateMagicLink(ctx context.Context, token string) error {
	kind, err := s.kind(factor.TypeMagicLink)
	if err != nil {
		return err
	}
	account, ok := magiclink.ParseToken(token)
	if !ok || len(account) != accountKeyLength {
		return fmt.Errorf("%w: not a token of a magic link", ErrWrongProof)
	}
	return s.confirm(ctx, confirmation{
		kind:    kind,
		account: account,
		proof:   factor.Proof{Token: token},
		admit: func(u *user) error {
			// A factor confirmed since has voided the link. The opener, who
			// brings no bearer, is not told more.
			if u.requireStepUp() != nil {
				return ErrNoPendingSetup
			}
			return nil
		},
		// The account is named by the token, so failures would let a stranger void
		// a person's setup; 256 bits cannot be guessed anyway.
		countsFailures: false,
	})
}

// confirmation is an attempt to confirm a pending setup.
type confirmation struct {
	kind    factor.Kind
	account string // account key
	proof   factor.Proof
	// admit decides, on the current record, whether the attempt may be made.
	admit func(*user) error
	// countsFailures says whether a wrong proof counts against the setup.
	countsFailures bool
}

// credentialOwner is the document that makes a credential's ID unique.
type credentialOwner struct {
	Account string `json:"account"`
}

// confirm checks the proof against the record as it is, and then decides in
// one update, over the record and, where the kind of factor has unique
// credentials, that of the credential. The check, which may cost a caller
// little and us much, stays out of the update, behind which others wait; the
// update holds only for the setup that was checked.
func (s *Service) confirm(ctx context.Context, c confirmation) error {
	now := s.now().UTC()
	userKey := userPrefix + c.account
	before := &user{}
	if err := s.documents.read(ctx, userKey, before); err != nil {
		return fmt.Errorf("confirming setup: %w", err)
	}
	checked, err := c.pending(before, now)
	if err != nil {
		return err
	}
	credentialKey, err := credentialKey(c.kind, c.proof)
	var credential factor.Credential
	if err == nil {
		credential, err = c.kind.Confirm(before.account(c.account, c.kind.Type()), checked.State, c.proof, now)
	}
	wrong := errors.Is(err, ErrWrongProof)
	if err != nil && !(wrong && c.countsFailures) {
		return fmt.Errorf("confirming setup: %w", err)
	}
	refusal := err
	keys := []string{userKey}
	if !wrong && credentialKey != "" {
		keys = append(keys, credentialKey)
	}
	err = s.documents.update(ctx, func(t transaction) error {
		u := &user{}
		if _, err := t.get(userKey, u); err != nil {
			return err
		}
		pending, err := c.pending(u, now)
		if err != nil {
			return err
		}
		if !bytes.Equal(pending.State, checked.State) {
			return ErrNoPendingSetup // another has taken its place
		}
		if wrong {
			if pending.Failures++; pending.Failures >= maxFailures {
				u.dropPending(c.kind.Type())
			}
			return t.put(userKey, u)
		}
		if credentialKey != "" {
			if err := claim(t, credentialKey, c.account); err != nil {
				return err
			}
		}
		err = u.addFactor(userFactor{
			ID:        newFactorID(),
			Type:      c.kind.Type(),
			Name:      credential.Name,
			CreatedAt: now,
			State:     credential.State,
		})
		if err != nil {
			return err
		}
		if len(pending.BackupCodes) > 0 {
			u.BackupCodes = pending.BackupCodes
		}
		u.Pending = nil
		return t.put(userKey, u)
	}, keys...)
	if err != nil {
		return fmt.Errorf("confirming setup: %w", err)
	}
	return refusal
}

// pending returns the setup that the attempt is for, if it may be made.
func (c confirmation) pending(u *user, now time.Time) (*pendingSetup, error) {
	if err := c.admit(u); err != nil {
		return nil, err
	}
	pending := u.pending(c.kind.Type(), now)
	if pending == nil {
		return nil, ErrNoPendingSetup
	}
	return pending, nil
}

// credentialKey returns the key that makes the credential in proof unique,
// "" when kind has no unique credentials or proof brings none to read.
func credentialKey(kind factor.Kind, proof factor.Proof) (string, error) {
	unique, ok := kind.(factor.Unique)
	if !ok {
		return "", nil
	}
	id, err := unique.UniqueID(proof)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(id))
	return credentialPrefix + base64.RawURLEncoding.EncodeToString(sum[:]), nil
}

// claim makes account the owner of the credential under key.
func claim(t transaction, key, account string) error {
	taken, err := t.get(key, &credentialOwner{})
	if err != nil {
		return err
	}
	if taken {
		return ErrCredentialTaken
	}
	return t.put(key, credentialOwner{Account: account})
}

// newFactorID draws the public name of a factor: 128 random bits.
func newFactorID() string {
	var id [16]byte
	rand.Read(id[:]) // never fails: it ends the program instead
	return base64.RawURLEncoding.EncodeToString(id[:])
}
