package mfa

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

// VerifySetup confirms the caller's pending setup of type t. From then on the
// factor counts, the backup codes that came with it are valid if this caller was
// shown them, and every other pending setup is void. The person has shown the
// factor by it, so a session begins.
//
// ErrUnknownType or ErrTypeUnavailable is returned for a type that cannot
// be, a *StepUpError when the person has a factor already and has not shown
// it recently, ErrNoPendingSetup when there is nothing to confirm,
// ErrWrongProof when proof does not fit, which a pending setup survives four
// times, and ErrCredentialTaken or ErrTooManyCredentials when the credential
// cannot be added.
func (s *Service) VerifySetup(ctx context.Context, caller Caller, t factor.Type, proof factor.Proof) (*Grant, error) {
	kind, err := s.kind(t)
	if err != nil {
		return nil, err
	}
	if err := s.signing.ready(ctx); err != nil {
		return nil, err // before the setup is spent
	}
	if proof.Token != "" {
		// One that was never mailed is refused by the kind, and counts.
		if token, err := s.documents.readLink(proof.Token, s.now()); err == nil {
			proof.Token = token
		} else if !errors.Is(err, ErrWrongProof) {
			return nil, err
		}
	}
	done, err := s.confirm(ctx, confirmation{
		kind:           kind,
		account:        caller.accountKey(),
		proof:          proof,
		client:         caller.Client,
		admit:          func(u *user, now time.Time) error { return s.requireStepUp(u, caller, now) },
		countsFailures: true,
		caller:         &caller,
	})
	if err != nil {
		if errors.Is(err, ErrWrongProof) {
			s.record(caller, EventSetupFailed, string(t))
		}
		return nil, err
	}
	grant, err := s.grant(ctx, caller, done.shown)
	if err != nil {
		return nil, err
	}
	grant.CodesVoid = done.codesVoid
	return grant, nil
}

// confirmLink confirms the pending magic link that an opened link belongs
// to. The token itself tells whose it is, and proves that its bearer reads
// the mailbox; whoever began the setup had shown a factor, or there was
// none, and each factor that is confirmed voids the setups that wait.
func (s *Service) confirmLink(ctx context.Context, account string, link OpenedLink) error {
	_, err := s.confirm(ctx, confirmation{
		kind:    s.kinds[factor.TypeMagicLink],
		account: account,
		proof:   factor.Proof{Token: link.Token},
		client:  link.Client,
		admit:   func(*user, time.Time) error { return nil },
		// The account is named by the token, so failures would let a stranger void
		// a person's setup; 256 bits cannot be guessed anyway.
		countsFailures: false,
	})
	return err
}

// confirmation is an attempt to confirm a pending setup.
type confirmation struct {
	kind    factor.Kind
	account string // account key
	proof   factor.Proof
	client  Client
	// admit decides, on the current record, whether the attempt may be made.
	admit func(*user, time.Time) error
	// countsFailures says whether a wrong proof counts against the setup.
	countsFailures bool
	// caller is who confirms, with whom a session begins; nil for an opened
	// link, whose opener may be somebody else than who began the setup.
	caller *Caller
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
func (s *Service) confirm(ctx context.Context, c confirmation) (done enrolment, err error) {
	now := s.now().UTC()
	userKey := userPrefix + c.account
	before := &user{}
	if err := s.documents.read(ctx, userKey, before); err != nil {
		return enrolment{}, fmt.Errorf("confirming setup: %w", err)
	}
	checked, err := c.pending(before, now)
	if err != nil {
		return enrolment{}, err
	}
	credentialKey, err := credentialKey(c.kind, c.proof)
	var credential factor.Credential
	if err == nil {
		credential, err = c.kind.Confirm(before.account(c.account, c.kind.Type()), checked.State, c.proof, s.own().UTC())
	}
	// What cannot be a code is no guess, and does not count.
	wrong := errors.Is(err, ErrWrongProof) && !errors.Is(err, factor.ErrMalformedProof)
	if err != nil && !(wrong && c.countsFailures) {
		return enrolment{}, fmt.Errorf("confirming setup: %w", err)
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
		done, err = s.enrol(u, c, *pending, userFactor{
			ID:        newID(),
			Type:      c.kind.Type(),
			Name:      credential.Name,
			CreatedAt: now,
			State:     credential.State,
			UniqueKey: credentialKey,
		}, now)
		if err != nil {
			return err
		}
		return t.put(userKey, u)
	}, keys...)
	if err != nil {
		return enrolment{}, fmt.Errorf("confirming setup: %w", err)
	}
	if refusal != nil {
		return enrolment{}, refusal
	}
	s.journal.Record(done.event)
	s.tell([]*Notice{done.told}, c.client, false)
	return done, nil
}

// enrolment is a setup that was confirmed.
type enrolment struct {
	shown session // that the confirmation began, for a caller
	// codesVoid says that the codes that came with the setup do not count.
	codesVoid bool
	event     Event
	told      *Notice
}

// enrol adds f, which setup was for, to the factors of u.
func (s *Service) enrol(u *user, c confirmation, setup pendingSetup, f userFactor, now time.Time) (done enrolment, err error) {
	// Before the factor is added, which may end the session that asks.
	codes, acr := c.codes(u, setup, now)
	done.codesVoid = len(setup.BackupCodes) > len(codes)
	addresses, replaced := u.addresses(now), f.Type != factor.TypePasskey && u.configured(f.Type)
	if err := u.addFactor(f); err != nil {
		return enrolment{}, err
	}
	if c.caller != nil {
		proven, err := enrolmentEvidence(&f)
		if err != nil {
			return enrolment{}, err
		}
		if len(codes) > 0 {
			u.setBackupCodes(codes, stronger(acr, proven.acr), c.caller.Session)
		}
		done.shown = s.begin(u, proven, now)
	}
	done.event = u.event(EventEnrolled, string(f.Type), c.client)
	if done.told = u.notice(EventEnrolled, f.Type, f.Name, now, addresses...); done.told != nil {
		done.told.Replaced = replaced
	}
	return done, nil
}

// codes returns the codes that came with setup if they count: if the one who
// confirms it is who was shown them, which is the session that began it, or
// the access token alone. acr is what that session has shown, "" without one.
func (c confirmation) codes(u *user, setup pendingSetup, now time.Time) (codes [][]byte, acr string) {
	if c.caller == nil || u.begunBy(*c.caller, now) != setup.Begun {
		return nil, ""
	}
	if s := u.session(setup.Begun.Session, now); s != nil {
		acr = s.ACR
	}
	return setup.BackupCodes, acr
}

// pending returns the setup that the attempt is for, if it may be made.
func (c confirmation) pending(u *user, now time.Time) (*pendingSetup, error) {
	if err := c.admit(u, now); err != nil {
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
