package storetest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// recovery is how long an engine may take to come back before a test gives
// up. It bounds a failure; no test waits it out.
const recovery = 2 * time.Minute

func outages(t *testing.T, e Engine) {
	ctx := context.Background()

	for name, fault := range map[string]func(f Faults){
		"Refused": func(f Faults) { f.Cut() },
		"Silent":  func(f Faults) { f.Silence() },
	} {
		t.Run("AnEngineOutOfReachIsUnavailableUntilItIsBack/"+name, func(t *testing.T) {
			f := e.Faults(t)
			s := f.open(t)
			put(t, s, "a", "before")
			fault(f)
			unavailable(t, s) // with the connections of before
			unavailable(t, s) // without
			f.Mend()
			recovered(t, s)
			holds(t, s, "a", "before")
			put(t, s, "a", "after")
			holds(t, s, "a", "after")
		})
		t.Run("NothingAcknowledgedIsLostInAnOutage/"+name, func(t *testing.T) {
			f := e.Faults(t)
			through(t, f, true, func() { fault(f) }, f.Mend)
		})
	}
	t.Run("ACallerNeedNotWaitForAnEngineThatIsSilent", func(t *testing.T) {
		f := e.Faults(t)
		s := f.open(t)
		put(t, s, "a", "1")
		f.Silence()
		brief := func(call func(ctx context.Context) error) error {
			// Shorter than the engine's own patience.
			ctx, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
			defer cancel()
			return call(ctx)
		}
		for what, call := range map[string]func(ctx context.Context) error{
			"Get":  func(ctx context.Context) error { _, err := s.Get(ctx, "a"); return err },
			"List": func(ctx context.Context) error { _, err := s.List(ctx, "", "", 1); return err },
			"Update": func(ctx context.Context) error {
				return s.Update(ctx, func(tx store.Tx) error { return tx.Put("a", []byte("2")) }, "a")
			},
		} {
			if err := brief(call); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v", what, err)
			}
		}
		f.Mend()
		recovered(t, s)
		holds(t, s, "a", "1")
	})
	t.Run("CloseEndsThoughTheEngineIsOutOfReach", func(t *testing.T) {
		f := e.Faults(t)
		s := f.open(t)
		put(t, s, "a", "1")
		f.Silence()
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if _, err := s.Get(ctx, "a"); !errors.Is(err, store.ErrClosed) {
			t.Errorf("Get: %v", err)
		}
		f.Mend()
	})
	t.Run("NothingAcknowledgedIsLostInACrash", func(t *testing.T) {
		f := e.Faults(t)
		for range 3 {
			through(t, f, false, f.Crash, func() {})
		}
	})
}

func (f Faults) open(t *testing.T) store.Store {
	t.Helper()
	s := f.Open(t)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// unavailable checks that every call says so.
func unavailable(t *testing.T, s store.Store) {
	t.Helper()
	ctx := context.Background()
	calls := map[string]func() error{
		"Get":  func() error { _, err := s.Get(ctx, "a"); return err },
		"List": func() error { _, err := s.List(ctx, "", "", 1); return err },
		"Update": func() error {
			return s.Update(ctx, func(tx store.Tx) error { return tx.Put("a", []byte("during")) }, "a")
		},
		"Update of two": func() error {
			return s.Update(ctx, func(tx store.Tx) error { return tx.Put("a", []byte("during")) }, "a", "b")
		},
	}
	if s, ok := s.(store.Shared); ok {
		calls["GetVersion"] = func() error { _, _, err := s.GetVersion(ctx, "a"); return err }
		calls["Changed"] = func() error { _, err := s.Changed(ctx, map[string]int64{"a": 1}); return err }
	}
	var wg sync.WaitGroup
	for what, call := range calls {
		wg.Go(func() {
			if err := call(); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("%s: %v, want ErrUnavailable", what, err)
			}
		})
	}
	wg.Wait()
}

