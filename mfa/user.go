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
	// Email is the address that the person's tokens last claimed.
	Email string `json:"email,omitempty"`
	// FormerEmails are those that they claimed a short time ago, oldest first.
	FormerEmails []formerEmail `json:"formerEmails,omitempty"`
	// Organizations are all that the person's tokens have ever claimed.
	Organizations []string `json:"organizations,omitempty"`
	// MoreOrganizations says that there were more than are kept.
	MoreOrganizations bool `json:"moreOrganizations,omitempty"`
	// Handle is the WebAuthn user handle, the same for all the person's
	// passkeys.
	Handle []byte `json:"handle"`
	// Factors are the confirmed ones, in the order of their confirmation.
	Factors []userFactor `json:"factors,omitempty"`
	// Primary is the type that is asked for first, "" for the oldest.
	Primary factor.Type `json:"primary,omitempty"`
	// MustEnroll says that a reset demands a factor at the next gate.
	MustEnroll bool `json:"mustEnroll,omitempty"`
	// Pending are the setups that wait for confirmation, at most one of
	// each type.
	Pending []pendingSetup `json:"pending,omitempty"`
	// BackupCodes are keyed hashes of the codes not yet used, SpentCodes of
	// those of the same set that were.
	BackupCodes [][]byte `json:"backupCodes,omitempty"`
	SpentCodes  [][]byte `json:"spentCodes,omitempty"`
	// CodesOf is the account key that the hashes of the codes name, "" for the
	// record's own; see Service.JoinAddressSubjects.
	CodesOf string `json:"codesOf,omitempty"`
	// BackupACR is the level of the codes; see user.upgrade for "".
	BackupACR string `json:"backupAcr,omitempty"`
	// Lockout counts wrong codes at logins.
	Lockout lockout `json:"lockout"`
	// SpentChallenges are the passkey challenges that were answered.
	SpentChallenges spentChallenges `json:"spentChallenges,omitzero"`
	// Links are the login links that were mailed.
	Links []loginLink `json:"links,omitempty"`
	// Epoch changes whenever all that was begun ends: setups, challenges and
	// login links that wait for a proof.
	Epoch string `json:"epoch,omitempty"`
	// Sessions are the second factors shown and not yet run out.
	Sessions []session `json:"sessions,omitempty"`
	// Mails are the times at which mail was sent for this person, Notices
	// those at which they were told of a change, OtherNotices those of them at
	// which it was none by which a factor came or went.
	Mails        []time.Time `json:"mails,omitempty"`
	Notices      []time.Time `json:"notices,omitempty"`
	OtherNotices []time.Time `json:"otherNotices,omitempty"`
}

// userFactor is a factor that was confirmed.
type userFactor struct {
	ID        string          `json:"id"`
	Type      factor.Type     `json:"type"`
	Name      string          `json:"name"`
	CreatedAt time.Time       `json:"createdAt"`
	UsedAt    time.Time       `json:"usedAt,omitzero"`
	Disabled  bool            `json:"disabled,omitempty"`
	State     json.RawMessage `json:"state"`
	// UniqueKey is the key of the document that keeps the credential's ID
	// unique, "" for kinds that need none.
	UniqueKey string `json:"uniqueKey,omitempty"`
}

