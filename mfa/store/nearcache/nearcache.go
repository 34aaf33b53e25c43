// Package nearcache keeps copies of documents near those who read them with
// every request: decoded, and within a bound of memory. What it tells was
// true no longer than a stated time ago, and it says nothing when it cannot
// know that.
//
// How it knows depends on the engine. Of a store.Exclusive a copy is exact:
// it counts until its document is written. Of a store.Shared, which others
// write too, the copies in use are compared with the engine, all in one
// question, twice in that time; see Cache.Run. Of any other store nothing is
// kept.
package nearcache

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// DefaultBound is how old what a Cache tells may be.
const DefaultBound = time.Second

// Config is what a Cache is made of.
type Config struct {
	// Store has the documents. Required.
	Store store.Store
	// Bound is how old what View.Read tells may be; 0 means DefaultBound. Of a
	// store.Exclusive it is exact, and the bound is how long a damaged file
	// may go unnoticed.
	Bound time.Duration
	// Stale is how old what View.ReadStale tells may be while the store is
	// unavailable. Less than Bound means Bound.
	Stale time.Duration
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
	copies    copies
	// down says that the store could not be asked the last time.
	down atomic.Bool
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
	}
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
	if held != nil {
		if c.within(held, c.bound) {
			held.use()
			return held.value, nil
		}
		if stale && c.down.Load() && c.within(held, c.stale) {
			held.use()
			return held.value, nil
		}
	}
	if !stale || held == nil || !c.within(held, c.stale) {
		return c.fetch(ctx, key, decode, held)
	}
	// There is something to fall back on: it is not waited for long.
	within, cancel := context.WithTimeout(ctx, c.bound)
	defer cancel()
	value, err := c.fetch(within, key, decode, held)
	if ctx.Err() == nil && (errors.Is(err, store.ErrUnavailable) || within.Err() != nil) && c.within(held, c.stale) {
		c.down.Store(true)
		held.use()
		return held.value, nil
	}
	return value, err
}

// within reports whether held is known to have been true at a moment no
// longer than age ago. A clock that was set back tells nothing.
func (c *Cache) within(held *held, age time.Duration) bool {
	if held.gone.Load() || held.epoch != c.epoch(held.key) {
		return false
	}
	ago := c.now().UnixNano() - held.confirmed.Load()
	return 0 <= ago && ago < int64(age)
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
	document, version, err := c.get(ctx, key)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		if errors.Is(err, store.ErrUnavailable) {
			c.down.Store(true)
		}
		return nil, err
	}
	c.down.Store(false)
	if old != nil && old.epoch == epoch && old.version == version && !old.gone.Load() {
		old.confirm(asked)
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
	fresh.confirm(asked)
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
