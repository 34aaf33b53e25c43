package storetest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

func updates(t *testing.T, e Engine) {
	ctx := context.Background()

	t.Run("AnUpdateWritesSeveralKeysTogether", func(t *testing.T) {
		s := open(t, e)
		put(t, s, "old", "x")
		err := s.Update(ctx, func(tx store.Tx) error {
			return errors.Join(tx.Put("a", []byte("1")), tx.Put("b", []byte("2")), tx.Delete("old"))
		}, "a", "b", "old")
		if err != nil {
			t.Fatal(err)
		}
		holds(t, s, "a", "1")
		holds(t, s, "b", "2")
		lacks(t, s, "old")
	})
	t.Run("AnUpdateSeesItsOwnWrites", func(t *testing.T) {
		s := open(t, e)
		put(t, s, "a", "before")
		err := s.Update(ctx, func(tx store.Tx) error {
			if err := tx.Delete("a"); err != nil {
				return err
			}
			if _, err := tx.Get("a"); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("after its delete: %v", err)
			}
			if err := tx.Put("a", []byte("after")); err != nil {
				return err
			}
			if got, err := tx.Get("a"); err != nil || string(got) != "after" {
				t.Errorf("after its put: %q, %v", got, err)
			}
			if _, err := tx.Get("b"); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("a key that is not there: %v", err)
			}
			return nil
		}, "a", "b")
		if err != nil {
			t.Fatal(err)
		}
		holds(t, s, "a", "after")
	})
	t.Run("KeysThatWereNotNamedAreRefused", func(t *testing.T) {
		s := open(t, e)
		put(t, s, "other", "kept")
		err := s.Update(ctx, func(tx store.Tx) error {
			_, getErr := tx.Get("other")
			for what, err := range map[string]error{
				"Get":    getErr,
				"Put":    tx.Put("other", nil),
				"Delete": tx.Delete("other"),
			} {
				if !errors.Is(err, store.ErrKeyNotNamed) {
					t.Errorf("%s: %v", what, err)
				}
			}
			return tx.Put("a", []byte("1"))
		}, "a")
		if err != nil {
			t.Fatal(err)
		}
		holds(t, s, "a", "1")
		holds(t, s, "other", "kept")
	})
	t.Run("AnUpdateWithoutKeysCallsItsFunction", func(t *testing.T) {
		s := open(t, e)
		called := false
		err := s.Update(ctx, func(tx store.Tx) error {
			called = true
			if _, err := tx.Get("a"); !errors.Is(err, store.ErrKeyNotNamed) {
				t.Errorf("Get: %v", err)
			}
			return nil
		})
		if err != nil || !called {
			t.Errorf("called: %v, %v", called, err)
		}
	})
	t.Run("NamingAKeyTwiceIsNamingItOnce", func(t *testing.T) {
		s := open(t, e)
		for n := 1; n <= 3; n++ {
			if got, err := increment(ctx, s, "a", "a", "b", "a"); err != nil || got != n {
				t.Fatalf("count is %d, %v; want %d", got, err, n)
			}
		}
		holds(t, s, "a", "3")
	})
	t.Run("NamesInAnyOrderDoNotBlockEachOther", func(t *testing.T) {
		stores := openMany(t, e, 2)
		parallel(40, func(i int) {
			keys := []string{"a", "b"}
			if i%2 == 1 {
				keys = []string{"b", "a"}
			}
			if _, err := increment(ctx, stores[i%2], "a", keys...); err != nil {
				t.Error(err)
			}
		})
		holds(t, stores[0], "a", "40")
	})
	t.Run("AnUpdateThatOnlyReadsChangesNothing", func(t *testing.T) {
		s := open(t, e)
		put(t, s, "a", "1")
		var got []byte
		err := s.Update(ctx, func(tx store.Tx) (err error) {
			got, err = tx.Get("a")
			return err
		}, "a")
		if err != nil || string(got) != "1" {
			t.Errorf("%q, %v", got, err)
		}
		holds(t, s, "a", "1")
	})
}

