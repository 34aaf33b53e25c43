package mfa

import "time"

// begun says who began something that waits for a proof: a session, or the
// access token alone. What a session began ends with it, however it ends.
type begun struct {
	// Session is the ID of the session, "" for the access token alone.
	Session string `json:"session,omitempty"`
	// Epoch is what user.Epoch was then.
	Epoch string `json:"epoch,omitempty"`
}

// begunBy returns what caller begins at now is bound to.
func (u *user) begunBy(caller Caller, now time.Time) begun {
	return begun{Session: u.sessionOf(caller, now), Epoch: u.Epoch}
}

// sessionOf returns the ID of the caller's session if it goes on, else "".
func (u *user) sessionOf(caller Caller, now time.Time) string {
	if u.session(caller.Session, now) == nil {
		return ""
	}
	return caller.Session
}

// waits reports whether what b began has not been ended since.
func (u *user) waits(b begun, now time.Time) bool {
	return b.Epoch == u.Epoch && (b.Session == "" || u.session(b.Session, now) != nil)
}

// endBegun ends all that was begun and waits for a proof.
func (u *user) endBegun() {
	u.Epoch = newID()
	u.Pending, u.Links, u.SpentChallenges = nil, nil, spentChallenges{} // no challenge of before opens
}

// endSessions ends all sessions, and all that was begun.
func (u *user) endSessions() {
	u.Sessions = nil
	u.endBegun()
}
