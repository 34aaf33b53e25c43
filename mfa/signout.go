package mfa

import (
	"context"
	"fmt"
	"time"
)

// SignOut ends the caller's session, or all of theirs, with what they began,
// and returns how many sessions it ended. Without a session and everywhere
// there is nothing to end.
func (s *Service) SignOut(ctx context.Context, caller Caller, everywhere bool) (ended int, err error) {
	if caller.Session == "" && !everywhere {
		return 0, nil
	}
	now := s.now().UTC()
	key := userPrefix + caller.accountKey()
	err = s.documents.update(ctx, func(t transaction) error {
		ended = 0
		u := &user{}
		found, err := t.get(key, u)
		if err != nil || !found {
			return err
		}
		before := u.liveSessions(now)
		if everywhere {
			u.endSessions()
		} else {
			u.endSession(caller.Session)
		}
		ended = before - u.liveSessions(now)
		return t.put(key, u)
	}, key)
	if err != nil {
		return 0, fmt.Errorf("signing out: %w", err)
	}
	s.record(caller, EventSignedOut, "")
	return ended, nil
}

// liveSessions counts the sessions that have not run out at now.
func (u *user) liveSessions(now time.Time) int {
	n := 0
	for _, s := range u.Sessions {
		if now.Before(s.ExpiresAt) {
			n++
		}
	}
	return n
}
