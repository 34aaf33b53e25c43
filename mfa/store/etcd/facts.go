package etcd

import (
	"context"
	"maps"
	"slices"
	"sync"
)

// mostFacts bounds the keys that are kept an eye on: those that were asked
// for most recently, and at least half as many.
const mostFacts = 1 << 17

// facts is what is known of the versions that documents have, kept true by
// the events of a watch. It also tells who waits for an event. The package
// documentation states the protocol.
type facts struct {
	mu sync.Mutex

	// young holds what was learnt or asked for last, old what was before.
	// When young is full it becomes old, and what was in old is forgotten.
	young, old map[string]fact

	// asked are the keys that the cluster is being asked about.
	asked map[string]*asked

	following bool  // whether there is a watch
	since     int64 // its events are those after this revision
	reached   int64 // and all those up to this one have come

	lineage
	round int64 // how often the facts were forgotten

	moved   chan struct{} // closed when following or reached change
	waiting map[string]chan struct{}
}

// fact is that a document has a version, 0 for no document, at a revision,
// and after it until an event says otherwise. Count is how many writes there
// had been by then: that of the head.
type fact struct{ version, at, count int64 }

// asked is a key that somebody is asking about.
type asked struct {
	by   int  // how many
	last fact // the last event of the key since the first of them began
}

// question is what the cluster is asked about some keys. It is made before
// the request is sent, so that no event can come between the answer and what
// is learnt of it.
type question struct {
	facts   *facts
	keys    []string
	round   int64
	history int64
	reached int64 // how far the watch had come
}

// change is an event of the watch: a document has a version since a revision.
type change struct {
	key         string
	version, at int64
}

// delivery is what one answer of the watch holds, in the order of the
// revisions.
type delivery struct {
	changes []change
	heads   []head
	reached int64
}

func newFacts() *facts {
	f := &facts{
		moved: make(chan struct{}), waiting: make(map[string]chan struct{}), asked: make(map[string]*asked),
	}
	f.forgetAll()
	return f
}

func (f *facts) forgetAll() {
	f.young, f.old = make(map[string]fact), make(map[string]fact)
	f.following, f.since, f.reached = false, 0, 0
	f.round++
	for _, a := range f.asked {
		a.last = fact{}
	}
}

func (f *facts) move() {
	close(f.moved)
	f.moved = make(chan struct{})
}

// begin says that a watch has all events after a revision, at which the head
// was chain. What was known before holds on, if it is a revision that the last
// watch had come to.
func (f *facts) begin(since int64, chain head) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if since != f.reached || f.reached == 0 {
		f.forgetAll()
		f.since, f.reached = since, since
		f.rebase(chain)
	}
	f.following = true
	f.move()
}

// end says that the watch is over, and returns how far it had come: reached
// is 0 when the next one has to begin anew.
func (f *facts) end() (reached int64, known known) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.following = false
	f.move()
	return f.reached, f.known
}

// reset forgets everything that rests on the watch: events of it are lost.
func (f *facts) reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forgetAll()
	f.move()
}

// abandon forgets everything: the cluster has another history than the facts
// are of. It reports whether that is news, for those who found it out over a
// history.
func (f *facts) abandon(history int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.history != history {
		return false
	}
	f.lineage.abandon()
	f.forgetAll()
	f.move()
	return true
}

// heads returns what is known of the history that the facts are of.
func (f *facts) heads() known {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.known
}

// seen takes down that the head was still what is known at a later revision.
func (f *facts) seen(now head, history int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.history == history {
		f.lineage.seen(now)
	}
}

// take takes in what an answer of the watch holds, all of it at once: who
// learns or compares in between would see a revision by half. It returns false
// when an event before it was lost, or the cluster has another history.
func (f *facts) take(d delivery) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.following {
		return true // of a watch that is over
	}
	for _, next := range d.heads {
		if !f.follow(next) {
			return false
		}
	}
	for _, c := range d.changes {
		now := fact{c.version, c.at, f.chain.count}
		for _, generation := range []map[string]fact{f.young, f.old} {
			if known, ok := generation[c.key]; ok && known.at < c.at {
				generation[c.key] = now
			}
		}
		if a, ok := f.asked[c.key]; ok && a.last.at < c.at {
			a.last = now
		}
	}
	if d.reached > f.reached {
		f.reached = d.reached
		f.move()
	}
	return true
}

// ask says that the cluster is about to be asked about keys. The caller ends
// the question.
func (f *facts) ask(keys ...string) *question {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, key := range keys {
		a, ok := f.asked[key]
		if !ok {
			a = new(asked)
			f.asked[key] = a
		}
		a.by++
	}
	return &question{facts: f, keys: keys, round: f.round, history: f.history, reached: f.reached}
}

// end ends a question.
func (q *question) end() {
	f := q.facts
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, key := range q.keys {
		if a := f.asked[key]; a.by > 1 {
			a.by--
		} else {
			delete(f.asked, key)
		}
	}
}

// learn takes down the answer: that a document had a version when the head
// was at. An event of a later revision that came meanwhile is kept in place
// of it; what was asked before the watch, or before everything was forgotten, is
// no fact. Known is false when nothing is known of the history that the answer is
// of: nothing may rest on it later. Suspect says that it can hardly be the one
// that the facts are of.
func (q *question) learn(key string, version int64, at head) (known, suspect bool) {
	f := q.facts
	f.mu.Lock()
	defer f.mu.Unlock()
	if q.history != f.history {
		return false, false
	}
	if at.newest < q.reached && q.round == f.round {
		return false, true // nothing is answered that is older than what was seen before
	}
	if known, suspect = f.claim(at, f.reached > 0); !known {
		return false, suspect
	}
	if q.round != f.round || f.reached == 0 || at.newest < f.since {
		return true, false
	}
	now := fact{version, at.newest, at.count}
	if a := f.asked[key]; a.last.at > now.at {
		now = a.last
	}
	if before, ok := f.get(key); !ok || before.at < now.at {
		f.put(key, now)
	}
	return true, false
}

// compare returns those keys that are known to have, or have had, another
// version than seen, and those of which nothing is known. It says nothing,
// and not ok, where not all events up to a revision have come, or the facts
// are of another history.
func (f *facts) compare(seen map[string]int64, revision, history int64) (changed, unknown []string, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.reached == 0 || f.reached < revision || f.history != history {
		return nil, slices.Collect(maps.Keys(seen)), false
	}
	for key, version := range seen {
		switch known, ok := f.get(key); {
		case !ok || known.count > f.chain.count: // the watch has yet to bear it out
			unknown = append(unknown, key)
		case known.version != version:
			changed = append(changed, key)
		}
	}
	return changed, unknown, true
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
	delete(f.old, key)
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
