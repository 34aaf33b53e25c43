package mfa

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/assertion"
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

	key string // of the person's record
}

// IsAssertion reports whether token claims to be one of ours, at no cost for
// other tokens.
func IsAssertion(token string) bool { return assertion.IsAssertion(token) }

// OpenAssertion verifies an assertion of ours. ErrInvalidAssertion is returned
// when it is not one, or has run out; ErrUndecidedAssertion, which wraps it, when
// its key may be one that another node has just made. Live tells whether its
// session goes on.
func (s *Service) OpenAssertion(ctx context.Context, token string) (*Shown, error) {
	if err := s.documents.ready(); err != nil {
		return nil, err
	}
	claims, err := s.signing.verify(ctx, token)
	if errors.Is(err, errThrottled) {
		return nil, ErrUndecidedAssertion
	}
	if errors.Is(err, assertion.ErrInvalid) {
		return nil, fmt.Errorf("%w: %w", ErrInvalidAssertion, err)
	}
	if err != nil {
		return nil, err
	}
	subject := s.subject(claims.IDP, claims.Subject)
	return &Shown{
		Issuer: claims.IDP, Subject: subject, Session: claims.Session,
		Methods: claims.Methods, AMR: claims.AMR, ACR: claims.ACR, AuthTime: claims.AuthTime,
		ExpiresAt: claims.Expiry, Bearer: claims.Bearer,
		key: userPrefix + accountKey(claims.IDP, subject),
	}, nil
}
