// Package tokencache remembers what verified tokens said, so that a token
// is verified once and not with every request. It is bounded in memory, and
// never returns what has run out.
package tokencache

import (
	"container/list"
	"crypto/sha256"
	"sync"
	"time"
	"unsafe"
)

// shardCount spreads tokens, by a byte of their hash, over that many locks.
const shardCount = 16

// overhead is what an entry takes beside its value, in bytes: some 150 for
// the rest of the entry and the list's element, and up to 250 for its share
// of the map, whose slots of 41 bytes are largely empty, or still to be
// cleared, while entries come and go. The sum was measured.
const overhead = 416

// Cache maps tokens to what they said. Tokens themselves are not kept, only
// their SHA-256. It is safe for concurrent use.
type Cache[V any] struct {
	now    func() time.Time
	shards [shardCount]shard[V]
}

type shard[V any] struct {
	mu      sync.Mutex
	size    int64 // in bytes, of which room are free
	room    int64
	entries map[[sha256.Size]byte]*list.Element
	recent  list.List // of *entry[V], the most recently used first
}

type entry[V any] struct {
	key   [sha256.Size]byte
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
		c.shards[i].entries = make(map[[sha256.Size]byte]*list.Element)
	}
	return c
}

// hash returns the SHA-256 of token. A conversion would copy the token to
// the heap, for Sum256 is not known to leave its argument as it is; it does.
func hash(token string) [sha256.Size]byte {
	return sha256.Sum256(unsafe.Slice(unsafe.StringData(token), len(token)))
}

// Get returns what was put for token, unless it has expired or had to make
// way. A clock that is set back to before the Put has the entry not count.
func (c *Cache[V]) Get(token string) (value V, ok bool) {
	key := hash(token)
	s := &c.shards[key[0]%shardCount]
	s.mu.Lock()
	defer s.mu.Unlock()
	element, ok := s.entries[key]
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
		key: hash(token), value: value, size: int64(size) + overhead,
		from: c.now(), until: expires.Round(0),
	}
	s := &c.shards[e.key[0]%shardCount]
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.entries[e.key]; ok {
		s.remove(old)
	}
	if e.size > s.size {
		return
	}
	for e.size > s.room {
		s.remove(s.recent.Back())
	}
	s.room -= e.size
	s.entries[e.key] = s.recent.PushFront(e)
}

func (s *shard[V]) remove(element *list.Element) {
	e := s.recent.Remove(element).(*entry[V])
	delete(s.entries, e.key)
	s.room += e.size
}
