package mfa

import (
	"context"
	"fmt"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

// Status is what protects a person's account.
type Status struct {
	// Methods are the types of the confirmed factors, in the order of
	// their confirmation.
	Methods []factor.Type
	// Primary is the type asked for first, "" when there is none.
	Primary factor.Type
	// BackupCodes is how many codes are left.
	BackupCodes int
	// BackupCodesACR is the level that they prove, "" when there are none.
	BackupCodesACR string
	// Enforced says that an organization of theirs demands a factor,
	// Required that that or a reset does.
	Enforced, Required bool
	// Verified says that the caller's session goes on.
	Verified bool
}

// Method is one kind of factor from a person's point of view.
type Method struct {
	Type       factor.Type
	Available  bool // on offer here
	Configured bool // the person has confirmed one
	Enabled    bool // and it is in use
}

// Status tells what protects the caller's account. A pending setup counts
// for nothing in it.
func (s *Service) Status(ctx context.Context, caller Caller) (Status, error) {
	u, standing, err := s.standing(ctx, caller)
	if err != nil {
		return Status{}, err
	}
	status := Status{
		Methods:     u.methods(),
		Primary:     u.primary(),
		BackupCodes: len(u.BackupCodes),
		Enforced:    standing.Enforced,
		Required:    standing.Enforced || standing.MustEnroll,
		Verified:    u.session(caller.Session, s.now()) != nil,
	}
	if status.BackupCodes > 0 {
		status.BackupCodesACR = codesLevel(u.BackupACR)
	}
	return status, nil
}

// Methods tells of every type of factor whether it is on offer and whether
// the caller has confirmed one.
func (s *Service) Methods(ctx context.Context, caller Caller) ([]Method, error) {
	u, err := s.read(ctx, caller)
	if err != nil {
		return nil, err
	}
	var methods []Method
	for _, t := range []factor.Type{factor.TypeTOTP, factor.TypeMagicLink, factor.TypePasskey} {
		_, available := s.kinds[t]
		methods = append(methods, Method{Type: t, Available: available, Configured: u.configured(t), Enabled: u.has(t)})
	}
	return methods, nil
}

func (s *Service) read(ctx context.Context, caller Caller) (*user, error) {
	u := &user{}
	if err := s.documents.read(ctx, userPrefix+caller.accountKey(), u); err != nil {
		return nil, fmt.Errorf("reading user: %w", err)
	}
	return u, nil
}
