package mfa

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

// user is the record of one person.
type user struct {
	Issuer  string `json:"issuer"`
	Subject string `json:"subject"`
	// Handle is the WebAuthn user handle, the same for all the person's
	// passkeys.
	Handle []byte `json:"handle"`
	// Factors are the confirmed ones, in the order of their confirmation.
	Factors []userFactor `json:"factors,omitempty"`
	// Pending are the setups that wait for confirmation, at most one of
	// each type.
	Pending []pendingSetup `json:"pending,omitempty"`
	// BackupCodes are keyed hashes of the codes not yet used.
	BackupCodes [][]byte `json:"backupCodes,omitempty"`
	// Mails are the times at which mail was sent for this person.
	Mails []time.Time `json:"mails,omitempty"`
}

// userFactor is a factor that was confirmed.
type userFactor struct {
	ID        string          `json:"id"`
	Type      factor.Type     `json:"type"`
	Name      string          `json:"name"`
	CreatedAt time.Time       `json:"createdAt"`
	State     json.RawMessage `json:"state"`
}

// pendingSetup is a setup that waits for its confirmation. It counts for
// nothing until then.
type pendingSetup struct {
	Type      factor.Type     `json:"type"`
	ExpiresAt time.Time       `json:"expiresAt"`
	Failures  int             `json:"failures,omitempty"`
	State     json.RawMessage `json:"state"`
	// BackupCodes become the person's at confirmation, when there are any.
	BackupCodes [][]byte `json:"backupCodes,omitempty"`
}

// maxFailures is how many wrong proofs void a pending setup.
const maxFailures = 5

// maxPasskeys is how many passkeys one person may hold. It keeps a record
// well inside the smallest engine's limit.
const maxPasskeys = 20

// states returns the states of the confirmed factors of one type.
func (u *user) states(t factor.Type) []json.RawMessage {
	var states []json.RawMessage
	for _, f := range u.Factors {
		if f.Type == t {
			states = append(states, f.State)
		}
	}
	return states
}

// has reports whether a factor of type t is confirmed.
func (u *user) has(t factor.Type) bool {
	return slices.ContainsFunc(u.Factors, func(f userFactor) bool { return f.Type == t })
}

// addFactor puts f among the confirmed factors. A person may hold several
// passkeys, and one of every other type: a new one takes its place.
func (u *user) addFactor(f userFactor) error {
	if f.Type == factor.TypePasskey {
		if len(u.states(f.Type)) >= maxPasskeys {
			return ErrTooManyCredentials
		}
	} else {
		u.Factors = slices.DeleteFunc(u.Factors, func(old userFactor) bool { return old.Type == f.Type })
	}
	u.Factors = append(u.Factors, f)
	return nil
}

// pending returns the setup of type t that waits for confirmation at now,
// or nil.
func (u *user) pending(t factor.Type, now time.Time) *pendingSetup {
	for i := range u.Pending {
		if p := &u.Pending[i]; p.Type == t && now.Before(p.ExpiresAt) {
			return p
		}
	}
	return nil
}

// setPending makes p the pending setup of its type and drops those that
// have expired.
func (u *user) setPending(p pendingSetup, now time.Time) {
	u.Pending = slices.DeleteFunc(u.Pending, func(old pendingSetup) bool {
		return old.Type == p.Type || !now.Before(old.ExpiresAt)
	})
	u.Pending = append(u.Pending, p)
}

// dropPending voids the pending setup of type t.
func (u *user) dropPending(t factor.Type) {
	u.Pending = slices.DeleteFunc(u.Pending, func(p pendingSetup) bool { return p.Type == t })
}

// account describes u, whose record lies under key, to a kind of factor.
func (u *user) account(key string, t factor.Type) factor.Account {
	return factor.Account{Key: key, Handle: u.Handle, Credentials: u.states(t)}
}
