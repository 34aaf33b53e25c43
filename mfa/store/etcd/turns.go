package etcd

import (
	"context"
	"sync"
)

// turns lets the Updates of one process that share a key happen one after
// the other, in the order in which they came.
type turns struct {
	mu   sync.Mutex
	held map[string]*turn
}

// turn is that of one key.
type turn struct {
	one   chan struct{} // has room for the one whose turn it is
	users int           // that hold it or wait
}

// take waits for the turn of all keys, which must be in order and distinct,
// or until ctx ends.
func (t *turns) take(ctx context.Context, keys []string) (release func(), err error) {
	var taken []string
	release = func() {
		for _, key := range taken {
			t.leave(key, true)
		}
	}
	for _, key := range keys {
		select {
		case t.join(key) <- struct{}{}:
			taken = append(taken, key)
		case <-ctx.Done():
			t.leave(key, false)
			release()
			return nil, ctx.Err()
		}
	}
	return release, nil
}

func (t *turns) join(key string) chan<- struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	own := t.held[key]
	if own == nil {
		if t.held == nil {
			t.held = make(map[string]*turn)
		}
		own = &turn{one: make(chan struct{}, 1)}
		t.held[key] = own
	}
	own.users++
	return own.one
}

func (t *turns) leave(key string, taken bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	own := t.held[key]
	if taken {
		<-own.one
	}
	if own.users--; own.users == 0 {
		delete(t.held, key)
	}
}
