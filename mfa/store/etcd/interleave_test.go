package etcd

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// What the cache of facts promises is tried here over all orders in which a
// cluster, a watch, a node that reads and the same node that compares can take
// their steps. The cluster is a model; the facts are those of the Store.

// cluster is a model of etcd: documents and their head by revision.
type clusterModel struct {
	timeline int // counts restores
	heads    []head
	writes   []write // in the order of their revisions, from 1
}

// write is a write of a document, at a revision of a timeline.
type write struct {
	key      string
	timeline int
	revision int64
}

func (c *clusterModel) revision() int64 { return int64(len(c.writes)) }

func (c *clusterModel) write(key string) {
	n := c.revision() + 1
	c.writes = append(c.writes, write{key, c.timeline, n})
	c.heads = append(c.heads, head{fmt.Sprint(c.timeline, "/", n), n, n, n})
}

// restore puts the cluster back to an earlier revision.
func (c *clusterModel) restore(revision int64) {
	c.timeline++
	c.writes, c.heads = slices.Clip(c.writes[:revision]), slices.Clip(c.heads[:revision])
}

// last returns the last write of a.
func (c *clusterModel) last() write {
	for i := len(c.writes); ; i-- {
		if c.writes[i-1].key == "a" {
			return c.writes[i-1]
		}
	}
}

func (c *clusterModel) headAt(revision int64) head {
	if revision == 0 {
		return head{}
	}
	h := c.heads[revision-1]
	h.newest = revision
	return h
}

// continues is what Store.continues asks.
func (c *clusterModel) continues(k known) (now head, same sameness) {
	now = c.headAt(c.revision())
	var then []*head
	for _, mark := range k.marks() {
		if mark.newest > c.revision() {
			return now, ofOtherHistory
		}
		h := c.headAt(mark.newest)
		then = append(then, &h)
	}
	return now, k.compare(now, then)
}

// world is a state of everything.
type world struct {
	rules   rules
	cluster clusterModel
	facts   *facts
	fault   string

	written, restored int

	// The watch.
	stream    int // 0 none, 1 opened, 2 in use
	serves    int // the timeline of the member that serves it
	delivered int64
	broken    int
	watching  known

	// The reader, who holds a copy.
	reading    int // 0 idle, 1 asked, 2 answered
	reads      int
	question   *question
	answered   write
	answeredAt head
	copied     bool
	copyOf     write
	version    int64 // as the Store tells it

	// The comparer.
	comparing int // 0 idle, 1 begun, 2 answered
	compares  int
	states    []write // of the document, since the call began
	known     known
	now       head
	same      sameness
}

// rules say what may happen, and which defence is taken out.
type rules struct {
	writes, restores, reads, compares, breaks int

	askLate      bool // the question is made when the answer has come
	trustStream  bool // a stream that is begun again is not looked at
	trustReach   bool // a comparison does not look whose history it is
	claimNothing bool // the head of an answer is not kept
}

func begin(r rules) *world {
	w := &world{rules: r, facts: newFacts()}
	w.cluster.write("a")
	w.facts.begin(1, w.cluster.headAt(1))
	w.stream, w.delivered = 2, 1
	return w
}

// steps are what can happen next.
func (w *world) steps() map[string]func() {
	all := make(map[string]func())
	if w.written < w.rules.writes {
		all["write a"] = func() { w.written++; w.cluster.write("a"); w.changed() }
		all["write b"] = func() { w.written++; w.cluster.write("b") }
	}
	if w.restored < w.rules.restores && w.cluster.revision() > 1 {
		all["restore"] = func() { w.restored++; w.cluster.restore(1); w.changed() }
	}
	w.watchSteps(all)
	w.readerSteps(all)
	w.comparerSteps(all)
	return all
}

