package etcd

// Bounds of a lineage. Who asks while more writes than that are made gets an
// answer that is read again once.
const (
	mostRecent = 4096
	mostClaims = 4096
)

// lineage is what is known of the history of a cluster: of the writes that
// the watch has told of, one after the other, and of those that answers have
// told of meanwhile, which the watch has yet to bear out. A write is known by
// its name and its place in the count of all writes, so that two histories
// which share a beginning differ in the first write after it.
type lineage struct {
	known
	// recent are the last writes that the watch has told of, by their count.
	recent map[int64]head
	// claims are the heads that answers have told of, by their count, as
	// long as the watch has not come there.
	claims map[int64]head
}

// known are the newest writes of a history.
type known struct {
	chain head // that the watch has told of
	claim head // that an answer has told of
	// history counts how often the cluster was found to have another history
	// than before, or one of which nobody can tell.
	history int64
}

// marks are those of them that the cluster must have, if its history is this
// one.
func (k known) marks() []head {
	var marks []head
	for _, h := range []head{k.chain, k.claim} {
		if h.newest > 0 && (len(marks) == 0 || h != marks[0]) {
			marks = append(marks, h)
		}
	}
	return marks
}

// compare holds the marks against what the cluster answers.
func (k known) compare(now head, then []*head) sameness {
	same := ofSameHistory
	for i, mark := range k.marks() {
		switch compareHeads(mark, now, then[i]) {
		case ofOtherHistory:
			return ofOtherHistory
		case ofUnknownHistory:
			same = ofUnknownHistory
		}
	}
	return same
}

// abandon forgets it.
func (l *lineage) abandon() {
	*l = lineage{known: known{history: l.history + 1}}
}

// rebase begins a chain at a head. What answers have claimed of the writes
// before it cannot be borne out any more, so that nothing may rest on it.
func (l *lineage) rebase(chain head) {
	for count, claim := range l.claims {
		if count < chain.count || count == chain.count && !claim.is(chain) {
			l.abandon()
			break
		}
	}
	l.chain, l.recent = chain, map[int64]head{chain.count: chain}
	delete(l.claims, chain.count)
}

// follow takes down the next write that the watch tells of. It returns false
// when it is not the next, or not the one that an answer has told of.
func (l *lineage) follow(next head) bool {
	if next.revision <= l.chain.revision {
		return true
	}
	if next.count != l.chain.count+1 {
		return false
	}
	if claim, ok := l.claims[next.count]; ok && !claim.is(next) {
		return false
	}
	delete(l.claims, next.count)
	l.chain = next
	l.recent[next.count] = next
	delete(l.recent, next.count-mostRecent)
	return true
}

// claim takes down the head that an answer tells of. Watched says that there
// is a chain.
func (l *lineage) claim(at head, watched bool) (known, suspect bool) {
	if watched && at.count <= l.chain.count {
		before, ok := l.recent[at.count]
		if !ok {
			return false, false
		}
		if !before.is(at) {
			return false, true
		}
	} else if before, ok := l.claims[at.count]; ok && !before.is(at) {
		return false, true
	} else if !ok {
		if len(l.claims) >= mostClaims {
			return false, false
		}
		if l.claims == nil {
			l.claims = make(map[int64]head)
		}
		l.claims[at.count] = at
	}
	if at.newest > l.known.claim.newest {
		l.known.claim = at
	}
	return true, false
}

// seen takes down that the head was still the same at a later revision.
func (l *lineage) seen(now head) {
	for _, h := range []*head{&l.chain, &l.known.claim} {
		if h.is(now) && now.newest > h.newest {
			h.newest = now.newest
		}
	}
}
