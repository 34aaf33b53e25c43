package caddymodule

import (
	"github.com/caddyserver/caddy/v2"

	"github.com/caddymfa/caddy-mfa/mfa/panics"
)

// shared are values that configurations which follow one another have in
// common. Caddy starts a new configuration before it stops the old one, so a
// value lasts from the first that acquires its key to the last that releases
// it.
type shared struct{ pool *caddy.UsagePool }

func newShared() shared { return shared{caddy.NewUsagePool()} }

// sharedValue is an entry of a pool.
type sharedValue struct {
	value any
	end   func() // nil for nothing to do
}

// Destruct ends the value when its last user is gone.
func (v sharedValue) Destruct() error {
	if v.end == nil {
		return nil
	}
	return panics.Try(panics.Stop, func() error { v.end(); return nil })
}

// acquire returns the value under key, made where there is none, and whether
// it was there before. The key must tell everything that the value depends on.
// The caller must call release once, when it is done.
func acquire[T any](s shared, key string, construct func() (value T, end func(), err error)) (value T, known bool, release func(), err error) {
	entry, known, err := s.pool.LoadOrNew(key, func() (caddy.Destructor, error) {
		var made sharedValue
		// A panic here would leave the entry of the pool locked for ever.
		err := panics.Try(panics.Start, func() error {
			value, end, err := construct()
			made = sharedValue{value, end}
			return err
		})
		if err != nil {
			return nil, err
		}
		return made, nil
	})
	if err != nil {
		return value, false, nil, err
	}
	return entry.(sharedValue).value.(T), known, func() { _, _ = s.pool.Delete(key) }, nil
}
