package caddymodule

import (
	"sync"

	"github.com/caddymfa/caddy-mfa/mfa/panics"
)

// queue hands out items, one after the other, by a goroutine that lasts as long
// as there are any. It ends with no configuration: what waits at a reload is
// handed out after it.
type queue[T any] struct {
	place panics.Place
	most  int          // how many may wait
	hand  func(item T) // may take its time

	mu      sync.Mutex
	items   []T
	running bool
}

// put adds item; false is returned when too many wait already.
func (q *queue[T]) put(item T) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.items) >= q.most {
		return false
	}
	q.items = append(q.items, item)
	if !q.running {
		q.running = true
		panics.Go(q.place, q.run)
	}
	return true
}

func (q *queue[T]) run() {
	for {
		item, ok := q.next()
		if !ok {
			return
		}
		panics.Do(q.place, func() { q.hand(item) })
	}
}

func (q *queue[T]) next() (item T, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.items) == 0 {
		q.items, q.running = nil, false
		return item, false
	}
	item = q.items[0]
	var none T
	q.items[0] = none
	q.items = q.items[1:]
	return item, true
}
