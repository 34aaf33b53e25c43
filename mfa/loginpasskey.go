package mfa

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/passkey"
)

// loginChallenge is a passkey challenge that waits for its answer. It is
// spent by the first, right or wrong.
type loginChallenge struct {
	Challenge string    `json:"challenge"`
	ExpiresAt time.Time `json:"expiresAt"`
	// Network is where the client is that asked for it.
	Network string `json:"network,omitempty"`
	Begun   begun  `json:"begun,omitzero"`
}

// maxChallenges is how many challenges of one person live side by side, for
// several tabs; see addChallenge for which makes way.
const maxChallenges = 5

// errCloned is wrapped around the refusal of a passkey whose counter went
// back, which a copy of its key would explain.
var errCloned = errors.New("the signature counter did not advance")

// PasskeyOptions draws a challenge for a login by one of the caller's
// passkeys, and returns the options that a browser wants. ErrNotEnrolled is
// returned when the caller has no passkey in use.
func (s *Service) PasskeyOptions(ctx context.Context, caller Caller) (passkey.LoginOptions, error) {
	kind, err := s.passkeys()
	if err != nil {
		return passkey.LoginOptions{}, err
	}
	now := s.now().UTC()
	key := userPrefix + caller.accountKey()
	var options passkey.LoginOptions
	err = s.documents.update(ctx, func(t transaction) error {
		u := &user{}
		if _, err := t.get(key, u); err != nil {
			return err
		}
		if !u.has(factor.TypePasskey) {
			return ErrNotEnrolled
		}
		var challenge string
		if challenge, options, err = kind.BeginLogin(u.usable(factor.TypePasskey)); err != nil {
			return err
		}
		u.addChallenge(loginChallenge{
			Challenge: challenge, ExpiresAt: now.Add(kind.LoginLifetime()), Network: caller.Client.network(), Begun: u.begunBy(caller, now),
		}, now)
		return t.put(key, u)
	}, key)
	if err != nil {
		return passkey.LoginOptions{}, fmt.Errorf("beginning passkey login: %w", err)
	}
	return options, nil
}

// addChallenge adds c, and drops those that have run out. Where there are too
// many then, the oldest makes way of the network that asked for the most: who
// draws challenges with a stolen access token draws them from a place of their
// own, and must not take the owner's away before the passkey is touched.
func (u *user) addChallenge(c loginChallenge, now time.Time) {
	u.Challenges = slices.DeleteFunc(u.Challenges, func(old loginChallenge) bool {
		return !now.Before(old.ExpiresAt) || !u.waits(old.Begun, now)
	})
	u.Challenges = append(u.Challenges, c)
	for len(u.Challenges) > maxChallenges {
		of := make(map[string]int, len(u.Challenges))
		most := 0
		for _, c := range u.Challenges {
			of[c.Network]++
			most = max(most, of[c.Network])
		}
		oldest := slices.IndexFunc(u.Challenges, func(c loginChallenge) bool { return of[c.Network] == most })
		u.Challenges = slices.Delete(u.Challenges, oldest, oldest+1)
	}
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
	challenge, err := passkey.Challenge(credential)
	if err != nil {
		return session{}, err
	}
	before := &user{}
	if err := s.documents.read(ctx, key, before); err != nil {
		return session{}, err
	}
	if !before.awaits(challenge, now) {
		return session{}, errNoChallenge
	}
	states := before.usable(factor.TypePasskey)
	login, refusal := kind.(*passkey.Kind).VerifyLogin(
		factor.Account{Key: account, Handle: before.Handle, Credentials: states}, challenge, credential)
	if refusal != nil && !errors.Is(refusal, ErrWrongProof) {
		return session{}, refusal
	}
	if errors.Is(refusal, passkey.ErrClonedCredential) {
		refusal = fmt.Errorf("%w: %w", refusal, errCloned)
	}
	err = s.documents.update(ctx, func(t transaction) error {
		u := &user{}
		if _, err := t.get(key, u); err != nil {
			return err
		}
		if !u.awaits(challenge, now) {
			return errNoChallenge // another has spent it
		}
		u.Challenges = slices.DeleteFunc(u.Challenges, func(c loginChallenge) bool { return c.Challenge == challenge })
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
		shown = u.begin(passkeyEvidence(&u.Factors[i], login.Synced), now, s.sessionLifetime)
		return t.put(key, u)
	}, key)
	if err == nil {
		err = refusal
	}
	return shown, err
}

// errNoChallenge is returned for an answer to a challenge that is not, or
// no longer, one of the person's.
var errNoChallenge = fmt.Errorf("%w: the challenge is not one that waits for an answer", ErrWrongProof)

// awaits reports whether challenge waits for an answer at now.
func (u *user) awaits(challenge string, now time.Time) bool {
	return slices.ContainsFunc(u.Challenges, func(c loginChallenge) bool {
		return c.Challenge == challenge && now.Before(c.ExpiresAt) && u.waits(c.Begun, now)
	})
}
