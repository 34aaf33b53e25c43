package nearcache

import (
	"context"
	"time"
)

// Run keeps the copies in use fresh until ctx ends, so that who reads them
// does not wait for the store. It returns at once when there is nothing to
// do: with a store that nobody else writes.
func (c *Cache) Run(ctx context.Context) {
	if c.shared == nil {
		return
	}
	pace := min(c.bound/2, every)
	rounds := time.NewTicker(pace)
	defer rounds.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-rounds.C:
		case <-c.shared.Written():
		}
		// The error is kept in mind, and met again by who reads.
		_ = c.Refresh(ctx)
		// Others may write without a pause.
		select {
		case <-ctx.Done():
			return
		case <-time.After(pace / 10):
		}
	}
}

// idleRounds is after how many questions without a reader a copy is not asked
// about any more.
const idleRounds = 20

// Refresh asks the store, once, which of the copies in use are out of date.
// These are let go of, the others count for another Bound.
func (c *Cache) Refresh(ctx context.Context) error {
	if c.shared == nil {
		return nil
	}
	// No longer than the answer would be worth something.
	ctx, cancel := context.WithTimeout(ctx, c.bound)
	defer cancel()
	asked, question := c.now(), c.ask()
	inUse := c.copies.inUse()
	seen := make(map[string]int64, len(inUse))
	for _, held := range inUse {
		seen[held.key] = held.version
	}
	changed, err := c.shared.Changed(ctx, seen)
	question.ends(err)
	if err != nil {
		return err
	}
	for _, key := range changed {
		delete(seen, key)
	}
	for _, held := range inUse {
		if _, same := seen[held.key]; same {
			c.confirm(held, asked)
		} else {
			held.gone.Store(true)
		}
	}
	return nil
}