// recovered waits until s reads and writes again, by itself.
func recovered(t *testing.T, s store.Store) {
	t.Helper()
	eventually(t, "the store is back", func() bool {
		_, err := increment(context.Background(), s, "recovered", "recovered")
		if err != nil && !errors.Is(err, store.ErrUnavailable) {
			t.Fatalf("an engine that comes back: %v", err)
		}
		return err == nil
	})
}

// eventually asks until done says yes.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(recovery); !done(); <-ticker.C {
		if time.Now().After(deadline) {
			t.Fatalf("after %v still not: %s", recovery, what)
		}
	}
}

// through writes with several stores while the engine fails and comes
// back, and holds what is there in the end against what was acknowledged.
// With felt it mends the engine only once a write has failed.
func through(t *testing.T, f Faults, felt bool, fail, mend func()) {
	t.Helper()
	const workers = 6
	stores := make([]store.Store, workers)
	for i := range stores {
		stores[i] = f.open(t)
	}
	put(t, stores[0], "count", "0")
	l := &load{
		counted: make(map[int]bool),
		before:  make(chan struct{}), during: make(chan struct{}), after: make(chan struct{}),
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i, s := range stores {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if !l.write(t, s, fmt.Sprintf("%p-%d-%d", l, i, n)) {
					select {
					case <-stop:
					case <-time.After(20 * time.Millisecond): // a client's, not to spin
					}
				}
			}
		})
	}
	within := time.After(recovery)
	await := func(what string, reached <-chan struct{}) {
		select {
		case <-reached:
		case <-within:
			t.Errorf("after %v still not: %s", recovery, what)
		}
	}
	await("writes before the fault", l.before)
	fail()
	if felt {
		await("a write that fails", l.during)
	}
	mend()
	l.mended(time.Now())
	await("writes after the fault", l.after)
	close(stop)
	wg.Wait()

	for _, key := range l.written {
		holds(t, stores[0], key, "of "+key)
	}
	got, err := stores[0].Get(context.Background(), "count")
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(string(got))
	if err != nil || n < len(l.counted) || n > len(l.counted)+l.unknown {
		t.Errorf("the count is %s: %d were acknowledged, of %d the outcome is unknown", got, len(l.counted), l.unknown)
	}
	t.Logf("acknowledged again %v after the mend", l.took.Round(time.Millisecond))
	t.Logf("%d writes and %d counts acknowledged, %d of unknown outcome", len(l.written), len(l.counted), l.unknown)
}

// load is what writers know of their writes.
type load struct {
	mu      sync.Mutex
	written []string     // keys whose write was acknowledged
	counted map[int]bool // numbers that a count has returned
	unknown int          // counts that may or may not have been made

	mend  time.Time // when the engine was mended
	since int       // writes begun after that and acknowledged
	took  time.Duration

	before chan struct{} // closed after the first writes
	during chan struct{} // closed after the first failure
	after  chan struct{} // closed after as many writes that were begun after the mend
}

// enough writes show that an engine works.
const enough = 50

// mended says when the engine was mended.
func (l *load) mended(at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mend = at
}

// write makes one write of a key of its own and counts it, and reports
// whether both were acknowledged.
func (l *load) write(t *testing.T, s store.Store, key string) bool {
	ctx := context.Background()
	l.mu.Lock()
	mended := !l.mend.IsZero()
	l.mu.Unlock()
	written := s.Update(ctx, func(tx store.Tx) error { return tx.Put(key, []byte("of "+key)) }, key)
	n, counted := increment(ctx, s, "count", "count")

	l.mu.Lock()
	defer l.mu.Unlock()
	for _, err := range []error{written, counted} {
		if err != nil && !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("in the outage: %v", err)
		}
	}
	if written == nil {
		if l.written = append(l.written, key); len(l.written) == enough {
			close(l.before)
		}
		if mended {
			if l.since++; l.since == 1 {
				l.took = time.Since(l.mend)
			}
			if l.since == enough {
				close(l.after)
			}
		}
	}
	switch {
	case counted != nil:
		if l.unknown++; l.unknown == 1 {
			close(l.during)
		}
	case l.counted[n]:
		t.Errorf("%d was counted twice", n)
	default:
		l.counted[n] = true
	}
	return written == nil && counted == nil
}
