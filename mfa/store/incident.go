package store

// Incident is something about an engine that an operator should hear of, and
// that no call returns. It holds nothing secret and names nobody.
type Incident struct {
	Kind IncidentKind
	// Text says what has happened, what follows from it, and how to mend it.
	Text string
}

// IncidentKind names a kind of incident, as in metrics.
type IncidentKind string

// The kinds of incidents.
const (
	// IncidentRestored: the engine's data was put back to an older state while
	// this process ran.
	IncidentRestored IncidentKind = "restored"
	// IncidentEventsLost: the engine has not told of something that was
	// written. It was noticed, and nothing rests on it.
	IncidentEventsLost IncidentKind = "events_lost"
	// IncidentFull: the engine takes no writes, for want of room.
	IncidentFull IncidentKind = "full"
	// IncidentNotFull: it takes them again.
	IncidentNotFull IncidentKind = "not_full"
)

// IncidentKinds are all kinds.
var IncidentKinds = []IncidentKind{IncidentRestored, IncidentEventsLost, IncidentFull, IncidentNotFull}

// Reporting is implemented by engines that have incidents.
type Reporting interface {
	// Incidents returns the channel that they are sent to. It has one
	// reader, and is not closed; what nobody reads in time is dropped.
	Incidents() <-chan Incident

	// Full reports whether the engine is known to take no writes for want of
	// room. It asks nobody and may be called after Close.
	Full() bool
}
