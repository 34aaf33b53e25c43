// Package tokencache remembers what verified tokens said, so that a token
// is verified once and not with every request. It is bounded in memory, and
// never returns what has run out.
package tokencache

import (
	"strings"
	"sync"
	"time"
	"unsafe"
)

// shardCount spreads tokens, by their last bytes, over that many locks.
const shardCount = 16

// typical is what an entry takes with its token and all that its value points
// to, in bytes: it decides for how many entries there is place.
const typical = 1 << 10

// mapSlot is an entry's share of the map, in bytes, at most: its slots of 25
// bytes are partly empty, or still to be cleared, while entries come and go.
const mapSlot = 64

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
	mu   sync.Mutex
	size int64 // in bytes, of tokens and of what values point to
	room int64 // what is free of size

	// The entries lie side by side, in blocks that are made as they are needed,
	// each as large as all before it. They are used again and never given
	// back, so that one more token is next to nothing more for the garbage
	// collector to find, to mark and to free.
	entries map[string]*entry[V]
	unmade  int        // how many entries may still be made
	unused  []entry[V] // those of the last block that never were in use
	free    *entry[V]  // the first of those that were, linked by after
	ring    entry[V]   // after it comes the most recently used, before it the least
}

type entry[V any] struct {
	token string
	value V
	size  int64

	after, before *entry[V]

	// The time in which the entry counts, by the wall clock: the monotonic
	// one stands still while the machine sleeps.
	from, until time.Time
}

// firstBlock is how many entries a shard begins with.
const firstBlock = 4

// New makes a Cache that takes about maxBytes of memory at most, and next to
// none before there is something to keep. What would take more than a
// sixteenth of maxBytes alone is not kept.
func New[V any](maxBytes int64, now func() time.Time) *Cache[V] {
	c := &Cache[V]{now: func() time.Time { return now().Round(0) }}
	size := maxBytes / shardCount
	places := max(size/typical, 1)
	size -= places * int64(unsafe.Sizeof(entry[V]{})+mapSlot)
	for i := range c.shards {
		s := &c.shards[i]
		s.size, s.room = size, size
		s.entries = make(map[string]*entry[V])
		s.unmade = int(places)
		s.ring.after, s.ring.before = &s.ring, &s.ring
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
	e, ok := s.entries[token]
	if !ok {
		return value, false
	}
	// Read under the lock, the clock is not behind that of a Put which has
	// just ended, nor has it moved on while the lock was waited for.
	now := c.now()
	if !now.Before(e.until) {
		s.remove(e)
		return value, false
	}
	if now.Before(e.from) {
		return value, false
	}
	if s.ring.after != e {
		e.unlink()
		s.link(e)
	}
	return e.value, true
}

// Put keeps value for token until it expires, in place of what was kept for
// token before. Size is about how much memory value points to, in bytes. What
// was used least recently makes way.
func (c *Cache[V]) Put(token string, value V, size int, expires time.Time) {
	token = strings.Clone(token)
	from, until := c.now(), expires.Round(0)
	needed := int64(size + len(token) + len(token)/8) // which the allocator rounds up
	s := c.shard(token)
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.entries[token]; ok {
		s.remove(old)
	}
	if needed > s.size {
		return
	}
	for needed > s.room {
		s.remove(s.ring.before)
	}
	e := s.place()
	e.token, e.value, e.size, e.from, e.until = token, value, needed, from, until
	s.room -= needed
	s.entries[token] = e
	s.link(e)
}

// place returns an entry that is not in use.
func (s *shard[V]) place() *entry[V] {
	if s.free == nil && len(s.unused) == 0 {
		if s.unmade == 0 {
			s.remove(s.ring.before)
		} else {
			// Every entry that was made is in use.
			block := min(max(len(s.entries), firstBlock), s.unmade)
			s.unused = make([]entry[V], block)
			s.unmade -= block
		}
	}
	if e := s.free; e != nil {
		s.free = e.after
		return e
	}
	last := len(s.unused) - 1
	e := &s.unused[last]
	s.unused = s.unused[:last]
	return e
}

func (s *shard[V]) remove(e *entry[V]) {
	e.unlink()
	delete(s.entries, e.token)
	s.room += e.size
	*e = entry[V]{after: s.free}
	s.free = e
}

// link has e be the one that was used most recently.
func (s *shard[V]) link(e *entry[V]) {
	e.before, e.after = &s.ring, s.ring.after
	e.before.after, e.after.before = e, e
}

func (e *entry[V]) unlink() {
	e.before.after, e.after.before = e.after, e.before
}