// pendingSetup is a setup that waits for its confirmation. It counts for
// nothing until then.
type pendingSetup struct {
	Type      factor.Type     `json:"type"`
	BegunAt   time.Time       `json:"begunAt"`
	ExpiresAt time.Time       `json:"expiresAt"`
	Client    Client          `json:"client"`
	Failures  int             `json:"failures,omitempty"`
	State     json.RawMessage `json:"state"`
	Begun     begun           `json:"begun,omitzero"`
	// BackupCodes become the person's when who was shown them confirms the
	// setup, when there are any.
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

// configured reports whether a factor of type t is confirmed, be it
// disabled.
func (u *user) configured(t factor.Type) bool {
	return slices.ContainsFunc(u.Factors, func(f userFactor) bool { return f.Type == t })
}

// has reports whether a factor of type t is confirmed and in use.
func (u *user) has(t factor.Type) bool {
	return slices.ContainsFunc(u.Factors, func(f userFactor) bool { return f.Type == t && !f.Disabled })
}

// enrolled reports whether any factor is in use.
func (u *user) enrolled() bool {
	return slices.ContainsFunc(u.Factors, func(f userFactor) bool { return !f.Disabled })
}

// inUse returns the factor of type t that is in use, nil when there is
// none. It is for types of which a person holds one.
func (u *user) inUse(t factor.Type) *userFactor {
	for i := range u.Factors {
		if f := &u.Factors[i]; f.Type == t && !f.Disabled {
			return f
		}
	}
	return nil
}

// factor returns the factor called id, or nil.
func (u *user) factor(id string) *userFactor {
	for i := range u.Factors {
		if u.Factors[i].ID == id {
			return &u.Factors[i]
		}
	}
	return nil
}

// addFactor puts f among the confirmed factors. A person may hold several
// passkeys, and one of every other type: a new one takes its place. Every
// setup that waits is void: whoever began it had perhaps no factor to show.
func (u *user) addFactor(f userFactor) error {
	if f.Type == factor.TypePasskey {
		if len(u.states(f.Type)) >= maxPasskeys {
			return ErrTooManyCredentials
		}
	}
	u.Factors = append(u.Factors, f)
	if f.Type != factor.TypePasskey {
		u.dropFactors(func(old userFactor) bool { return old.Type == f.Type && old.ID != f.ID })
	}
	u.MustEnroll = false
	u.Pending = nil
	return nil
}

// dropFactors removes the factors that gone names, with the sessions that
// were made by them and all that was begun, and returns them. The last
// factor takes with it what it was the reason for.
func (u *user) dropFactors(gone func(userFactor) bool) []userFactor {
	var dropped []userFactor
	u.Factors = slices.DeleteFunc(u.Factors, func(f userFactor) bool {
		if !gone(f) {
			return false
		}
		dropped = append(dropped, f)
		return true
	})
	for _, f := range dropped {
		u.Sessions = slices.DeleteFunc(u.Sessions, func(s session) bool { return s.Factor == f.ID })
	}
	if len(dropped) > 0 {
		u.endBegun()
	}
	u.settle()
	return dropped
}

// settle makes the record consistent after a factor went: logins of a
// type that is no longer in use end, and with the last factor the backup
// codes and all sessions.
func (u *user) settle() {
	if !u.has(factor.TypeMagicLink) {
		u.Links = nil
	}
	if !u.has(u.Primary) {
		u.Primary = ""
	}
	if !u.enrolled() {
		u.BackupCodes, u.SpentCodes, u.BackupACR, u.Sessions = nil, nil, "", nil
		u.Lockout = lockout{}
	}
}

// pending returns the setup of type t that waits for confirmation at now,
// or nil.
func (u *user) pending(t factor.Type, now time.Time) *pendingSetup {
	for i := range u.Pending {
		if p := &u.Pending[i]; p.Type == t && now.Before(p.ExpiresAt) && u.waits(p.Begun, now) {
			return p
		}
	}
	return nil
}

// setPending makes p the pending setup of its type and drops those that
// have expired or ended.
func (u *user) setPending(p pendingSetup, now time.Time) {
	u.Pending = slices.DeleteFunc(u.Pending, func(old pendingSetup) bool {
		return old.Type == p.Type || !now.Before(old.ExpiresAt) || !u.waits(old.Begun, now)
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

// methods returns the types of the factors in use, in the order of their
// confirmation.
func (u *user) methods() []factor.Type {
	var types []factor.Type
	for _, f := range u.Factors {
		if !f.Disabled && !slices.Contains(types, f.Type) {
			types = append(types, f.Type)
		}
	}
	return types
}

// primary returns the type that is asked for first, "" when no factor is in
// use.
func (u *user) primary() factor.Type {
	if u.Primary != "" {
		return u.Primary
	}
	if methods := u.methods(); len(methods) > 0 {
		return methods[0]
	}
	return ""
}
