package mfa

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// recentBytes bounds the memory of what is kept near for gates.
const recentBytes = 16 << 20

// recent is what gates ask of a person's record.
type recent struct {
	ends        map[string]time.Time // of the sessions, by their IDs
	enrolled    bool
	mustEnroll  bool
	memberships memberships
}

// recentOf decodes a person's record, and says how much memory that takes.
func (d documents) recentOf(key string, sealed []byte) (*recent, int, error) {
	u := &user{}
	if sealed != nil {
		if err := d.decode(key, sealed, u); err != nil {
			return nil, 0, err
		}
	}
	r := &recent{
		ends: make(map[string]time.Time, len(u.Sessions)), enrolled: u.enrolled(),
		mustEnroll: u.MustEnroll, memberships: u.memberships(),
	}
	const fixed, each = 256, 128
	size := fixed + each*len(u.Sessions)
	for _, session := range u.Sessions {
		r.ends[session.ID] = session.ExpiresAt
	}
	for _, name := range u.Organizations {
		size += each + len(name)
	}
	return r, size, nil
}

// enforcementOf decodes what an organization demands.
func (d documents) enforcementOf(key string, sealed []byte) (bool, int, error) {
	var o organization
	if sealed == nil {
		return false, 0, nil
	}
	err := d.decode(key, sealed, &o)
	return o.Enforced, 0, err
}

// Live reports whether the session that shown is of goes on, and its
// assertion is still good. A reset or a sign-out by this process counts at
// once, one by another node within Config.Fresh. While the store is
// plainly away, what was true last counts for as long as Config.Stale.
func (s *Service) Live(ctx context.Context, shown *Shown) (bool, error) {
	if err := s.documents.ready(); err != nil {
		return false, err // the store may have been moved, whatever was true last
	}
	now := s.now()
	if !now.Before(shown.ExpiresAt) {
		return false, nil
	}
	r, err := s.records.ReadStale(ctx, shown.key)
	if err != nil {
		return false, fmt.Errorf("reading session: %w", err)
	}
	return now.Before(r.ends[shown.Session]), nil
}

// Standing tells what the caller must be held to at a gate, and keeps the
// organizations that their token claims. What another node has changed
// counts within Config.Fresh.
func (s *Service) Standing(ctx context.Context, caller Caller) (Standing, error) {
	if err := s.documents.ready(); err != nil {
		return Standing{}, err
	}
	r, err := s.records.Read(ctx, userPrefix+caller.accountKey())
	if err != nil {
		return Standing{}, fmt.Errorf("reading user: %w", err)
	}
	standing, seen := Standing{Enrolled: r.enrolled, MustEnroll: r.mustEnroll}, r.memberships
	if !seen.know(caller.Organizations) {
		u, err := s.see(ctx, caller)
		if err != nil {
			return Standing{}, fmt.Errorf("keeping organizations: %w", err)
		}
		standing, seen = Standing{Enrolled: u.enrolled(), MustEnroll: u.MustEnroll}, u.memberships()
	}
	standing.Enforced, err = seen.enforced(caller, func(key string) (bool, error) {
		return s.enforcements.Read(ctx, key)
	})
	return standing, err
}

// Knows reports whether the record of who has shown a second factor has the
// organizations that their token claims. It costs no reading of the store
// where Live has just been asked.
func (s *Service) Knows(ctx context.Context, shown *Shown, organizations []string) (bool, error) {
	r, err := s.records.ReadStale(ctx, shown.key)
	if err != nil {
		return false, fmt.Errorf("reading organizations: %w", err)
	}
	return r.memberships.know(organizations), nil
}

// See keeps the organizations that the caller's token claims, unless their
// record has them: an administrator's reach depends on it. After a failure,
// store.ErrUnavailable is returned at once for seeEvery.
func (s *Service) See(ctx context.Context, caller Caller) error {
	failed := s.seeFailed.Load()
	if since := s.now().UnixNano() - failed; failed != 0 && 0 <= since && since < int64(seeEvery) {
		return store.ErrUnavailable
	}
	r, err := s.records.ReadStale(ctx, userPrefix+caller.accountKey())
	if err == nil && !r.memberships.know(caller.Organizations) {
		_, err = s.see(ctx, caller)
	}
	if err != nil {
		if errors.Is(err, store.ErrUnavailable) {
			s.seeFailed.Store(s.now().UnixNano())
		}
		return fmt.Errorf("keeping organizations: %w", err)
	}
	return nil
}

// seeEvery is how long See does not ask a store that was unavailable.
const seeEvery = 2 * time.Second
