package postgres

import (
	"fmt"
	"sync"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// place is where a database stands: in which history of what, and how far it
// has come. The zero value is of a server that does not tell.
type place struct {
	cluster  string // the system identifier, from initdb
	timeline uint64 // grows with each promotion and each recovery to a point in time
	table    string // object IDs of the database and, once there is one, of the table
	flushed  int64  // position in the WAL
	ended    int64  // all transactions before this one have; 0 where that is not known
}

// history is what a node knows of the database's. A server that stands
// before what was seen, or in a history that was left, is not believed; one
// that stands in a later history is, and the node starts anew.
//
// A position is compared with what was known before the server was asked:
// answers may overtake one another.
type history struct {
	report store.Report

	mu     sync.Mutex
	seen   place
	left   map[string]bool // clusters
	rounds int64           // how often it has changed
}

// now returns what is known, for follow.
func (h *history) now() place {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.seen
}

// round returns how often the history has changed.
func (h *history) round() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.rounds
}

// follow notes where a server stands, and returns an error when it is not to
// be believed.
func (h *history) follow(before, found place) error {
	if found.cluster == "" {
		return nil
	}
	h.mu.Lock()
	what, err := h.step(before, found)
	if what != "" {
		h.rounds++
	}
	h.mu.Unlock()
	if what != "" {
		h.report.Found(store.FindingHistory, what+". What was spent, ended or reset and is not in the database any more is as it was before. "+
			"This node has forgotten its copies and goes on with what the database holds now")
	}
	return err
}

// step changes what is known, and says in words how the history has, "" when
// it has not. The caller holds mu.
func (h *history) step(before, found place) (what string, err error) {
	seen := h.seen
	switch {
	case seen.cluster == "":
		h.seen = found
		return "", nil
	case h.left[found.cluster]:
		return "", &refusal{"this server is of a cluster that was replaced by another since this node has started: " +
			"take it out of the DSN, or restart this node if it is the right one"}
	case found.cluster != seen.cluster:
		if h.left == nil {
			h.left = make(map[string]bool)
		}
		h.left[seen.cluster] = true
		h.seen = found
		return "the database is of another cluster than before: it was restored or upgraded to a new one", nil
	case found.timeline < seen.timeline:
		return "", &refusal{fmt.Sprintf("this server is on timeline %d, which was left for timeline %d: it was the primary once, and must not be written to. "+
			"Shut it down, or make it a standby. If it was restored from an old backup, restart this node", found.timeline, seen.timeline)}
	case found.timeline > seen.timeline:
		h.seen = found
		return fmt.Sprintf("the database has gone from timeline %d to %d: a standby was promoted, which may lack the last writes, or it was restored to a point in time",
			seen.timeline, found.timeline), nil
	case found.table != seen.table && seen.known() && found.known():
		h.seen = found
		return "the tables are not those of before: they were restored", nil
	case before.cluster == found.cluster && before.timeline == found.timeline && found.before(before):
		h.seen = found
		return "the database is at an earlier state than before: it was restored from a copy of its files", nil
	}
	if found.known() {
		h.seen.table = found.table
	}
	h.seen.flushed = max(seen.flushed, found.flushed)
	h.seen.ended = max(seen.ended, found.ended)
	return "", nil
}

// before reports whether p is an earlier moment of one timeline than other. A
// server that was put back may have written enough since to be past one
// of the two.
func (p place) before(other place) bool {
	return p.flushed < other.flushed || p.ended != 0 && p.ended < other.ended
}

// known reports whether there was a table.
func (p place) known() bool { return p.table != "" && p.table[len(p.table)-1] != '.' }
