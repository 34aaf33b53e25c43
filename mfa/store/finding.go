package store

// FindingKind says what a Finding is about.
type FindingKind string

// The kinds of findings.
const (
	// FindingHistory: the store holds another history than it did. It was
	// restored, or a replica took over that may lack the last writes. What
	// was spent or ended since may be good again.
	FindingHistory FindingKind = "history"
	// FindingReplica: a server that was reached is not, or is no longer, the
	// one that decides. It was not believed.
	FindingReplica FindingKind = "replica"
	// FindingDurability: the store is set up so that a crash can undo what it
	// has acknowledged.
	FindingDurability FindingKind = "durability"
	// FindingPooler: what stands between the node and the store gives it less
	// than it needs.
	FindingPooler FindingKind = "pooler"
	// FindingEvents: the store has not told of something that was written. It
	// was noticed, and nothing rests on it.
	FindingEvents FindingKind = "events"
	// FindingFull: the store takes no writes for want of room, so that nobody
	// can be signed out or reset.
	FindingFull FindingKind = "full"
)

// FindingKinds are all kinds.
var FindingKinds = []FindingKind{FindingHistory, FindingReplica, FindingDurability, FindingPooler, FindingEvents, FindingFull}

// Finding is something about a store that its operator must know, and that
// the error of no call can tell, as calls go on.
type Finding struct {
	Kind FindingKind
	// Text says what was found and what mends it. It has no secret in it.
	Text string
}

// Report takes findings. It must be brief, and may be called concurrently.
// Nil drops them.
type Report func(Finding)

// Found reports a finding, if there is anyone to take it.
func (r Report) Found(kind FindingKind, text string) {
	if r != nil {
		r(Finding{kind, text})
	}
}
