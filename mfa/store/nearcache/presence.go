package nearcache

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// presence is what is known of whether the store is there.
type presence struct {
	answers atomic.Uint64 // so far
	last    atomic.Int64  // when the newest question was asked that was answered, as Unix time in nanoseconds
	gone    atomic.Bool
}

// away reports whether the store is plainly away.
func (p *presence) away() bool { return p.gone.Load() }

// question is one that the store is being asked.
type question struct {
	presence *presence
	answers  uint64 // that there were when it was asked
	at       int64
}

// ask begins a question. Its end must be told.
func (c *Cache) ask() question {
	return question{&c.presence, c.presence.answers.Load(), c.now().UnixNano()}
}

// ends tells how the question ended. An error that is not
// store.ErrUnavailable is no answer either, but of whoever asked: it gave up,
// say.
func (q question) ends(err error) {
	p := q.presence
	switch {
	case err == nil, errors.Is(err, store.ErrNotFound):
		p.answers.Add(1)
		p.gone.Store(false)
		for last := p.last.Load(); last < q.at && !p.last.CompareAndSwap(last, q.at); last = p.last.Load() {
		}
	case errors.Is(err, store.ErrOther):
		p.gone.Store(false) // somebody answers, who is not to be believed
	case errors.Is(err, store.ErrUnavailable):
		if p.answers.Load() == q.answers {
			p.gone.Store(true)
		}
	}
}

// Away reports whether the store is plainly away, so that View.ReadStale tells
// what was true within Config.Stale.
func (c *Cache) Away() bool { return c.presence.away() }

// Age is how long ago, by this process's clock, the newest question was asked
// that the store has answered. Of a store that nobody else writes it says
// nothing and is 0.
func (c *Cache) Age() time.Duration {
	if c.shared == nil {
		return 0
	}
	return max(0, c.now().Sub(time.Unix(0, c.presence.last.Load())))
}
