package mfa

import (
	"crypto/rand"
	"encoding/base64"
	"slices"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/passkey"
	"github.com/caddymfa/caddy-mfa/mfa/seal"
)

// MethodBackupCode is how a session names a backup code, beside the types
// of factor.
const MethodBackupCode = "BACKUP_CODE"

// session is a second factor that was shown. It ends when it runs out,
// when the person signs out, and with what proved it.
type session struct {
	ID       string    `json:"id"`
	AuthTime time.Time `json:"authTime"`
	// Method is a type of factor or MethodBackupCode.
	Method string `json:"method"`
	// Factor is the ID of the factor, "" for a backup code.
	Factor    string    `json:"factor,omitempty"`
	AMR       []string  `json:"amr"`
	ACR       string    `json:"acr"`
	ExpiresAt time.Time `json:"expiresAt"`
	// Generation is that of the refresh tokens that are good, RotatedAt when
	// they became so. Siblings is how many were given out beside the first.
	Generation int       `json:"generation"`
	RotatedAt  time.Time `json:"rotatedAt"`
	Siblings   int       `json:"siblings,omitempty"`
	// Spent is which token of the generation before was spent for these.
	Spent int `json:"spent,omitempty"`
	// HashedBy is the key that was in use when the first was made, 0 where an
	// older version has made it.
	HashedBy seal.KeyID `json:"hashedBy,omitzero"`
}

// maxSessions is how many sessions one person may have; the oldest makes
// way.
const maxSessions = 32

// evidence is a proof that was accepted.
type evidence struct {
	method string
	factor string
	amr    []string
	acr    string
}

// evidenceOf is what a factor that is not a passkey proves.
func evidenceOf(f *userFactor) evidence {
	e := evidence{method: string(f.Type), factor: f.ID, amr: []string{"mfa"}, acr: levelOf(f.Type)}
	if f.Type == factor.TypeTOTP {
		e.amr = []string{"otp", "mfa"}
	}
	return e
}

// passkeyEvidence is what a passkey proves: the person's presence ("user",
// RFC 8176, 2), without which no authenticator signs, by a key in hardware or,
// when it is synced, in software.
func passkeyEvidence(f *userFactor, synced bool) evidence {
	key := "hwk"
	if synced {
		key = "swk"
	}
	return evidence{method: string(f.Type), factor: f.ID, amr: []string{key, "user", "mfa"}, acr: levelOf(f.Type)}
}

// enrolmentEvidence is what the confirmation of a new factor proves.
func enrolmentEvidence(f *userFactor) (evidence, error) {
	if f.Type != factor.TypePasskey {
		return evidenceOf(f), nil
	}
	details, err := passkey.Describe(f.State)
	if err != nil {
		return evidence{}, err
	}
	return passkeyEvidence(f, details.Synced), nil
}

// backupEvidence is what a code of u's set proves: what the set was made on
// the strength of.
func (u *user) backupEvidence() evidence {
	return evidence{method: MethodBackupCode, amr: []string{"otp", "mfa"}, acr: codesLevel(u.BackupACR)}
}

// begin starts a session of the person whose record is u.
func (s *Service) begin(u *user, e evidence, now time.Time) session {
	return u.begin(e, now, s.sessionLifetime, s.documents.keys.InUse().Hashing)
}

// begin starts a session that lasts for lifetime, whose refresh token is
// hashed by the key.
func (u *user) begin(e evidence, now time.Time, lifetime time.Duration, hashedBy seal.KeyID) session {
	now = now.Truncate(time.Second)
	s := session{
		ID:         newID(),
		AuthTime:   now,
		Method:     e.method,
		Factor:     e.factor,
		AMR:        e.amr,
		ACR:        e.acr,
		ExpiresAt:  now.Add(lifetime),
		Generation: 1,
		RotatedAt:  now,
		HashedBy:   hashedBy,
	}
	u.Sessions = slices.DeleteFunc(u.Sessions, func(old session) bool { return !now.Before(old.ExpiresAt) })
	if over := len(u.Sessions) + 1 - maxSessions; over > 0 {
		u.Sessions = slices.Delete(u.Sessions, 0, over)
	}
	u.Sessions = append(u.Sessions, s)
	if f := u.factor(e.factor); f != nil {
		f.UsedAt = now
	}
	return s
}

// session returns the session called id that has not run out at now, or
// nil.
func (u *user) session(id string, now time.Time) *session {
	if id == "" {
		return nil
	}
	for i := range u.Sessions {
		if s := &u.Sessions[i]; s.ID == id && now.Before(s.ExpiresAt) {
			return s
		}
	}
	return nil
}

// endSession ends the session called id, with what it began.
func (u *user) endSession(id string) {
	u.Sessions = slices.DeleteFunc(u.Sessions, func(s session) bool { return s.ID == id })
	u.Pending = slices.DeleteFunc(u.Pending, func(p pendingSetup) bool { return p.Begun.Session == id })
	u.Links = slices.DeleteFunc(u.Links, func(l loginLink) bool { return l.Begun.Session == id })
}

// newID draws the public name of a factor, a session or a login link: 128
// random bits.
func newID() string {
	var id [16]byte
	rand.Read(id[:]) // never fails: it ends the program instead
	return base64.RawURLEncoding.EncodeToString(id[:])
}
