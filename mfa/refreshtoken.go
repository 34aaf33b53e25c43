package mfa

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/seal"
	"github.com/caddymfa/caddy-mfa/mfa/store/storeclock"
)

// refreshGrace is how long a spent refresh token is still honoured: two
// tabs may send the same one, or an answer may have got lost.
const refreshGrace = 10 * time.Second

// maxSiblings bounds the tokens that are given out for one, beside the first.
const maxSiblings = 15

// refreshToken is a refresh token: the session's ID, the generation, which of
// its siblings it is, and a keyed hash of these. So nothing of it is stored,
// and any token that was ever given out can be told from one that was not:
// only the former, coming late, is a sign of theft. The first of a generation
// does not say which it is.
type refreshToken struct {
	session    string
	generation int
	sibling    int
	key        seal.KeyID // that made the hash
}

func (t refreshToken) named() string {
	name := t.session + "." + strconv.Itoa(t.generation)
	if t.sibling > 0 {
		name += "." + strconv.Itoa(t.sibling)
	}
	return name
}

func refreshLabel(account string) string { return "caddy-mfa refresh token " + account }

// refreshToken makes the token of shown that was given out last.
func (d documents) refreshToken(account string, shown session) (string, error) {
	named := refreshToken{session: shown.ID, generation: shown.Generation, sibling: shown.Siblings}.named()
	hash, err := d.hash(refreshLabel(account), []byte(named))
	if err != nil {
		return "", fmt.Errorf("making refresh token: %w", err)
	}
	return named + "." + base64.RawURLEncoding.EncodeToString(hash), nil
}

// parseRefreshToken takes a token apart that was made for account. ok is false
// for one that never was.
func (d documents) parseRefreshToken(account, token string) (t refreshToken, ok bool) {
	const longest = 256
	parts := strings.Split(token, ".")
	if len(token) > longest || len(parts) < 3 || len(parts) > 4 {
		return t, false
	}
	last := len(parts) - 1
	named, mac := strings.Join(parts[:last], "."), parts[last]
	hash, err := base64.RawURLEncoding.Strict().DecodeString(mac)
	if err != nil || strings.ContainsAny(mac, "\r\n") || !d.keys.Matches(refreshLabel(account), []byte(named), hash) {
		return t, false
	}
	t.session = parts[0]
	t.key, _ = seal.KeyOf(hash)
	if t.generation, err = strconv.Atoi(parts[1]); err != nil {
		return t, false
	}
	if len(parts) == 4 {
		t.sibling, err = strconv.Atoi(parts[2])
	}
	return t, err == nil
}

// tokenUse is what becomes of a refresh token that is presented.
type tokenUse int

const (
	tokenSpent   tokenUse = iota // and another is to be given out
	tokenRefused                 // and nothing else happens
	tokenReused                  // two parties hold it, or one of its siblings
)

// spend decides about a token of s that was presented. It is good once. For
// ten seconds more it gets a sibling of its successor: a token of its own for
// each who presents it, so that a lost answer is borne. As soon as one of the
// siblings is spent, the others are spent as well: whoever comes with one is
// another party, and the session ends.
func (s *session) spend(t refreshToken, keys *seal.Keys, now time.Time) tokenUse {
	switch {
	case t.generation > s.Generation, t.generation == s.Generation && t.sibling > s.Siblings:
		return tokenRefused // of a store that was since set back
	case t.generation == s.Generation:
		if s.forged(t, keys) {
			return tokenRefused
		}
		s.Generation, s.Siblings, s.Spent = s.Generation+1, 0, t.sibling
		s.RotatedAt, s.HashedBy = now, keys.InUse().Hashing
		return tokenSpent
	case t.generation == s.Generation-1 && t.sibling == s.Spent && now.Sub(s.RotatedAt).Abs() <= refreshGrace:
		if s.forged(t, keys) || s.Siblings >= maxSiblings {
			return tokenRefused
		}
		s.Siblings++
		return tokenSpent
	}
	// Also where its key was replaced: nobody can tell then whether it was
	// given out or made by who has that key, and to end the session is safe.
	return tokenReused
}

// forged reports whether t may be the work of who has a key that was replaced,
// because the token that s has given out was made with another.
func (s *session) forged(t refreshToken, keys *seal.Keys) bool {
	return keys.Replaced(t.key) && !s.mayNeed(t.key, keys.Since())
}

// mayNeed reports whether the tokens of s that are good may have been made with
// a key that was replaced at since.
func (s *session) mayNeed(key seal.KeyID, since time.Time) bool {
	if s.HashedBy != 0 {
		return s.HashedBy == key
	}
	settled := since.Add(KeyPoll + storeclock.MaxSkew) // an older version dates by its own clock
	return s.AuthTime.Before(settled) && s.RotatedAt.Before(settled)
}
