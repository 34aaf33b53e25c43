package mfa

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// organizationPrefix is that of the keys of organizations' documents; see
// organizationKey.
const organizationPrefix = "organization/"

// organization is the document of an organization that has decided.
type organization struct {
	Issuer    string    `json:"issuer"`
	Name      string    `json:"name"`
	Enforced  bool      `json:"enforced"`
	ChangedAt time.Time `json:"changedAt"`
	ChangedBy string    `json:"changedBy"` // a subject of Issuer
}

// organizationKey is the key of the document of what issuer calls name.
func organizationKey(issuer, name string) string {
	return organizationPrefix + pairKey(issuer, name)
}

// maxOrganizations bounds the organizations that are kept of one person.
const maxOrganizations = 100

// memberships are the organizations that a person was seen in.
type memberships struct {
	names []string
	// more says that there were more than are kept. Any of these may demand a
	// factor, so that one is demanded.
	more bool
}

func (u *user) memberships() memberships {
	return memberships{names: u.Organizations, more: u.MoreOrganizations}
}

// seen keeps the organizations that a token claimed. Those that a person was
// ever seen in go on counting.
func (u *user) seen(claimed []string) {
	for _, name := range claimed {
		switch {
		case slices.Contains(u.Organizations, name):
		case len(u.Organizations) < maxOrganizations:
			u.Organizations = append(u.Organizations, name)
		default:
			u.MoreOrganizations = true
		}
	}
}

// know reports whether a token that claims these organizations says nothing
// new.
func (m memberships) know(claimed []string) bool {
	if m.more && len(m.names) >= maxOrganizations {
		return true
	}
	for _, name := range claimed {
		if !slices.Contains(m.names, name) {
			return false
		}
	}
	return true
}

// Standing is what a person without a session must be held to.
type Standing struct {
	// Enrolled says that a factor is in use.
	Enrolled bool
	// Enforced says that an organization of theirs demands a factor.
	Enforced bool
	// MustEnroll says that a reset demands one.
	MustEnroll bool
}

// standing is Standing as of this moment, whoever wrote last, with the record
// that it rests on.
func (s *Service) standing(ctx context.Context, caller Caller) (*user, Standing, error) {
	u, err := s.read(ctx, caller)
	if err != nil {
		return nil, Standing{}, err
	}
	if !u.memberships().know(caller.Organizations) {
		if u, err = s.see(ctx, caller); err != nil {
			return nil, Standing{}, fmt.Errorf("keeping organizations: %w", err)
		}
	}
	enforced, err := u.memberships().enforced(caller, func(key string) (bool, error) {
		var o organization
		err := s.documents.read(ctx, key, &o)
		return o.Enforced, err
	})
	if err != nil {
		return nil, Standing{}, err
	}
	return u, Standing{Enrolled: u.enrolled(), Enforced: enforced, MustEnroll: u.MustEnroll}, nil
}

// see writes down the organizations that the caller's token claims.
func (s *Service) see(ctx context.Context, caller Caller) (*user, error) {
	key := userPrefix + caller.accountKey()
	var u *user
	err := s.documents.update(ctx, func(t transaction) error {
		u = &user{}
		if _, err := t.get(key, u); err != nil {
			return err
		}
		if err := s.adopt(u, caller); err != nil {
			return err
		}
		return t.put(key, u)
	}, key)
	return u, err
}

// enforced reports whether any organization demands a factor of the caller,
// who was seen in m. The ones that today's token claims count also where they
// are not kept.
func (m memberships) enforced(caller Caller, enforced func(key string) (bool, error)) (bool, error) {
	if m.more {
		return true, nil
	}
	checked := make(map[string]bool, len(m.names)+len(caller.Organizations))
	for _, names := range [][]string{m.names, caller.Organizations} {
		for _, name := range names {
			if checked[name] {
				continue
			}
			checked[name] = true
			demands, err := enforced(organizationKey(caller.Issuer, name))
			if err != nil {
				return false, fmt.Errorf("reading organization: %w", err)
			}
			if demands {
				return true, nil
			}
		}
	}
	return false, nil
}

// isAdmin reports whether the caller's token claims a role that acts on
// others.
func (s *Service) isAdmin(caller Caller) bool {
	return slices.ContainsFunc(caller.Roles, func(role string) bool { return slices.Contains(s.adminRoles, role) })
}

// Enforce sets whether the caller's organization demands a second factor of
// its people. ErrNoOrganization is returned when the caller's token does
// not name exactly one, ErrForbidden when it claims no role for it, a
// *StepUpError when the caller has not shown a factor, other than a link by
// e-mail, recently.
func (s *Service) Enforce(ctx context.Context, caller Caller, enforced bool) error {
	if len(caller.Organizations) != 1 {
		return ErrNoOrganization
	}
	if !s.isAdmin(caller) {
		return ErrForbidden
	}
	now := s.now().UTC()
	name := caller.Organizations[0]
	userKey, key := userPrefix+caller.accountKey(), organizationKey(caller.Issuer, name)
	err := s.documents.update(ctx, func(t transaction) error {
		admin := &user{}
		if _, err := t.get(userKey, admin); err != nil {
			return err
		}
		if err := s.requireAuthority(admin, caller, now); err != nil {
			return err
		}
		return t.put(key, organization{
			Issuer: caller.Issuer, Name: name, Enforced: enforced, ChangedAt: now, ChangedBy: caller.Subject,
		})
	}, userKey, key)
	if err != nil {
		return fmt.Errorf("setting enforcement: %w", err)
	}
	e := caller.event(EventEnforcementOff, "")
	if enforced {
		e.Kind = EventEnforcementOn
	}
	e.ActorKind, e.Organization = ActorAdministrator, name
	s.journal.Record(e)
	return nil
}
