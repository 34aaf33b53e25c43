package mfa

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/passkey"
)

// errCloned is wrapped around the refusal of a passkey whose counter went
// back, which a copy of its key would explain.
var errCloned = errors.New("the signature counter did not advance")

// PasskeyOptions makes a challenge for a login by one of the caller's
// passkeys, and returns the options that a browser wants. Nothing is written:
// the challenge carries its own proof. ErrNotEnrolled is returned when the
// caller has no passkey in use.
func (s *Service) PasskeyOptions(ctx context.Context, caller Caller) (passkey.LoginOptions, error) {
	kind, err := s.passkeys()
	if err != nil {
		return passkey.LoginOptions{}, err
	}
	now := s.now().UTC()
	account := caller.accountKey()
	u := &user{}
	if err := s.documents.read(ctx, userPrefix+account, u); err != nil {
		return passkey.LoginOptions{}, fmt.Errorf("beginning passkey login: %w", err)
	}
	if !u.has(factor.TypePasskey) {
		return passkey.LoginOptions{}, fmt.Errorf("beginning passkey login: %w", ErrNotEnrolled)
	}
	sealed, err := s.documents.sealChallenge(account, challenge{
		begun: u.begunBy(caller, now), expiresAt: now.Add(kind.LoginLifetime()),
	})
	if err != nil {
		return passkey.LoginOptions{}, fmt.Errorf("beginning passkey login: %w", err)
	}
	options, err := kind.BeginLogin(sealed, u.usable(factor.TypePasskey))
	if err != nil {
		return passkey.LoginOptions{}, fmt.Errorf("beginning passkey login: %w", err)
	}
	return options, nil
}

func (s *Service) passkeys() (*passkey.Kind, error) {
	kind, err := s.kind(factor.TypePasskey)
	if err != nil {
		return nil, err
	}
	return kind.(*passkey.Kind), nil
}

// usable returns the states of the factors of type t that are in use.
func (u *user) usable(t factor.Type) []json.RawMessage {
	var states []json.RawMessage
	for _, f := range u.Factors {
		if f.Type == t && !f.Disabled {
			states = append(states, f.State)
		}
	}
	return states
}

// verifyPasskey decides about a passkey's answer. The signature is checked
// against the record as it is, outside the update, behind which others
// wait; the update then holds only if the challenge is still there to be
// spent and the credential has not changed meanwhile.
func (s *Service) verifyPasskey(ctx context.Context, caller Caller, kind factor.Kind, credential json.RawMessage) (shown session, err error) {
	now := s.now().UTC()
	account := caller.accountKey()
	key := userPrefix + account
	presented, err := passkey.Challenge(credential)
	if err != nil {
		return session{}, err
	}
	before := &user{}
	if err := s.documents.read(ctx, key, before); err != nil {
		return session{}, err
	}
	keyring := kind.(*passkey.Kind)
	answered, err := s.documents.openChallenge(account, before.Epoch, presented, keyring.LoginLifetime())
	if err != nil {
		return session{}, err
	}
	if !before.awaits(answered, now) {
		return session{}, errNoChallenge
	}
	states := before.usable(factor.TypePasskey)
	login, refusal := keyring.VerifyLogin(
		factor.Account{Key: account, Handle: before.Handle, Credentials: states}, presented, credential)
	if refusal != nil && !errors.Is(refusal, ErrWrongProof) {
		return session{}, refusal
	}
	signed := refusal == nil
	if errors.Is(refusal, passkey.ErrClonedCredential) {
		refusal, signed = fmt.Errorf("%w: %w", refusal, errCloned), true
	}
	err = s.documents.update(ctx, func(t transaction) error {
		u := &user{}
		if _, err := t.get(key, u); err != nil {
			return err
		}
		if !u.awaits(answered, now) {
			return errNoChallenge // another has spent it
		}
		u.SpentChallenges.add(answered, signed, now)
		if refusal != nil {
			return t.put(key, u)
		}
		i := slices.IndexFunc(u.Factors, func(f userFactor) bool {
			return f.Type == factor.TypePasskey && !f.Disabled && bytes.Equal(f.State, states[login.Index])
		})
		if i < 0 {
			refusal = fmt.Errorf("%w: the passkey was changed or removed meanwhile", ErrWrongProof)
			return t.put(key, u)
		}
		u.Factors[i].State = login.State
		if err := s.adopt(u, caller); err != nil {
			return err
		}
		shown = s.begin(u, passkeyEvidence(&u.Factors[i], login.Synced), now)
		return t.put(key, u)
	}, key)
	if err == nil {
		err = refusal
	}
	return shown, err
}
