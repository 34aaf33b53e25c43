// Package turns lets the Updates of one process that share a key happen one
// after the other, for engines that would otherwise let them meet far away.
package turns

import (
	"context"
	"sync"
)

// Turns are those of all keys. The zero value is ready for use.
type Turns struct {
	mu   sync.Mutex
	keys map[string]*turn
}

// turn is that of one key.
type turn struct {
	taken chan struct{} // full while somebody has it
	users int           // who have it or wait for it
}

// Take waits until nobody else has the turn of any of keys, which are in
// order and distinct, and takes it. The caller calls release, once. The
// error is that of ctx, when it ends first.
func (t *Turns) Take(ctx context.Context, keys []string) (release func(), err error) {
	for i, key := range keys {
		own := t.join(key)
		select {
		case own.taken <- struct{}{}:
			continue
		default:
		}
		select {
		case own.taken <- struct{}{}:
		case <-ctx.Done():
			t.leave(key)
			t.release(keys[:i])
			return nil, ctx.Err()
		}
	}
	return func() { t.release(keys) }, nil
}

func (t *Turns) release(keys []string) {
	for _, key := range keys {
		<-t.leave(key).taken
	}
}

// join returns the turn of key and counts the caller among its users.
func (t *Turns) join(key string) *turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	own := t.keys[key]
	if own == nil {
		if t.keys == nil {
			t.keys = make(map[string]*turn)
		}
		own = &turn{taken: make(chan struct{}, 1)}
		t.keys[key] = own
	}
	own.users++
	return own
}

func (t *Turns) leave(key string) *turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	own := t.keys[key]
	if own.users--; own.users == 0 {
		delete(t.keys, key)
	}
	return own
}
