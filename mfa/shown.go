package mfa

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/assertion"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// Shown is a second factor that was shown, as an assertion tells it. It is
// safe for concurrent use.
type Shown struct {
	Issuer   string // of the person: the assertion's idp
	Subject  string
	Session  string
	Methods  []string // types of factor, or MethodBackupCode
	AMR      []string
	ACR      string
	AuthTime time.Time
	// ExpiresAt is when the assertion runs out.
	ExpiresAt time.Time
	// Bearer is the access token that the assertion carries, "" for none.
	Bearer string

	key     string // of the person's record
	verdict atomic.Pointer[verdict]
}

// verdict is whether the session went on in the record of that
// fingerprint.
type verdict struct {
	record [sha256.Size]byte
	live   bool
}

// IsAssertion reports whether token claims to be one of ours, at no cost for
// other tokens.
func IsAssertion(token string) bool { return assertion.IsAssertion(token) }

// OpenAssertion verifies an assertion of ours. ErrInvalidAssertion is
// returned when it is not one, or has run out. Whether its session goes on,
// Live says.
func (s *Service) OpenAssertion(ctx context.Context, token string) (*Shown, error) {
	codec, err := s.signing.codec(ctx)
	if err != nil {
		return nil, err
	}
	claims, err := codec.Verify(token, s.now())
	if errors.Is(err, assertion.ErrInvalid) {
		return nil, fmt.Errorf("%w: %w", ErrInvalidAssertion, err)
	}
	if err != nil {
		return nil, err
	}
	return &Shown{
		Issuer: claims.IDP, Subject: claims.Subject, Session: claims.Session,
		Methods: claims.Methods, AMR: claims.AMR, ACR: claims.ACR, AuthTime: claims.AuthTime,
		ExpiresAt: claims.Expiry, Bearer: claims.Bearer,
		key: userPrefix + accountKey(claims.IDP, claims.Subject),
	}, nil
}

// Live reports whether the session that shown is of goes on, and its
// assertion is still good. It reads the record each time, so that a reset or
// a sign-out counts at once, and opens it only when it has changed.
func (s *Service) Live(ctx context.Context, shown *Shown) (bool, error) {
	now := s.now().UTC()
	if !now.Before(shown.ExpiresAt) {
		return false, nil
	}
	sealed, err := s.documents.store.Get(ctx, shown.key)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading session: %w", err)
	}
	seen := sha256.Sum256(sealed)
	if v := shown.verdict.Load(); v != nil && v.record == seen {
		return v.live, nil
	}
	ends, ok := s.sessions.Get(string(seen[:]))
	if !ok {
		u := &user{}
		if err := s.documents.decode(shown.key, sealed, u); err != nil {
			return false, fmt.Errorf("reading session: %w", err)
		}
		ends = make(map[string]time.Time, len(u.Sessions))
		for _, session := range u.Sessions {
			ends[session.ID] = session.ExpiresAt
		}
		const each = 128
		s.sessions.Put(string(seen[:]), ends, each*(1+len(ends)), now.Add(sessionCacheTime))
	}
	live := now.Before(ends[shown.Session])
	shown.verdict.Store(&verdict{record: seen, live: live})
	return live, nil
}

// Bounds of the cache of the sessions in records, by a hash of the record:
// what changes is another record.
const (
	sessionCacheBytes = 8 << 20
	sessionCacheTime  = 10 * time.Minute
)
