package mfa

import (
	"fmt"
	"time"
)

// Defaults and bounds of Lockout.
const (
	DefaultLockoutAttempts = 5
	DefaultLockoutDuration = 15 * time.Minute

	longestLockout = 24 * time.Hour
	// maxInARow is how many wrong codes in a row switch code entry off until
	// an administrator resets it.
	maxInARow = 100
)

// Lockout is how wrong codes are answered.
type Lockout struct {
	// Attempts is how many wrong codes lock code entry; 0 means
	// DefaultLockoutAttempts, 100 is the most.
	Attempts int
	// Duration is how long the first lockout lasts; each further one lasts
	// twice as long, up to 24 hours. 0 means DefaultLockoutDuration, 24
	// hours is the most.
	Duration time.Duration
}

// Check reports what is wrong with c: its bounds are those of its fields.
func (c Lockout) Check() error {
	_, err := c.withDefaults()
	return err
}

func (c Lockout) withDefaults() (Lockout, error) {
	if c.Attempts == 0 {
		c.Attempts = DefaultLockoutAttempts
	}
	if c.Duration == 0 {
		c.Duration = DefaultLockoutDuration
	}
	if c.Attempts < 1 || c.Attempts > maxInARow {
		return c, fmt.Errorf("attempts: a lockout comes after 1 to %d wrong codes, not %d", maxInARow, c.Attempts)
	}
	if c.Duration < time.Second || c.Duration > longestLockout {
		return c, fmt.Errorf("duration: a lockout lasts %v to %v, not %v", time.Second, longestLockout, c.Duration)
	}
	return c, nil
}

// lockout counts a person's wrong codes and backup codes at logins. The
// zero value has none.
type lockout struct {
	// Run counts those since the last lockout, InARow those since the last
	// right code.
	Run    int `json:"run,omitempty"`
	InARow int `json:"inARow,omitempty"`
	// Locks counts the lockouts since the last right code.
	Locks int `json:"locks,omitempty"`
	// Until is when the present lockout ends.
	Until time.Time `json:"until,omitzero"`
}

// check refuses every code while code entry is locked.
func (l lockout) check(now time.Time) error {
	if l.off() {
		return &LockedError{Off: true}
	}
	if now.Before(l.Until) {
		return &LockedError{RetryAfter: l.Until.Sub(now)}
	}
	return nil
}

// worse reports whether l keeps codes off for longer than other.
func (l lockout) worse(other lockout) bool {
	return l.InARow > other.InARow || l.InARow == other.InARow && l.Until.After(other.Until)
}

func (l lockout) off() bool { return l.InARow >= maxInARow }

// fail counts a wrong code and reports whether it locked code entry.
func (l *lockout) fail(now time.Time, config Lockout) bool {
	l.Run++
	l.InARow++
	if l.Run < config.Attempts && !l.off() {
		return false
	}
	duration := config.Duration
	for range l.Locks {
		if duration *= 2; duration >= longestLockout {
			duration = longestLockout
			break
		}
	}
	l.Run = 0
	l.Locks++
	l.Until = now.Add(duration)
	return true
}