func failures(t *testing.T, e Engine) {
	ctx := context.Background()
	writeBoth := func(tx store.Tx) error {
		return errors.Join(tx.Put("a", []byte("changed")), tx.Delete("b"), tx.Put("new", nil))
	}
	unchanged := func(t *testing.T, s *place) {
		t.Helper()
		for range 2 {
			holds(t, s, "a", "1")
			holds(t, s, "b", "2")
			lacks(t, s, "new")
			put(t, s, "a", "1") // still usable
			s.reopen()
		}
	}
	prepared := func(t *testing.T) *place {
		s := open(t, e)
		put(t, s, "a", "1")
		put(t, s, "b", "2")
		return s
	}

	t.Run("AnErrorOfTheFunctionComesBackAsItIsAndNothingIsWritten", func(t *testing.T) {
		s := prepared(t)
		mine := fmt.Errorf("code already spent")
		err := s.Update(ctx, func(tx store.Tx) error {
			if err := writeBoth(tx); err != nil {
				t.Error(err)
			}
			return mine
		}, "a", "b", "new")
		if err != mine {
			t.Errorf("got %v, not the very error", err)
		}
		unchanged(t, s)
	})
	t.Run("APanicOfTheFunctionComesBackToTheCallerAndNothingIsWritten", func(t *testing.T) {
		s := prepared(t)
		func() {
			defer func() {
				if r := recover(); r != "on purpose" {
					t.Errorf("recovered %v", r)
				}
			}()
			err := s.Update(ctx, func(tx store.Tx) error {
				if err := writeBoth(tx); err != nil {
					t.Error(err)
				}
				panic("on purpose")
			}, "a", "b", "new")
			t.Errorf("Update returned %v", err)
		}()
		unchanged(t, s)
	})
	t.Run("AFunctionThatEndsItsGoroutineWritesNothing", func(t *testing.T) {
		s := prepared(t)
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = s.Update(ctx, func(tx store.Tx) error {
				if err := writeBoth(tx); err != nil {
					t.Error(err)
				}
				runtime.Goexit() // what t.FailNow does
				return nil
			}, "a", "b", "new")
			t.Error("Update returned")
		}()
		<-done
		unchanged(t, s)
	})
	t.Run("FailuresDoNotSpoilTheUpdatesBesideThem", func(t *testing.T) {
		stores := openMany(t, e, 4)
		mine := errors.New("refused")
		parallel(120, func(i int) {
			key := fmt.Sprintf("key-%03d", i)
			defer func() {
				if r := recover(); (r != nil) != (i%3 == 1) {
					t.Errorf("%s: recovered %v", key, r)
				}
			}()
			err := stores[i%len(stores)].Update(ctx, func(tx store.Tx) error {
				if err := errors.Join(tx.Put(key, []byte("x")), tx.Put("shared", []byte(key))); err != nil {
					return err
				}
				switch i % 3 {
				case 1:
					panic(key)
				case 2:
					return mine
				}
				return nil
			}, key, "shared")
			if i%3 == 0 && err != nil || i%3 == 2 && err != mine {
				t.Errorf("%s: %v", key, err)
			}
		})
		for i := range 120 {
			if key := fmt.Sprintf("key-%03d", i); i%3 == 0 {
				holds(t, stores[0], key, "x")
			} else {
				lacks(t, stores[0], key)
			}
		}
	})
}

func contexts(t *testing.T, e Engine) {
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()

	t.Run("ACallWithACancelledContextDoesNothing", func(t *testing.T) {
		s := open(t, e)
		put(t, s, "a", "1")
		err := s.Update(cancelled, func(tx store.Tx) error {
			return tx.Put("a", []byte("2"))
		}, "a")
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Update: %v", err)
		}
		if _, err := s.Get(cancelled, "a"); !errors.Is(err, context.Canceled) {
			t.Errorf("Get: %v", err)
		}
		if _, err := s.List(cancelled, "", "", 1); !errors.Is(err, context.Canceled) {
			t.Errorf("List: %v", err)
		}
		holds(t, s, "a", "1")
	})
	t.Run("AnUpdateEndedWhileItWaitsForAnotherWritesNothing", func(t *testing.T) {
		s := open(t, e)
		started, finish := make(chan struct{}), make(chan struct{})
		first := make(chan error, 1)
		go func() {
			once := false
			first <- s.Update(context.Background(), func(tx store.Tx) error {
				if !once {
					once = true
					close(started)
				}
				<-finish
				return tx.Put("a", []byte("first"))
			}, "a")
		}()
		<-started
		ctx, cancel := context.WithCancel(context.Background())
		second := make(chan error, 1)
		go func() {
			second <- s.Update(ctx, func(tx store.Tx) error {
				// An engine may let both run and have one try again:
				// stay out of the first one's way until it is through.
				<-ctx.Done()
				return tx.Put("a", []byte("second"))
			}, "a")
		}()
		cancel()
		close(finish)
		if err := <-first; err != nil {
			t.Errorf("first: %v", err)
		}
		if err := <-second; !errors.Is(err, context.Canceled) {
			t.Errorf("second: %v", err)
		}
		holds(t, s, "a", "first")
	})
}
