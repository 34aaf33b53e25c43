package store

import (
	"hash/maphash"
	"sync/atomic"
)

// Exclusive is implemented by engines whose documents nobody but this one
// Store writes, such as an embedded file that it has locked. It lets copies
// of documents be held near and compared with what is stored at next to no
// cost.
type Exclusive interface {
	Store

	// Epoch returns a number that is another one after each write of the
	// document under key: it changes before the Update that wrote returns. It
	// may change without a write. A copy that was read after an Epoch is true
	// for as long as Epoch returns the same.
	Epoch(key string) uint64
}

// epochStripes is how many epochs the keys share.
const epochStripes = 1 << 12

// Epochs counts the writes of documents, many keys to a counter, in a fixed
// amount of memory. Its zero value is ready; it must not be copied. It is
// safe for concurrent use.
type Epochs struct {
	stripes [epochStripes]atomic.Uint64
}

var epochSeed = maphash.MakeSeed()

func (e *Epochs) stripe(key string) *atomic.Uint64 {
	return &e.stripes[maphash.String(epochSeed, key)%epochStripes]
}

// Of returns the epoch of key.
func (e *Epochs) Of(key string) uint64 { return e.stripe(key).Load() }

// Advance begins a new epoch of key.
func (e *Epochs) Advance(key string) { e.stripe(key).Add(1) }

// AdvanceAll begins a new epoch of every key.
func (e *Epochs) AdvanceAll() {
	for i := range e.stripes {
		e.stripes[i].Add(1)
	}
}
