package mfa

import (
	"context"
	"fmt"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/assertion"
)

// Defaults and bounds of Config.TokenLifetime and Config.SessionLifetime.
const (
	DefaultTokenLifetime   = time.Hour
	DefaultSessionLifetime = 12 * time.Hour
	maxSessionLifetime     = 90 * 24 * time.Hour
)

// Lifetimes returns how long an assertion and its session last, with the
// defaults where 0 is given. A session is never the shorter of the two.
func Lifetimes(token, session time.Duration) (time.Duration, time.Duration, error) {
	if token == 0 {
		token = DefaultTokenLifetime
	}
	if session == 0 {
		session = max(DefaultSessionLifetime, token)
	}
	switch {
	case token < time.Second:
		return 0, 0, fmt.Errorf("an assertion lives a second or more, not %v", token)
	case session < token:
		return 0, 0, fmt.Errorf("a session of %v is shorter than the %v of its assertions", session, token)
	case session > maxSessionLifetime:
		return 0, 0, fmt.Errorf("a session lasts %v at most, not %v", maxSessionLifetime, session)
	}
	return token, session, nil
}

// Grant is what a person gets for showing a second factor.
type Grant struct {
	// Assertion proves it, and carries the caller's access token, sealed, so
	// that it can take that token's place.
	Assertion string
	// Cookie is the assertion without the access token, for a cookie.
	Cookie string
	// Refresh is the token that Service.Refresh takes once.
	Refresh string
	// ExpiresAt is when the assertion runs out.
	ExpiresAt time.Time
	// CodesVoid says, after a setup, that the backup codes that came with it
	// do not count: it was confirmed in another session than it was begun in.
	CodesVoid bool
}

// grant signs the assertions of a session that was stored.
func (s *Service) grant(ctx context.Context, caller Caller, shown session) (*Grant, error) {
	codec, err := s.signing.codec(ctx)
	if err != nil {
		return nil, err
	}
	now := s.now().UTC().Truncate(time.Second)
	expiry := now.Add(s.tokenLifetime)
	if expiry.After(shown.ExpiresAt) {
		expiry = shown.ExpiresAt
	}
	claims := assertion.Claims{
		Subject:  caller.claimedSubject(),
		IDP:      caller.Issuer,
		Audience: s.audience,
		AMR:      shown.AMR,
		ACR:      shown.ACR,
		Methods:  []string{shown.Method},
		AuthTime: shown.AuthTime,
		IssuedAt: now,
		Expiry:   expiry,
		Session:  shown.ID,
	}
	g := &Grant{ExpiresAt: expiry}
	if g.Cookie, err = codec.Sign(claims, now); err != nil {
		return nil, fmt.Errorf("signing assertion: %w", err)
	}
	claims.Bearer = caller.Token
	if g.Assertion, err = codec.Sign(claims, now); err != nil {
		return nil, fmt.Errorf("signing assertion: %w", err)
	}
	if g.Refresh, err = s.documents.refreshToken(caller.accountKey(), shown); err != nil {
		return nil, err
	}
	return g, nil
}
