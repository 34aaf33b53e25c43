package nearcache

import (
	"sync"
	"sync/atomic"
)

// held is a copy of a document.
type held struct {
	key     string
	value   any
	size    int
	version int64
	epoch   uint64 // of the key, before the document was read
	// confirmed is the last moment at which the copy is known to have been
	// true, by two clocks; see Cache.age.
	confirmed, confirmedMonotonic atomic.Int64
	// gone says that the document has changed since.
	gone atomic.Bool
	// idle is how many times in a row nobody had read the copy when the store
	// was asked about it.
	idle atomic.Int32
}

// use notes that the copy was read.
func (h *held) use() {
	if h.idle.Load() != 0 {
		h.idle.Store(0)
	}
}

// overhead is about how much memory a copy takes beside its value and key,
// in bytes.
const overhead = 256

// copies are kept in two generations: a copy that is read moves to the young
// one, and when that is full, the old one is dropped and it becomes the old
// one. What is read often stays, at no cost for each reading.
type copies struct {
	half int // the size of a generation, in bytes

	mu         sync.RWMutex
	young, old map[string]*held
	size       int // of young
}

// get returns the copy under key, nil for none.
func (c *copies) get(key string) *held {
	c.mu.RLock()
	h, ok := c.young[key]
	if !ok {
		h = c.old[key]
	}
	c.mu.RUnlock()
	if !ok && h != nil {
		c.move(h)
	}
	return h
}

// move takes h, which was found in the old generation, into the young one,
// unless it has been replaced.
func (c *copies) move(h *held) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.old[h.key] == h {
		delete(c.old, h.key)
		c.add(h)
	}
}

// put keeps h in place of what was kept under its key.
func (c *copies) put(h *held) {
	if h.cost() > c.half {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// An answer that took long is no newer than one that was asked for later.
	for _, generation := range []map[string]*held{c.young, c.old} {
		if before := generation[h.key]; before != nil && !before.gone.Load() && before.epoch == h.epoch &&
			before.confirmed.Load() > h.confirmed.Load() {
			return
		}
	}
	delete(c.old, h.key)
	c.add(h)
}

func (c *copies) add(h *held) {
	if before, ok := c.young[h.key]; ok {
		c.size -= before.cost()
		delete(c.young, h.key)
	}
	if c.young == nil || c.size+h.cost() > c.half {
		c.old, c.young, c.size = c.young, make(map[string]*held), 0
	}
	c.young[h.key] = h
	c.size += h.cost()
}

func (h *held) cost() int { return overhead + len(h.key) + h.size }

// inUse returns the copies that are worth asking about.
func (c *copies) inUse() []*held {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var all []*held
	for _, generation := range []map[string]*held{c.young, c.old} {
		for _, h := range generation {
			if !h.gone.Load() && h.idle.Load() < idleRounds {
				h.idle.Add(1)
				all = append(all, h)
			}
		}
	}
	return all
}
