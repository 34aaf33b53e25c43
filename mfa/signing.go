package mfa

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/assertion"
	"github.com/caddymfa/caddy-mfa/mfa/store"
	"github.com/caddymfa/caddy-mfa/mfa/store/nearcache"
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
	near      nearcache.View[*signingKeys]

	last  atomic.Pointer[signingKeys] // as they were read last, nil before
	looks looks
}

// signingKeys are the keys as they were read.
type signingKeys struct {
	keyring *assertion.Keyring
	codec   *assertion.Codec
}

// current returns the keys, made by now if there were none.
func (s *signing) current(ctx context.Context) (*signingKeys, error) {
	keys, err := s.near.ReadStale(ctx, signingKey)
	if err == nil && keys == nil {
		if err := s.make(ctx); err != nil {
			return nil, fmt.Errorf("making signing key: %w", err)
		}
		keys, err = s.near.Read(ctx, signingKey)
	}
	if err != nil {
		return nil, fmt.Errorf("reading signing keys: %w", err)
	}
	if s.last.Load() != keys {
		s.last.Store(keys)
	}
	return keys, nil
}

// open opens the document that holds the keys; it returns nil for none.
func (s *signing) open(_ string, sealed []byte) (*signingKeys, int, error) {
	if sealed == nil {
		return nil, 0, nil
	}
	encoded, err := s.documents.open(signingKey, sealed)
	if err != nil {
		return nil, 0, fmt.Errorf("opening signing keys: %w", err)
	}
	keyring, err := assertion.ParseKeyring(encoded)
	if err != nil {
		return nil, 0, fmt.Errorf("%w: %w", store.ErrCorrupt, err)
	}
	return &signingKeys{
		keyring: keyring,
		codec:   assertion.NewCodec(s.issuer, keyring, s.documents.keys),
	}, len(sealed), nil
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
	sealed, err := s.documents.seal(signingKey, encoded)
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
	keys, err := s.signing.published(ctx)
	if err != nil {
		return nil, err
	}
	return keys.keyring.JWKS(s.now().UTC())
}

// SigningKeys describes the keys that assertions are signed and verified with.
func (s *Service) SigningKeys(ctx context.Context) ([]assertion.KeyInfo, error) {
	keys, err := s.signing.current(ctx)
	if err != nil {
		return nil, err
	}
	return keys.keyring.Keys(s.now().UTC()), nil
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
		keys, _, err := s.signing.open(signingKey, sealed)
		if err != nil {
			return err
		}
		keyring := keys.keyring
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
	s.journal.Record(byOperator(EventSigningKeysMade))
	return nil
}
