// Package nearcache keeps copies of documents near those who read them with
// every request: decoded, and within a bound of memory. What it tells was
// true no longer than a stated time ago, and it says nothing when it cannot
// know that.
//
// How it knows depends on the engine. Of a store.Exclusive a copy is exact:
// it counts until its document is written. Of a store.Shared, which others
// write too, the copies in use are compared with the engine, all in one
// question, every half second; see Cache.Run. Of any other store nothing is
// kept.
//
// The age of a copy is the time since a question was asked whose answer bears
// the copy out, by the clock of this process. So a store that answers slowly
// costs age, and no more: it is asked, and waited for. Only a store that is
// plainly away is gone without, for Config.Stale: one that has failed a question
// with store.ErrUnavailable, while nothing else that it was asked was answered
// from before that question until now.
package nearcache

import (
	"context"
	"errors"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// DefaultBound is how old what a Cache tells may be.
const DefaultBound = 10 * time.Second

const (
	// every is how often copies are compared with a shared store.
	every = 500 * time.Millisecond
	// unattended is how old a copy may be that Run does not look after: of an
	// exclusive store, where it is how long a damaged file may go unnoticed,
	// and where nobody has read it for long.
	unattended = time.Second
)

// Config is what a Cache is made of.
type Config struct {
	// Store has the documents. Required.
	Store store.Store
	// Bound is how old what View.Read tells may be; 0 means DefaultBound. Of a
	// store.Exclusive it is exact.
	Bound time.Duration
	// Stale is how old what View.ReadStale tells may be while the store is
	// plainly away. Less than Bound means Bound.
	Stale time.Duration
	// Refused is told of each reading that the store did not answer, and no
	// copy could. Nil means nobody is. It must not block.
	Refused func(err error)
	// MaxBytes bounds the memory of the copies, roughly.
	MaxBytes int
	// Now is the clock. Required.
	Now func() time.Time
}

// decode makes of a document what is kept of it; see NewView.
type decode func(key string, document []byte) (decoded any, size int, err error)

// Cache keeps the copies; a View reads through it. It is safe for concurrent
// use.
type Cache struct {
	store     store.Store
	exclusive store.Exclusive // nil unless the store is one
	shared    store.Shared    // nil unless the store is one
	epochs    store.Epochs    // of a shared store, as written by this process
	bound     time.Duration
	stale     time.Duration
	now       func() time.Time
	made      time.Time
	copies    copies
	presence  presence
	refused   func(error)
}

// New makes a Cache. It holds nothing that would have to be closed.
func New(config Config) *Cache {
	if config.Bound <= 0 {
		config.Bound = DefaultBound
	}
	c := &Cache{
		store: config.Store,
		bound: config.Bound,
		stale: max(config.Stale, config.Bound),
		now:   config.Now,

		refused: config.Refused,
	}
	c.made = c.now()
	c.presence.last.Store(c.made.UnixNano())
	c.copies.half = config.MaxBytes / 2
	if exclusive, ok := config.Store.(store.Exclusive); ok {
		c.exclusive = exclusive
	} else if shared, ok := config.Store.(store.Shared); ok {
		c.shared = shared
	}
	return c
}

func (c *Cache) read(ctx context.Context, key string, decode decode, stale bool) (any, error) {
	held := c.copies.get(key)
	if held != nil && (c.current(held) || stale && c.presence.away() && c.within(held, c.stale)) {
		held.use()
		return held.value, nil
	}
	value, err := c.fetch(ctx, key, decode, held)
	if err == nil {
		return value, nil
	}
	if stale && held != nil && errors.Is(err, store.ErrUnavailable) && c.presence.away() && c.within(held, c.stale) {
		held.use()
		return held.value, nil
	}
	if c.refused != nil && errors.Is(err, store.ErrUnavailable) {
		c.refused(err)
	}
	return nil, err
}

// current reports whether held may be told without asking.
func (c *Cache) current(held *held) bool {
	age := c.bound
	if c.exclusive != nil || held.idle.Load() >= idleRounds {
		age = min(age, unattended)
	}
	return c.within(held, age)
}

// within reports whether held is known to have been true at a moment no
// longer than age ago. A clock that was set back tells nothing.
func (c *Cache) within(held *held, age time.Duration) bool {
	if held.gone.Load() || held.epoch != c.epoch(held.key) {
		return false
	}
	ago := c.age(held)
	return 0 <= ago && ago < age
}

// age is how long ago held is known to have been true: by the clock on the
// wall, which may be set back, or by the one that only runs on, which stands
// still while a machine is suspended; whichever says more.
func (c *Cache) age(held *held) time.Duration {
	now := c.now()
	return max(time.Duration(now.UnixNano()-held.confirmed.Load()), now.Sub(c.made)-time.Duration(held.confirmedMonotonic.Load()))
}

// confirm notes that held was true at a moment.
func (c *Cache) confirm(held *held, at time.Time) {
	held.confirmed.Store(at.UnixNano())
	held.confirmedMonotonic.Store(int64(at.Sub(c.made)))
}

func (c *Cache) epoch(key string) uint64 {
	if c.exclusive != nil {
		return c.exclusive.Epoch(key)
	}
	return c.epochs.Of(key)
}

// fetch asks the store.
func (c *Cache) fetch(ctx context.Context, key string, decode decode, old *held) (any, error) {
	// Before the reading: what is written while it goes on makes a copy of
	// it no good.
	epoch, asked := c.epoch(key), c.now()
	question := c.ask()
	document, version, err := c.get(ctx, key)
	if question.ends(err); err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	if old != nil && old.epoch == epoch && old.version == version && !old.gone.Load() {
		c.confirm(old, asked)
		old.use()
		return old.value, nil
	}
	value, size, err := decode(key, document)
	if err != nil {
		return nil, err
	}
	if c.exclusive == nil && c.shared == nil {
		return value, nil
	}
	fresh := &held{key: key, value: value, size: size, version: version, epoch: epoch}
	c.confirm(fresh, asked)
	c.copies.put(fresh)
	return value, nil
}

// get returns the document and its version, 0 for one that has none: of an
// exclusive store the epoch tells all.
func (c *Cache) get(ctx context.Context, key string) ([]byte, int64, error) {
	if c.shared != nil {
		return c.shared.GetVersion(ctx, key)
	}
	document, err := c.store.Get(ctx, key)
	return document, 0, err
}
