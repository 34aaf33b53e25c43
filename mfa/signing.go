package mfa

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/assertion"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// signingKey is the key of the document that holds the keys that assertions
// are signed with.
const signingKey = "assertion/keys"

// SigningOverlap is how long a new signing key is published before it signs:
// longer than anybody keeps the published set.
const SigningOverlap = 10 * time.Minute

// signing has the keys that assertions are signed with: made on first use,
// shared by all nodes over the store.
type signing struct {
	documents documents
	issuer    string
	lifetime  time.Duration // how long an assertion may live
	now       func() time.Time
	last      atomic.Pointer[signingKeys]
}

// signingKeys are the keys as they were read last.
type signingKeys struct {
	sealed  []byte
	keyring *assertion.Keyring
	codec   *assertion.Codec
}

// current returns the keys, which are read again only when the store has
// others.
func (s *signing) current(ctx context.Context) (*signingKeys, error) {
	sealed, err := s.documents.store.Get(ctx, signingKey)
	if errors.Is(err, store.ErrNotFound) {
		if err := s.make(ctx); err != nil {
			return nil, fmt.Errorf("making signing key: %w", err)
		}
		sealed, err = s.documents.store.Get(ctx, signingKey)
	}
	if err != nil {
		return nil, fmt.Errorf("reading signing keys: %w", err)
	}
	if last := s.last.Load(); last != nil && bytes.Equal(last.sealed, sealed) {
		return last, nil
	}
	encoded, err := s.documents.keys.Open(label(signingKey), sealed)
	if err != nil {
		return nil, fmt.Errorf("%w: opening signing keys: %w", store.ErrCorrupt, err)
	}
	keyring, err := assertion.ParseKeyring(encoded)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", store.ErrCorrupt, err)
	}
	keys := &signingKeys{
		sealed:  sealed,
		keyring: keyring,
		codec:   assertion.NewCodec(s.issuer, keyring, s.documents.keys),
	}
	s.last.Store(keys)
	return keys, nil
}

// make makes the first key, unless another node has made one.
func (s *signing) make(ctx context.Context) error {
	keyring, err := assertion.NewKeyring(s.now().UTC())
	if err != nil {
		return err
	}
	return s.documents.store.Update(ctx, func(tx store.Tx) error {
		_, err := tx.Get(signingKey)
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		return s.put(tx, keyring)
	}, signingKey)
}

func (s *signing) put(tx store.Tx, keyring *assertion.Keyring) error {
	encoded, err := keyring.Encode()
	if err != nil {
		return err
	}
	sealed, err := s.documents.keys.Seal(label(signingKey), encoded)
	if err != nil {
		return err
	}
	return tx.Put(signingKey, sealed)
}

// codec returns what signs and verifies assertions now.
func (s *signing) codec(ctx context.Context) (*assertion.Codec, error) {
	keys, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	return keys.codec, nil
}

// ready makes sure that there are keys.
func (s *signing) ready(ctx context.Context) error {
	_, err := s.current(ctx)
	return err
}

// JWKS returns the public keys that assertions are verified with (RFC 7517,
// 5).
func (s *Service) JWKS(ctx context.Context) ([]byte, error) {
	keys, err := s.signing.current(ctx)
	if err != nil {
		return nil, err
	}
	return keys.keyring.JWKS(s.now().UTC())
}

// RotateSigningKey makes a new signing key. It is published at once and signs
// after SigningOverlap; assertions signed before stay good until they run
// out. With revoke the new key signs at once and the old ones count no more:
// every assertion ends, which refresh tokens outlive.
func (s *Service) RotateSigningKey(ctx context.Context, revoke bool) error {
	if err := s.signing.ready(ctx); err != nil {
		return err
	}
	now := s.now().UTC()
	err := s.documents.store.Update(ctx, func(tx store.Tx) error {
		sealed, err := tx.Get(signingKey)
		if err != nil {
			return err
		}
		encoded, err := s.documents.keys.Open(label(signingKey), sealed)
		if err != nil {
			return fmt.Errorf("%w: opening signing keys: %w", store.ErrCorrupt, err)
		}
		keyring, err := assertion.ParseKeyring(encoded)
		if err != nil {
			return fmt.Errorf("%w: %w", store.ErrCorrupt, err)
		}
		if revoke {
			keyring, err = assertion.NewKeyring(now)
		} else {
			keyring, err = keyring.Rotate(now, SigningOverlap, s.signing.lifetime)
		}
		if err != nil {
			return err
		}
		return s.signing.put(tx, keyring)
	}, signingKey)
	if err != nil {
		return fmt.Errorf("rotating signing key: %w", err)
	}
	s.journal.Record(Event{Kind: EventSigningKeysMade, By: Operator})
	return nil
}
