package bolt

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// held keeps the lead with one update, whose function has run up
// to the point where release is called.
func held(t *testing.T, s *Store) (release func() error) {
	t.Helper()
	started, finish, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- s.Update(context.Background(), func(tx store.Tx) error {
			close(started)
			<-finish
			return tx.Put("held", nil)
		}, "held")
	}()
	<-started
	return func() error {
		close(finish)
		return <-done
	}
}

// queued waits until n updates stand in the queue.
func queued(s *Store, n int) {
	for len(s.queue) < n {
		runtime.Gosched()
	}
}

// commits returns the number of the last commit.
func commits(t *testing.T, s *Store) (n int) {
	t.Helper()
	err := s.db.View(func(tx *bbolt.Tx) error {
		n = tx.ID()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestWhatQueuesUpSharesOneCommit(t *testing.T) {
	s := mustOpen(t, filepath.Join(t.TempDir(), "mfa.db"))
	before := commits(t, s)
	release := held(t, s)
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			if err := put(s, fmt.Sprint(i), []byte("x")); err != nil {
				t.Error(err)
			}
		})
	}
	queued(s, 100)
	if err := release(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if n := commits(t, s) - before; n != 1 {
		t.Errorf("%d commits", n)
	}
	for i := range 100 {
		mustHold(t, s, fmt.Sprint(i), "x")
	}
}

func TestACommitTakesNoMoreThanItsShare(t *testing.T) {
	s := mustOpen(t, filepath.Join(t.TempDir(), "mfa.db"))
	before := commits(t, s)
	release := held(t, s)
	var wg sync.WaitGroup
	for i := range 9 {
		wg.Go(func() {
			if err := put(s, fmt.Sprint(i), make([]byte, store.MaxValue)); err != nil {
				t.Error(err)
			}
		})
	}
	queued(s, 9)
	if err := release(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if n := commits(t, s) - before; n != 3 {
		t.Errorf("9 MiB took %d commits, want 3 of at most about %d MiB", n, groupBytes>>20)
	}
}

func TestAnUpdateThatWritesNothingCommitsNothing(t *testing.T) {
	s := mustOpen(t, filepath.Join(t.TempDir(), "mfa.db"))
	before := commits(t, s)
	refused := errors.New("refused")
	err := s.Update(context.Background(), func(tx store.Tx) error {
		if _, err := tx.Get("a"); !errors.Is(err, store.ErrNotFound) {
			t.Error(err)
		}
		return nil
	}, "a")
	if err != nil {
		t.Error(err)
	}
	err = s.Update(context.Background(), func(tx store.Tx) error {
		return errors.Join(tx.Put("a", nil), refused)
	}, "a")
	if !errors.Is(err, refused) {
		t.Error(err)
	}
	if n := commits(t, s) - before; n != 0 {
		t.Errorf("%d commits", n)
	}
}

func TestAnUpdateCancelledInTheQueueDoesNotRun(t *testing.T) {
	s := mustOpen(t, filepath.Join(t.TempDir(), "mfa.db"))
	release := held(t, s)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- s.Update(ctx, func(tx store.Tx) error {
			t.Error("it ran")
			return tx.Put("a", nil)
		}, "a")
	}()
	queued(s, 1)
	cancel()
	// It is answered while the other is still writing.
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	mustPut(t, s, "b", "1")
	if _, err := s.Get(context.Background(), "a"); !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
}

func TestAnUpdateCancelledWhileItRunsTellsItsOutcome(t *testing.T) {
	s := mustOpen(t, filepath.Join(t.TempDir(), "mfa.db"))
	ctx, cancel := context.WithCancel(context.Background())
	err := s.Update(ctx, func(tx store.Tx) error {
		cancel()
		return tx.Put("a", []byte("1"))
	}, "a")
	if err != nil {
		t.Error(err)
	}
	mustHold(t, s, "a", "1")
}

func TestAFullQueueGivesWayToItsContextAndToClose(t *testing.T) {
	s := mustOpen(t, filepath.Join(t.TempDir(), "mfa.db"))
	release := held(t, s)
	var wg sync.WaitGroup
	for i := range cap(s.queue) {
		wg.Go(func() {
			if err := put(s, fmt.Sprint(i), nil); err != nil {
				t.Error(err)
			}
		})
	}
	queued(s, cap(s.queue))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- s.Update(ctx, func(store.Tx) error { return nil })
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	if err := release(); err != nil {
		t.Error(err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	wg.Wait()
}

func TestATurnThatComesAfterTheContextEndedIsNotUsed(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	u := &update{ctx: ctx, fn: func(store.Tx) error {
		t.Error("the function was called")
		return nil
	}}
	u.call()
	if !errors.Is(u.err, context.Canceled) {
		t.Error(u.err)
	}
}
