// Package storetest is the conformance suite of store.Store: what its
// contract says, as tests that each engine passes unchanged.
//
//	func TestTheStoreKeepsTheContract(t *testing.T) {
//		storetest.Run(t, storetest.Engine{New: ...})
//	}
package storetest

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// Engine tells the suite how to come by stores of one engine.
type Engine struct {
	// New prepares a place that holds no documents, for the length of
	// the test t, and returns the function that opens it. Each call of
	// that function opens one more Store on the same documents. It ends
	// the test when it fails; the suite closes what it opened.
	New func(t *testing.T) (open func(t *testing.T) store.Store)

	// OneHandle says that the engine admits one open Store at a time to
	// one place. Races then run over that one; for others they run over
	// several.
	OneHandle bool

	// Faults is like New, for an engine that others than this process
	// serve: what New prepares, and the means to take it away. Nil for an
	// engine that has no such server.
	Faults func(t *testing.T) Faults
}

// Faults is a place whose engine a test can cut off and kill.
type Faults struct {
	// Open opens one more Store on the same documents. Its own limits of
	// time are short, but longer than a second.
	Open func(t *testing.T) store.Store

	// Cut ends all connections to the engine and refuses new ones. Silence
	// leaves them as they are and lets nothing through any more, in either
	// direction, nor any new one get an answer. Mend undoes both.
	Cut, Silence, Mend func()

	// Crash kills the engine, all its processes at once and without a
	// chance to finish anything, and starts it again.
	Crash func()
}

// Run runs the whole suite. Tests of one run share nothing, and each
// works under -race.
func Run(t *testing.T, e Engine) {
	t.Run("Documents", func(t *testing.T) { documents(t, e) })
	t.Run("Ownership", func(t *testing.T) { ownership(t, e) })
	t.Run("Limits", func(t *testing.T) { limits(t, e) })
	t.Run("Updates", func(t *testing.T) { updates(t, e) })
	t.Run("Failures", func(t *testing.T) { failures(t, e) })
	t.Run("Contexts", func(t *testing.T) { contexts(t, e) })
	t.Run("Races", func(t *testing.T) { races(t, e) })
	t.Run("List", func(t *testing.T) { lists(t, e) })
	t.Run("Lifecycle", func(t *testing.T) { lifecycle(t, e) })
	t.Run("Snapshots", func(t *testing.T) { snapshots(t, e) })
	if e.Faults != nil {
		t.Run("Outages", func(t *testing.T) { outages(t, e) })
	}
}

// place is an opened engine, with what the tests keep asking of it.
type place struct {
	store.Store
	reopen func() // closes the store and opens the same documents again
}

func open(t *testing.T, e Engine) *place {
	t.Helper()
	opener := e.New(t)
	p := &place{Store: opener(t)}
	t.Cleanup(func() { _ = p.Close() })
	p.reopen = func() {
		t.Helper()
		if err := p.Close(); err != nil {
			t.Fatalf("closing: %v", err)
		}
		p.Store = opener(t)
	}
	return p
}

// openMany opens n stores on one place, or the same one n times.
func openMany(t *testing.T, e Engine, n int) []store.Store {
	t.Helper()
	opener := e.New(t)
	stores := make([]store.Store, n)
	for i := range stores {
		if i > 0 && e.OneHandle {
			stores[i] = stores[0]
			continue
		}
		s := opener(t)
		t.Cleanup(func() { _ = s.Close() })
		stores[i] = s
	}
	return stores
}

func put(t *testing.T, s store.Store, key, value string) {
	t.Helper()
	err := s.Update(context.Background(), func(tx store.Tx) error {
		return tx.Put(key, []byte(value))
	}, key)
	if err != nil {
		t.Fatalf("putting %q: %v", key, err)
	}
}

func remove(t *testing.T, s store.Store, key string) {
	t.Helper()
	err := s.Update(context.Background(), func(tx store.Tx) error {
		return tx.Delete(key)
	}, key)
	if err != nil {
		t.Fatalf("deleting %q: %v", key, err)
	}
}

func holds(t *testing.T, s store.Store, key, want string) {
	t.Helper()
	got, err := s.Get(context.Background(), key)
	if err != nil {
		t.Fatalf("getting %q: %v", key, err)
	}
	if !bytes.Equal(got, []byte(want)) {
		t.Fatalf("document %q is %.40q, want %.40q", key, got, want)
	}
}

func lacks(t *testing.T, s store.Store, key string) {
	t.Helper()
	if got, err := s.Get(context.Background(), key); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("getting %q: %.40q, %v; want ErrNotFound", key, got, err)
	}
}
