package mfa

import (
	"context"
	"fmt"
	"time"
)

// recentBytes bounds the memory of what is kept near for gates.
const recentBytes = 16 << 20

// recent is what gates ask of a person's record.
type recent struct {
	ends          map[string]time.Time // of the sessions, by their IDs
	enrolled      bool
	mustEnroll    bool
	organizations []string
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
		mustEnroll: u.MustEnroll, organizations: u.Organizations,
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
// unavailable, what was true last counts for as long as Config.Stale.
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
	standing, organizations := Standing{Enrolled: r.enrolled, MustEnroll: r.mustEnroll}, r.organizations
	if !knows(organizations, caller) {
		u, err := s.see(ctx, caller)
		if err != nil {
			return Standing{}, fmt.Errorf("keeping organizations: %w", err)
		}
		standing, organizations = Standing{Enrolled: u.enrolled(), MustEnroll: u.MustEnroll}, u.Organizations
	}
	standing.Enforced, err = enforcedIn(organizations, caller, func(key string) (bool, error) {
		return s.enforcements.Read(ctx, key)
	})
	return standing, err
}
