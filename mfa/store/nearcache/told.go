package nearcache

import (
	"context"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// Store returns the store as those should use it who write: the cache hears
// of their writes before they do. What is read through it comes from the
// store itself.
func (c *Cache) Store() store.Store {
	if c.shared == nil {
		return c.store
	}
	return told{Store: c.store, cache: c}
}

// told is a store whose writes a Cache is told of, and whether it answers.
type told struct {
	store.Store
	cache *Cache
}

// Update implements store.Store.
func (t told) Update(ctx context.Context, fn func(tx store.Tx) error, keys ...string) error {
	// Also after an error: what became of the write may not be known.
	defer t.cache.wrote(keys)
	question := t.cache.ask()
	err := t.Store.Update(ctx, fn, keys...)
	question.ends(err)
	return err
}

// Get implements store.Store.
func (t told) Get(ctx context.Context, key string) ([]byte, error) {
	question := t.cache.ask()
	document, err := t.Store.Get(ctx, key)
	question.ends(err)
	return document, err
}

// List implements store.Store.
func (t told) List(ctx context.Context, prefix, after string, limit int) ([]store.Document, error) {
	question := t.cache.ask()
	page, err := t.Store.List(ctx, prefix, after, limit)
	question.ends(err)
	return page, err
}

func (c *Cache) wrote(keys []string) {
	for _, key := range keys {
		c.epochs.Advance(key)
	}
}
