// Package tokencache remembers what verified tokens said, so that a token
// is verified once and not with every request. It is bounded in memory, and
// never returns what has run out.
package tokencache

import (
	"container/list"
	"strings"
	"sync"
	"time"
)

// shardCount spreads tokens, by their last bytes, over that many locks.
const shardCount = 16

// overhead is what an entry takes beside its token and value, in bytes, at
// most: some 130 for the rest of the entry and the list's element, up to 190
// for its share of the map, whose slots of 25 bytes are largely empty, or
// still to be cleared, while entries come and go, and what the allocator
// rounds up.
const overhead = 416

// Cache maps tokens to what they said. It is safe for concurrent use.
//
// Tokens are kept as they are. A hash in their place would have to be one
// that nobody finds collisions of, and costs, with every request, more than
// all else here; and what tokens said is as secret as they are.
type Cache[V any] struct {
	now    func() time.Time
	shards [shardCount]shard[V]
}

type shard[V any] struct {
	mu      sync.Mutex
	size    int64 // in bytes, of which room are free
	room    int64
	entries map[string]*list.Element
	recent  list.List // of *entry[V], the most recently used first
}

type entry[V any] struct {
	token string
	value V
	size  int64

	// The time in which the entry counts, by the wall clock: the monotonic
	// one stands still while the machine sleeps.
	from, until time.Time
}

// New makes a Cache that takes at most about maxBytes of memory. What would
// take more than a sixteenth of that alone is not kept.
func New[V any](maxBytes int64, now func() time.Time) *Cache[V] {
	c := &Cache[V]{now: func() time.Time { return now().Round(0) }}
	for i := range c.shards {
		c.shards[i].size = maxBytes / shardCount
		c.shards[i].room = c.shards[i].size
		c.shards[i].entries = make(map[string]*list.Element)
	}
	return c
}

// shard returns the shard of token. The last bytes of a token are those of its
// signature.
func (c *Cache[V]) shard(token string) *shard[V] {
	n := len(token)
	if n < 2 {
		return &c.shards[0]
	}
	return &c.shards[(token[n-1]^token[n-2]>>1)%shardCount]
}

// Get returns what was put for token, unless it has expired or had to make
// way. A clock that is set back to before the Put has the entry not count.
func (c *Cache[V]) Get(token string) (value V, ok bool) {
	s := c.shard(token)
	s.mu.Lock()
	defer s.mu.Unlock()
	element, ok := s.entries[token]
	if !ok {
		return value, false
	}
	e := element.Value.(*entry[V])
	// Read under the lock, the clock is not behind that of a Put which has
	// just ended, nor has it moved on while the lock was waited for.
	now := c.now()
	if !now.Before(e.until) {
		s.remove(element)
		return value, false
	}
	if now.Before(e.from) {
		return value, false
	}
	s.recent.MoveToFront(element)
	return e.value, true
}

// Put keeps value for token until it expires, in place of what was kept for
// token before. Size is about how much memory value takes together with all
// it points to, in bytes. What was used least recently makes way.
func (c *Cache[V]) Put(token string, value V, size int, expires time.Time) {
	e := &entry[V]{
		token: strings.Clone(token), value: value, size: int64(size) + int64(len(token)) + overhead,
		from: c.now(), until: expires.Round(0),
	}
	s := c.shard(token)
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.entries[e.token]; ok {
		s.remove(old)
	}
	if e.size > s.size {
		return
	}
	for e.size > s.room {
		s.remove(s.recent.Back())
	}
	s.room -= e.size
	s.entries[e.token] = s.recent.PushFront(e)
}

func (s *shard[V]) remove(element *list.Element) {
	e := s.recent.Remove(element).(*entry[V])
	delete(s.entries, e.token)
	s.room += e.size
}
