package nearcache_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/store"
	"github.com/caddymfa/caddy-mfa/mfa/store/nearcache"
)

// old makes a cache with a copy that is older than the bound, and counts the
// readings that were refused.
func old(t *testing.T) (e *engine, r rig, refused *int) {
	e, refused = newEngine(), new(int)
	e.write("a", "1")
	r = newRig(t, shared{e}, func(c *nearcache.Config) {
		c.Refused = func(error) { *refused++ }
	})
	r.want("a", "1")
	r.Advance(2 * nearcache.DefaultBound)
	return e, r, refused
}

func TestAStoreThatAnswersSlowlyIsAskedAndWaitedFor(t *testing.T) {
	e, r, refused := old(t)
	// A session is ended elsewhere, and each answer takes 1.8 s.
	e.write("a", "2")
	e.during = func() { r.Advance(1800 * time.Millisecond) }
	if got, err := r.ReadStale(t.Context(), "a"); got != "2" || err != nil {
		t.Errorf("ReadStale = %q, %v; want the store to be waited for", got, err)
	}
	if r.Away() || *refused != 0 {
		t.Errorf("away: %v, refused: %d", r.Away(), *refused)
	}
	// It was asked 1.8 s ago.
	if r.Age() != 1800*time.Millisecond {
		t.Errorf("what is known is %v old", r.Age())
	}
	r.Advance(nearcache.DefaultBound - 1800*time.Millisecond - 1)
	asked := e.asked
	r.want("a", "2")
	if e.asked != asked {
		t.Error("a copy within the bound is asked for")
	}
	r.Advance(1)
	r.want("a", "2")
	if e.asked == asked {
		t.Error("the age of a copy does not count from the question")
	}
}

func TestAQuestionThatFailsWhileOthersAreAnsweredDoesNotMakeTheStoreAway(t *testing.T) {
	for name, other := range map[string]func(e *engine, r rig){
		"a reading":         func(e *engine, r rig) { _, _ = r.Read(t.Context(), "b") },
		"a refresh":         func(e *engine, r rig) { _ = r.Refresh(t.Context()) },
		"an update":         func(e *engine, r rig) { _ = r.Store().Update(t.Context(), nil, "b") },
		"a route's reading": func(e *engine, r rig) { _, _ = r.Store().Get(t.Context(), "b") },
	} {
		t.Run(name, func(t *testing.T) {
			e, r, refused := old(t)
			e.failure = fmt.Errorf("too slow: %w", store.ErrUnavailable)
			e.during = func() { other(e, r) }
			if got, err := r.ReadStale(t.Context(), "a"); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("ReadStale = %q, %v; a copy counts, though the store answers", got, err)
			}
			if r.Away() || *refused != 1 {
				t.Errorf("away: %v, refused: %d", r.Away(), *refused)
			}
			// When nothing at all is answered, it is away.
			r.Advance(2 * nearcache.DefaultBound)
			e.fail(true)
			if got, err := r.ReadStale(t.Context(), "a"); got != "1" || err != nil || !r.Away() {
				t.Errorf("ReadStale = %q, %v, away: %v", got, err, r.Away())
			}
			e.fail(false)
			if err := r.Refresh(t.Context()); err != nil || r.Away() {
				t.Errorf("an answer: %v, away: %v", err, r.Away())
			}
		})
	}
}

func TestAnotherEngineIsNotTakenForOneThatIsAway(t *testing.T) {
	e, r, refused := old(t)
	e.fail(true)
	if got, err := r.ReadStale(t.Context(), "a"); got != "1" || err != nil {
		t.Fatalf("while it is away: %q, %v", got, err)
	}
	e.fail(false)
	e.failure = fmt.Errorf("%w: %w", store.ErrUnavailable, store.ErrOther)
	if _, err := r.Read(t.Context(), "b"); !errors.Is(err, store.ErrOther) {
		t.Fatal(err)
	}
	e.failure = fmt.Errorf("%w: %w", store.ErrUnavailable, store.ErrOther)
	if got, err := r.ReadStale(t.Context(), "a"); !errors.Is(err, store.ErrOther) || *refused != 2 {
		t.Errorf("when another answers: %q, %v, refused: %d", got, err, *refused)
	}
}

func TestACopyThatNobodyLooksAfterIsAskedForSooner(t *testing.T) {
	e := newEngine()
	e.write("a", "1")
	r := newRig(t, shared{e})
	r.want("a", "1")
	for range 30 { // nobody reads it
		_ = r.Refresh(t.Context())
	}
	e.write("a", "2")
	r.Advance(time.Second)
	r.want("a", "2")
}

func TestAnAnswerThatTookLongDoesNotReplaceANewerOne(t *testing.T) {
	e := newEngine()
	e.write("a", "1")
	r := newRig(t, shared{e})
	e.during = func() {
		e.write("a", "2") // by another node, after the reading
		r.Advance(time.Millisecond)
		r.want("a", "2")
	}
	if got, err := r.Read(t.Context(), "a"); got != "1" || err != nil {
		t.Fatalf("%q, %v", got, err)
	}
	r.want("a", "2")
}
