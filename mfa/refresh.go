package mfa

import (
	"context"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/seal"
)

// refreshGrace is how long a spent refresh token is still honoured: two
// tabs may send the same one, or an answer may have got lost.
const refreshGrace = 10 * time.Second

// A refresh token is the session's ID, the generation, and a keyed hash of
// both, so that nothing of it is stored and any token that was ever given
// out can be told from one that was not: only the former, coming late, is
// a sign of theft.

// refreshToken makes the token of the session's present generation.
func (s *Service) refreshToken(account string, shown session) (string, error) {
	hash, err := s.documents.hash(refreshLabel(account), []byte(shown.ID+"."+strconv.Itoa(shown.Generation)))
	if err != nil {
		return "", fmt.Errorf("making refresh token: %w", err)
	}
	return shown.ID + "." + strconv.Itoa(shown.Generation) + "." + base64.RawURLEncoding.EncodeToString(hash), nil
}

func refreshLabel(account string) string { return "caddy-mfa refresh token " + account }

// parseRefreshToken returns the session and the generation of a token that
// was made for account. Outdated says that it was made with a key that is not
// in use any more.
func (s *Service) parseRefreshToken(account, token string) (id string, generation int, outdated, ok bool) {
	const longest = 256
	named, mac, found := cutLast(token, ".")
	if !found || len(token) > longest {
		return "", 0, false, false
	}
	hash, err := base64.RawURLEncoding.Strict().DecodeString(mac)
	if err != nil || strings.ContainsAny(mac, "\r\n") || !s.documents.keys.Matches(refreshLabel(account), []byte(named), hash) {
		return "", 0, false, false
	}
	keyID, _ := seal.KeyOf(hash)
	id, number, _ := cutLast(named, ".")
	generation, err = strconv.Atoi(number)
	return id, generation, keyID != s.documents.keys.InUse().Hashing, err == nil
}

func cutLast(s, separator string) (before, after string, found bool) {
	if i := strings.LastIndex(s, separator); i >= 0 {
		return s[:i], s[i+len(separator):], true
	}
	return s, "", false
}

// Refresh spends a refresh token for a new pair around the access token of
// this request, without asking the person again: the time and the manner of
// their authentication stay. A token that was spent within the last ten
// seconds gets the pair that its successor stands in; one spent before that
// ends its session, because two parties hold it.
//
// ErrSessionExpired is returned when token is not one of a session that
// goes on, store.ErrUnavailable while this node cannot tell.
func (s *Service) Refresh(ctx context.Context, caller Caller, token string) (*Grant, error) {
	if err := s.documents.ready(); err != nil {
		// The token may have been made with the key that this node lacks.
		return nil, fmt.Errorf("refreshing session: %w", err)
	}
	account := caller.accountKey()
	id, generation, outdated, ok := s.parseRefreshToken(account, token)
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
		current := u.session(id, now)
		switch {
		case current == nil:
			return ErrSessionExpired
		case outdated && generation == current.Generation && !current.before(s.documents.keys.Since().Add(KeyPoll)):
			// Its token was made with the key in use: who has the old key has
			// made this one.
			return ErrSessionExpired
		case generation == current.Generation:
			current.Generation++
			current.RotatedAt = now
			if err := s.adopt(u, caller); err != nil {
				return err
			}
		case generation == current.Generation-1 && now.Sub(current.RotatedAt).Abs() <= refreshGrace:
			shown = *current
			return nil
		case generation > current.Generation:
			return ErrSessionExpired // of a store that was since set back
		default:
			u.endSession(id)
			u.endBegun()
			refusal, reused = ErrSessionExpired, true
			return t.put(key, u)
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
