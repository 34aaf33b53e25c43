// Package storeclock tells the time by the clock of the store, which is one
// for all nodes over it. What a node writes down for others is dated by it: the
// clocks of two nodes are never compared.
//
// A node asks the store for its time now and again. In between it counts on
// from there: by the monotonic clock, so that a node whose own clock is set
// does not notice. Each answer bounds how far the two clocks are apart, by how
// long it took and how roughly the store tells the time. The bounds of several
// answers are intersected.
package storeclock

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

const (
	// MaxSkew is how far a node's own clock may be from that of the store. One
	// that is further off must serve nobody: access tokens and the codes of
	// authenticator apps are held against its own clock.
	MaxSkew = time.Minute

	// NoticeSkew is from where on somebody should be told.
	NoticeSkew = 5 * time.Second

	// driftParts bounds how much two clocks come apart by themselves: one part
	// in so many.
	driftParts = 5000
)

// ErrApart is returned when a node's own clock is further than MaxSkew from
// that of the store.
var ErrApart = errors.New("the clock of this node and that of the store are apart")

// Clock is the clock of a store, as one node knows it. It is safe for
// concurrent use. A nil Clock is never apart.
type Clock struct {
	timed store.Timed // nil where the store has no clock
	own   func() time.Time

	measuring sync.Mutex
	known     atomic.Pointer[estimate] // nil before the first answer
}

// estimate is what is known of the store's clock: when the own one showed at,
// it was ahead of it by least to most.
type estimate struct {
	at          time.Time
	least, most time.Duration
}

// ahead is the best guess.
func (e *estimate) ahead() time.Duration { return e.least + (e.most-e.least)/2 }

// New makes the Clock of st, which shows what own shows until it is measured,
// and always where st is no store.Timed. Own nil means time.Now.
func New(st store.Store, own func() time.Time) *Clock {
	if own == nil {
		own = time.Now
	}
	timed, _ := st.(store.Timed)
	return &Clock{timed: timed, own: own}
}

// Timed reports whether the store has a clock.
func (c *Clock) Timed() bool { return c != nil && c.timed != nil }

// Now is what the store's clock shows.
func (c *Clock) Now() time.Time {
	now, e := c.own(), c.known.Load()
	if e == nil {
		return now
	}
	return e.at.Round(0).Add(now.Sub(e.at) + e.ahead())
}

// Measure asks the store for its time. After an error the Clock goes on by
// what it knew; see store.Timed for the errors. It does nothing where the store
// has no clock.
func (c *Clock) Measure(ctx context.Context) error {
	if !c.Timed() {
		return nil
	}
	c.measuring.Lock()
	defer c.measuring.Unlock()
	begun := c.own()
	at, within, err := c.timed.Time(ctx)
	if err != nil {
		return fmt.Errorf("asking the store for its time: %w", err)
	}
	ended := c.own()
	took := max(0, ended.Sub(begun))
	least := at.Add(-within).Sub(ended.Round(0))
	next := &estimate{at: ended, least: least, most: least + 2*within + took}
	if before := c.known.Load(); before != nil {
		next.narrow(before)
	}
	c.known.Store(next)
	return nil
}

// narrow takes what was known before into account, unless one of the clocks
// was set since.
func (e *estimate) narrow(before *estimate) {
	since := e.at.Sub(before.at)
	if since < 0 {
		return
	}
	// Own clocks that were set have gone another way than the monotonic one.
	set := since - e.at.Round(0).Sub(before.at.Round(0))
	drift := since / driftParts
	least := max(e.least, before.least+set-drift)
	most := min(e.most, before.most+set+drift)
	if least <= most {
		e.least, e.most = least, most
	}
}

// Skew is how far the own clock is ahead of the store's; known is false while
// nothing is known.
func (c *Clock) Skew() (skew time.Duration, known bool) {
	e := c.known.Load()
	if e == nil {
		return 0, false
	}
	return -e.ahead(), true
}

// Err returns ErrApart when it is certain that the clocks were further apart
// than MaxSkew at the last measurement.
func (c *Clock) Err() error {
	if c == nil {
		return nil
	}
	e := c.known.Load()
	if e == nil || e.least <= MaxSkew && e.most >= -MaxSkew {
		return nil
	}
	skew, direction := e.ahead(), "behind"
	if skew < 0 {
		skew, direction = -skew, "ahead of"
	}
	return fmt.Errorf("%w: this node is %s %s the store, at most %s is allowed: have both set their clocks by NTP",
		ErrApart, skew.Round(time.Second), direction, MaxSkew)
}
