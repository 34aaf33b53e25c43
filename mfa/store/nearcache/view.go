package nearcache

import "context"

// View reads documents of one kind through a Cache. It is safe for
// concurrent use.
type View[T any] struct {
	cache  *Cache
	decode decode
}

// NewView makes a View of documents that decode reads. It is given no
// document, nil, where there is none, and says about how much memory what it
// returns takes, in bytes. What it returns is shared and must not be changed.
// A key must be read through one View only.
func NewView[T any](c *Cache, decode func(key string, document []byte) (T, int, error)) View[T] {
	return View[T]{cache: c, decode: func(key string, document []byte) (any, int, error) {
		return decode(key, document)
	}}
}

// Read returns the document under key as it stood no longer than
// Config.Bound ago. Writes of this process that have returned are always
// seen.
func (v View[T]) Read(ctx context.Context, key string) (T, error) {
	return v.typed(v.cache.read(ctx, key, v.decode, false))
}

// ReadStale is Read, except that while the store is plainly away it returns
// what was true no longer than Config.Stale ago.
func (v View[T]) ReadStale(ctx context.Context, key string) (T, error) {
	return v.typed(v.cache.read(ctx, key, v.decode, true))
}

// Renew is Read, except that it asks the store also where a copy would do.
// The copy stays when the store does not answer.
func (v View[T]) Renew(ctx context.Context, key string) (T, error) {
	return v.typed(v.cache.fetch(ctx, key, v.decode, v.cache.copies.get(key)))
}

// Held returns a copy of the document under key that was true no longer than
// Config.Bound ago, or, with stale, Config.Stale ago. It asks nobody; ok is
// false where there is no such copy.
func (v View[T]) Held(key string, stale bool) (value T, ok bool) {
	held := v.cache.copies.get(key)
	if held == nil || !v.cache.current(held) && !(stale && v.cache.within(held, v.cache.stale)) {
		return value, false
	}
	held.use()
	return held.value.(T), true
}

func (v View[T]) typed(value any, err error) (T, error) {
	if err != nil {
		var none T
		return none, err
	}
	return value.(T), nil
}
