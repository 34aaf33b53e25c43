package etcd

import (
	"context"
	"sync"
)

// mostFacts bounds the keys that are kept an eye on: those that were asked
// for most recently, and at least half as many.
const mostFacts = 1 << 17

// facts is what is known of the versions that documents have, kept true by
// the events of a watch. It also tells who waits for an event.
type facts struct {
	mu sync.Mutex

	// young holds what was learnt or asked for last, old what was before.
	// When young is full it becomes old, and what was in old is forgotten.
	young, old map[string]fact

	following bool  // whether there is a watch
	since     int64 // its events are those after this revision
	reached   int64 // and all those up to this one have come

	moved   chan struct{} // closed when the three before change
	waiting map[string]chan struct{}
}

// fact is that a document has a version, 0 for no document, at a revision,
// and after it until an event says otherwise.
type fact struct{ version, at int64 }

func newFacts() *facts {
	f := &facts{moved: make(chan struct{}), waiting: make(map[string]chan struct{})}
	f.forgetAll()
	return f
}

func (f *facts) forgetAll() {
	f.young, f.old = make(map[string]fact), make(map[string]fact)
	f.following, f.since, f.reached = false, 0, 0
}

func (f *facts) move() {
	close(f.moved)
	f.moved = make(chan struct{})
}

// begin says that a watch has all events after a revision. What was known
// before holds on, if it is a revision that the last watch had come to.
func (f *facts) begin(since int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if since != f.reached || f.reached == 0 {
		f.forgetAll()
		f.since, f.reached = since, since
	}
	f.following = true
	f.move()
}

// end says that the watch is over, and returns how far it had come.
func (f *facts) end() (reached int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.following = false
	f.move()
	return f.reached
}

// reset forgets everything: the events since are lost, or were of a cluster
// that has been put back to an older state.
func (f *facts) reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forgetAll()
	f.move()
}

// progress says that all events up to a revision have come.
func (f *facts) progress(reached int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.following && reached > f.reached {
		f.reached = reached
		f.move()
	}
}

// learn takes down that a document had a version at a revision. What an
// answer says of a time before the watch is of no use.
func (f *facts) learn(key string, version, at int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.reached == 0 || at < f.since {
		return
	}
	if known, ok := f.get(key); ok && known.at >= at {
		return
	}
	f.put(key, fact{version, at})
}

// event is learn for an event of the watch: nobody may have asked for its
// key, which is then let go.
func (f *facts) event(key string, version, at int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.following {
		return
	}
	for _, generation := range []map[string]fact{f.young, f.old} {
		if known, ok := generation[key]; ok && known.at < at {
			generation[key] = fact{version, at}
		}
	}
}

// compare returns those keys that are known to have, or have had, another
// version than seen, and those of which nothing is known.
func (f *facts) compare(seen map[string]int64) (changed, unknown []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for key, version := range seen {
		switch known, ok := f.get(key); {
		case !ok:
			unknown = append(unknown, key)
		case known.version != version:
			changed = append(changed, key)
		}
	}
	return changed, unknown
}

func (f *facts) get(key string) (fact, bool) {
	if known, ok := f.young[key]; ok {
		return known, true
	}
	known, ok := f.old[key]
	if ok {
		delete(f.old, key)
		f.put(key, known)
	}
	return known, ok
}

func (f *facts) put(key string, known fact) {
	if len(f.young) >= mostFacts/2 {
		f.young, f.old = make(map[string]fact), f.young
	}
	f.young[key] = known
}

// reach waits until all events up to a revision have come. It returns false
// when there is no watch, or ctx ends first.
func (f *facts) reach(ctx context.Context, revision int64) bool {
	for {
		f.mu.Lock()
		following, reached, moved := f.following, f.reached, f.moved
		f.mu.Unlock()
		if !following || reached >= revision {
			return following
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return false
		}
	}
}

// progressed returns how far the watch has come.
func (f *facts) progressed() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reached
}

// await returns a channel that is closed when the write of that name is
// seen.
func (f *facts) await(name string) <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	seen := make(chan struct{})
	f.waiting[name] = seen
	return seen
}

// forget ends await.
func (f *facts) forget(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.waiting, name)
}

// made says that the write of that name was made.
func (f *facts) made(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if seen, ok := f.waiting[name]; ok {
		close(seen)
		delete(f.waiting, name)
	}
}
