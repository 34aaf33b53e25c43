package mfa

import (
	"bytes"
	"sync"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// sightings say how long this node has seen documents as they are, by its own
// clock: what other nodes date by theirs is not held against it. The zero
// value has seen none. It is safe for concurrent use.
type sightings struct {
	mu    sync.Mutex
	known map[string]sighting
}

type sighting struct {
	value []byte
	since time.Time
}

// look sees the documents that there are now, and returns for how long each
// has been seen unchanged.
func (s *sightings) look(found []store.Document, now time.Time) map[string]time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.known
	s.known = make(map[string]sighting, len(found))
	ages := make(map[string]time.Duration, len(found))
	for _, d := range found {
		seen, ok := before[d.Key]
		// A clock that was set back starts anew.
		if !ok || !bytes.Equal(seen.value, d.Value) || now.Before(seen.since) {
			seen = sighting{value: d.Value, since: now}
		}
		s.known[d.Key] = seen
		ages[d.Key] = now.Sub(seen.since)
	}
	return ages
}

// saw sees one document, which this node has written.
func (s *sightings) saw(d store.Document, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		s.known = make(map[string]sighting)
	}
	s.known[d.Key] = sighting{value: d.Value, since: now}
}
