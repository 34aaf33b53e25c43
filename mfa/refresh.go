package mfa

import (
	"context"
	"fmt"
)

// Refresh spends a refresh token for a new pair around the access token of
// this request, without asking the person again: the time and the manner of
// their authentication stay. A token that was spent within the last ten seconds
// gets a pair of its own. A session ends when a token comes later than that, or
// when two of the tokens that one gave out are used, because two parties hold
// them.
//
// ErrSessionExpired is returned when token is not one of a session that
// goes on, store.ErrUnavailable while this node cannot tell.
func (s *Service) Refresh(ctx context.Context, caller Caller, token string) (*Grant, error) {
	if err := s.documents.ready(); err != nil {
		// The token may have been made with the key that this node lacks.
		return nil, fmt.Errorf("refreshing session: %w", err)
	}
	account := caller.accountKey()
	presented, ok := s.documents.parseRefreshToken(account, token)
	if !ok {
		return nil, ErrSessionExpired
	}
	now := s.now().UTC()
	var (
		shown   session
		refusal error
		reused  bool
	)
	key := userPrefix + account
	err := s.documents.update(ctx, func(t transaction) error {
		refusal, reused = nil, false
		u := &user{}
		if _, err := t.get(key, u); err != nil {
			return err
		}
		current := u.session(presented.session, now)
		if current == nil {
			return ErrSessionExpired
		}
		switch current.spend(presented, s.documents.keys, now) {
		case tokenRefused:
			return ErrSessionExpired
		case tokenReused:
			u.endSession(presented.session)
			u.endBegun()
			refusal, reused = ErrSessionExpired, true
			return t.put(key, u)
		}
		if err := s.adopt(u, caller); err != nil {
			return err
		}
		shown = *current
		return t.put(key, u)
	}, key)
	if reused && err == nil {
		s.record(caller, EventRefreshReused, "")
	}
	if err == nil {
		err = refusal
	}
	if err != nil {
		return nil, fmt.Errorf("refreshing session: %w", err)
	}
	s.record(caller, EventRefreshed, shown.Method)
	return s.grant(ctx, caller, shown)
}