func (w *world) watchSteps(all map[string]func()) {
	alive := w.serves == w.cluster.timeline // a member that is put back ends its streams
	switch {
	case w.stream == 2 && alive && w.facts.following && w.delivered < w.cluster.revision():
		all["deliver"] = func() {
			w.delivered++
			at := w.delivered
			key := w.cluster.writes[at-1].key
			if !w.facts.take(delivery{
				changes: []change{{key, at, at}}, heads: []head{w.cluster.headAt(at)}, reached: at,
			}) {
				w.facts.reset()
				w.stream = 0
			}
		}
	case w.stream == 2 && !w.facts.following:
		all["watch: notice that everything was forgotten"] = func() { w.stream = 0 }
	}
	if w.stream > 0 && (!alive || w.broken < w.rules.breaks) {
		all["watch: break"] = func() {
			if alive {
				w.broken++
			}
			w.stream = 0
			w.facts.end()
		}
	}
	if w.stream == 0 {
		all["watch: open"] = func() {
			since, known := w.facts.end()
			w.watching = known
			if since == 0 {
				now, same := w.cluster.continues(known)
				if same != ofSameHistory {
					w.facts.abandon(known.history)
					return
				}
				since, w.watching.chain = now.newest, now
			}
			w.stream, w.serves, w.delivered = 1, w.cluster.timeline, since
		}
	}
	if w.stream == 1 {
		all["watch: look whose history it is"] = func() {
			_, same := w.cluster.continues(w.watching)
			if same != ofSameHistory && !w.rules.trustStream {
				w.facts.abandon(w.watching.history)
				w.stream = 0
				return
			}
			w.stream = 2
			w.facts.begin(w.delivered, w.watching.chain)
		}
	}
}

func (w *world) readerSteps(all map[string]func()) {
	switch {
	case w.reading == 0 && w.reads < w.rules.reads:
		all["read: ask"] = func() {
			w.reads++
			w.reading, w.question = 1, w.facts.ask("a")
		}
	case w.reading == 1:
		all["read: answer"] = func() {
			w.reading = 2
			w.answered, w.answeredAt = w.cluster.last(), w.cluster.headAt(w.cluster.revision())
		}
	case w.reading == 2:
		all["read: learn"] = func() {
			w.reading = 0
			if w.rules.askLate {
				w.question.end()
				w.question = w.facts.ask("a")
				w.question.reached = 0
			}
			known, suspect := w.question.learn("a", w.answered.revision, w.answeredAt)
			if suspect {
				w.stream = 0 // as restartWatch
				w.facts.end()
			}
			if w.rules.claimNothing {
				known, w.facts.claims, w.facts.known.claim = true, nil, head{}
			}
			history := w.question.history
			if !known {
				history--
			}
			w.copied, w.copyOf = true, w.answered
			w.version = inHistory(w.answered.revision, history)
			w.question.end()
			w.question = nil
		}
	}
}

func (w *world) comparerSteps(all map[string]func()) {
	switch {
	case w.comparing == 0 && w.copied && w.compares < w.rules.compares:
		all["compare: begin"] = func() {
			w.compares++
			w.comparing = 1
			w.states = []write{w.cluster.last()}
			w.known = w.facts.heads()
		}
	case w.comparing == 1:
		all["compare: head"] = func() {
			w.comparing = 2
			w.now, w.same = w.cluster.continues(w.known)
			if w.same != ofSameHistory && !w.rules.trustReach {
				w.facts.abandon(w.known.history)
				w.comparing, w.copied = 0, false // all of it counts as changed
			}
		}
	case w.comparing == 2 && w.facts.reached >= w.now.revision:
		all["compare: hold against the facts"] = func() {
			w.comparing = 0
			if inHistory(w.version&(1<<(63-historyBits)-1), w.known.history) != w.version && !w.rules.trustReach {
				w.copied = false
				return
			}
			revision := w.version & (1<<(63-historyBits) - 1)
			changed, unknown, ok := w.facts.compare(map[string]int64{"a": revision}, w.now.revision, w.known.history)
			switch {
			case !ok || len(unknown) > 0: // the cluster would be asked
			case len(changed) > 0:
				w.copied = false
			default:
				w.confirmed()
			}
		}
	}
}

