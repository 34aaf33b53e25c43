package mfa

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/seal"
	"github.com/caddymfa/caddy-mfa/mfa/store"
	"github.com/caddymfa/caddy-mfa/mfa/store/storeclock"
)

// challenge is what a passkey login is begun with. It is not stored: what the
// client is given is the challenge itself, sealed for the account, with the
// 192 random bits that the sealing draws. So asking for one costs no place,
// and nobody's challenge makes way for another's. Only spent ones are kept.
type challenge struct {
	begun
	expiresAt time.Time // whole seconds
	id        string    // of a challenge that was opened
}

// errNoChallenge is returned for an answer to a challenge that is not, or
// no longer, one of the person's.
var errNoChallenge = fmt.Errorf("%w: the challenge is not one that waits for an answer", ErrWrongProof)

// challengeLabel binds a challenge to the account and to the epoch of its
// record: in another epoch it does not open.
func challengeLabel(account, epoch string) string {
	return "caddy-mfa passkey challenge " + account + " " + epoch
}

// sealChallenge returns c as the client gets it: the second in which it ends
// and the session that began it, sealed. store.ErrUnavailable is returned when
// this node lacks the key in use.
func (d documents) sealChallenge(account string, c challenge) ([]byte, error) {
	text := binary.BigEndian.AppendUint64(nil, uint64(c.expiresAt.Unix()))
	sealed, err := d.keys.Seal(challengeLabel(account, c.Epoch), append(text, c.Session...))
	if outOfStep(err) {
		return nil, fmt.Errorf("%w: sealing challenge: %w", store.ErrUnavailable, err)
	}
	return sealed, err
}

// openChallenge opens a challenge in base64url that was made for account in
// epoch, with a lifetime of at most that. errNoChallenge is returned when it
// is none, store.ErrUnavailable while this node must stay out.
func (d documents) openChallenge(account, epoch, presented string, lifetime time.Duration) (challenge, error) {
	if err := d.ready(); err != nil {
		return challenge{}, err
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(presented)
	if err != nil || strings.ContainsAny(presented, "\r\n") { // one spelling only
		return challenge{}, errNoChallenge
	}
	text, err := d.keys.Open(challengeLabel(account, epoch), sealed)
	if errors.Is(err, seal.ErrStopped) {
		return challenge{}, d.ready()
	}
	if err != nil || len(text) < 8 {
		return challenge{}, errNoChallenge
	}
	sum := sha256.Sum256(sealed)
	c := challenge{
		begun:     begun{Session: string(text[8:]), Epoch: epoch},
		expiresAt: time.Unix(int64(binary.BigEndian.Uint64(text)), 0).UTC(),
		id:        base64.RawURLEncoding.EncodeToString(sum[:16]),
	}
	// Who has a key that was replaced makes no challenge that outlives those
	// of before.
	last := d.keys.Since().Add(KeyPoll + storeclock.MaxSkew + lifetime)
	if id, ok := seal.KeyOf(sealed); !ok || d.keys.Replaced(id) && c.expiresAt.After(last) {
		return challenge{}, errNoChallenge
	}
	return c, nil
}

// awaits reports whether c waits for its first answer at now.
func (u *user) awaits(c challenge, now time.Time) bool {
	return now.Before(c.expiresAt) && u.waits(c.begun, now) && !u.SpentChallenges.has(c)
}

// spentChallenges are the challenges of one person that were answered, within
// bounds that depend on the answer.
//
// Only the person's passkeys can make an answer whose signature is right, and
// only such an answer is worth sending again. These are kept for signedMemory,
// so that a clock that is set back brings none back. Where there are more than
// maxSigned, Floor closes what is as old as the oldest of them. Anybody with the
// access token can send wrong answers, which are kept until they expire. Of
// these the last maxWrong are kept, and no more is closed: a thief cannot
// take the owner's challenge away, and a wrong answer that was forgotten
// stays wrong.
type spentChallenges struct {
	Signed []spentChallenge `json:"signed,omitempty"`
	Wrong  []spentChallenge `json:"wrong,omitempty"`
	// Floor is the expiry, as Unix time in seconds, up to which every challenge
	// counts as spent; 0 for none.
	Floor int64 `json:"floor,omitempty"`
}

// spentChallenge is one of them.
type spentChallenge struct {
	ID        string `json:"id"`        // a hash of the challenge
	ExpiresAt int64  `json:"expiresAt"` // Unix time in seconds
}

// Bounds of spentChallenges.
const (
	maxSigned    = 32
	maxWrong     = 16
	signedMemory = 24 * time.Hour // after the challenge has expired
)

// has reports whether c was answered.
func (s *spentChallenges) has(c challenge) bool {
	is := func(spent spentChallenge) bool { return spent.ID == c.id }
	return c.expiresAt.Unix() <= s.Floor || slices.ContainsFunc(s.Signed, is) || slices.ContainsFunc(s.Wrong, is)
}

// add keeps that c was answered; signed says that the signature was right.
func (s *spentChallenges) add(c challenge, signed bool, now time.Time) {
	expiredBy := func(at time.Time) func(spentChallenge) bool {
		return func(spent spentChallenge) bool { return spent.ExpiresAt <= at.Unix() }
	}
	s.Signed = slices.DeleteFunc(s.Signed, expiredBy(now.Add(-signedMemory)))
	s.Wrong = slices.DeleteFunc(s.Wrong, expiredBy(now))
	spent := spentChallenge{ID: c.id, ExpiresAt: c.expiresAt.Unix()}
	if !signed {
		s.Wrong = append(s.Wrong, spent)
		s.Wrong = slices.Delete(s.Wrong, 0, max(0, len(s.Wrong)-maxWrong))
		return
	}
	s.Signed = append(s.Signed, spent)
	slices.SortFunc(s.Signed, func(a, b spentChallenge) int { return int(a.ExpiresAt - b.ExpiresAt) })
	for len(s.Signed) > maxSigned {
		s.Floor = max(s.Floor, s.Signed[0].ExpiresAt)
		s.Signed = slices.Delete(s.Signed, 0, 1)
	}
}