// changed takes down what the document became while a comparison goes on.
func (w *world) changed() {
	if w.comparing > 0 {
		w.states = append(w.states, w.cluster.last())
	}
}

// confirmed checks that the copy is what the document has been at some moment
// since the comparison began.
func (w *world) confirmed() {
	if slices.Contains(w.states, w.copyOf) {
		return
	}
	// Whoever asked for the head before the restore is not told of it until
	// the next comparison.
	if w.restoredWithin() {
		return
	}
	w.fault = fmt.Sprintf("a copy of %v is confirmed, though the document was %v", w.copyOf, w.states)
}

// restoredWithin reports whether the cluster was put back after the head was
// asked for.
func (w *world) restoredWithin() bool {
	return w.now.revision > w.cluster.revision() || !w.cluster.headAt(w.now.revision).is(w.now)
}

// key tells states apart.
func (w *world) key() string {
	f := w.facts
	known := maps.Clone(f.old)
	maps.Copy(known, f.young)
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(f.asked)) {
		fmt.Fprint(&b, key, *f.asked[key])
	}
	q := ""
	if w.question != nil {
		q = fmt.Sprint(w.question.round == f.round, w.question.history, w.question.reached)
	}
	return fmt.Sprint(w.cluster, known, b.String(), f.following, f.since, f.reached, f.known, f.claims, f.recent, w.written, w.restored,
		w.stream, w.serves, w.delivered, w.broken, w.watching, w.reading, w.reads, q, w.answered, w.answeredAt,
		w.copied, w.copyOf, w.version, w.comparing, w.compares, w.states, w.known, w.now, w.same)
}

// explore takes the steps in all orders, and returns the first order that
// ends in a fault, and how many states there are.
func explore(r rules) (order []string, fault string, states int) {
	visited := make(map[string]bool)
	var walk func(order []string) bool
	walk = func(path []string) bool {
		w := begin(r)
		for _, step := range path {
			w.steps()[step]()
		}
		if w.fault != "" {
			order, fault = path, w.fault
			return true
		}
		if key := w.key(); visited[key] {
			return false
		} else {
			visited[key] = true
		}
		for _, step := range slices.Sorted(maps.Keys(w.steps())) {
			if walk(append(slices.Clip(path), step)) {
				return true
			}
		}
		return false
	}
	walk(nil)
	return order, fault, len(visited)
}

func TestNoOrderOfStepsConfirmsACopyThatIsOutOfDate(t *testing.T) {
	for name, r := range map[string]rules{
		"a read, writes and a watch": {writes: 2, reads: 2, compares: 2},
		"a watch that breaks":        {writes: 2, reads: 1, compares: 2, breaks: 1},
		"a restore":                  {writes: 2, reads: 1, compares: 2, restores: 1},
	} {
		t.Run(name, func(t *testing.T) {
			order, fault, states := explore(r)
			if fault != "" {
				t.Errorf("%s:\n%s", fault, strings.Join(order, "\n"))
			}
			if states < 1000 {
				t.Errorf("only %d states were tried", states)
			}
			t.Logf("%d states", states)
		})
	}
}

func TestEachDefenceOfTheFactsIsNeeded(t *testing.T) {
	for name, r := range map[string]rules{
		"the question is made before the request":      {writes: 2, reads: 1, compares: 2, askLate: true},
		"a stream is looked at before it is used":      {writes: 3, reads: 1, compares: 1, restores: 1, trustStream: true},
		"the head of each answer is kept":              {writes: 2, reads: 1, compares: 2, restores: 1, claimNothing: true},
		"a comparison looks whose history the head is": {writes: 3, reads: 1, compares: 1, restores: 1, trustReach: true},
	} {
		t.Run(name, func(t *testing.T) {
			order, fault, states := explore(r)
			if fault == "" {
				t.Fatalf("nothing goes wrong without it, in %d states", states)
			}
			t.Logf("without it: %s, by %s", fault, strings.Join(order, "; "))
		})
	}
}
