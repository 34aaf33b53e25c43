package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// RunShared runs what the contract of store.Shared says beyond that of
// store.Store.
func RunShared(t *testing.T, e Engine) {
	t.Run("Versions", func(t *testing.T) { versions(t, e) })
	t.Run("Changed", func(t *testing.T) { changes(t, e) })
	t.Run("Written", func(t *testing.T) { written(t, e) })
}

// shared opens n stores on one place.
func shared(t *testing.T, e Engine, n int) []store.Shared {
	t.Helper()
	var all []store.Shared
	for _, s := range openMany(t, e, n) {
		s, ok := s.(store.Shared)
		if !ok {
			t.Fatalf("%T is no store.Shared", s)
		}
		all = append(all, s)
	}
	return all
}

// version returns the version of the document under key, which must be
// value.
func version(t *testing.T, s store.Shared, key, value string) int64 {
	t.Helper()
	got, version, err := s.GetVersion(context.Background(), key)
	if err != nil || string(got) != value || version == 0 {
		t.Fatalf("document %q is %.40q, version %d, %v; want %.40q", key, got, version, err, value)
	}
	return version
}

// wantChanged checks what Changed says of seen.
func wantChanged(t *testing.T, s store.Shared, seen map[string]int64, want ...string) {
	t.Helper()
	got, err := s.Changed(context.Background(), seen)
	if err != nil {
		t.Fatalf("Changed: %v", err)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("changed are %.200q, want %.200q", got, want)
	}
}

func versions(t *testing.T, e Engine) {
	ctx := context.Background()

	t.Run("GetVersionIsGetWithAVersion", func(t *testing.T) {
		s := shared(t, e, 1)[0]
		if got, version, err := s.GetVersion(ctx, "a"); !errors.Is(err, store.ErrNotFound) || version != 0 {
			t.Errorf("no document: %q, version %d, %v", got, version, err)
		}
		put(t, s, "a", "1")
		first := version(t, s, "a", "1")
		if again := version(t, s, "a", "1"); again != first {
			t.Errorf("an unchanged document went from version %d to %d", first, again)
		}
		put(t, s, "empty", "")
		version(t, s, "empty", "")
		remove(t, s, "a")
		if _, _, err := s.GetVersion(ctx, "a"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a deleted document: %v", err)
		}
		if _, _, err := s.GetVersion(ctx, ""); !errors.Is(err, store.ErrTooLarge) {
			t.Errorf("a key that can be none: %v", err)
		}
	})
	t.Run("NoVersionComesBack", func(t *testing.T) {
		stores := shared(t, e, 2)
		seen := make(map[int64]bool)
		for n := range 60 {
			s, other := stores[n%2], stores[1-n%2]
			if n%3 == 2 {
				remove(t, s, "a")
			}
			put(t, s, "a", "the same") // also when nothing else changes
			v := version(t, other, "a", "the same")
			if seen[v] {
				t.Fatalf("write %d has version %d, which was there before", n, v)
			}
			seen[v] = true
		}
	})
	t.Run("NoVersionComesBackWithinOneUpdate", func(t *testing.T) {
		s := shared(t, e, 1)[0]
		put(t, s, "a", "1")
		before := version(t, s, "a", "1")
		err := s.Update(ctx, func(tx store.Tx) error {
			return errors.Join(tx.Delete("a"), tx.Put("a", []byte("1")), tx.Put("b", nil))
		}, "a", "b")
		if err != nil {
			t.Fatal(err)
		}
		if after := version(t, s, "a", "1"); after == before {
			t.Errorf("a document that was replaced keeps version %d", before)
		}
	})
	t.Run("EveryDocumentOfARaceHasItsVersion", func(t *testing.T) {
		stores := shared(t, e, 4)
		const writes = 40
		found := make(chan int64, writes)
		parallel(writes, func(i int) {
			s := stores[i%len(stores)]
			if _, err := increment(ctx, s, "count", "count"); err != nil {
				t.Error(err)
			}
			_, version, err := s.GetVersion(ctx, "count")
			if err != nil {
				t.Error(err)
			}
			found <- version
		})
		last := version(t, stores[0], "count", strconv.Itoa(writes))
		close(found)
		for v := range found {
			if v == 0 {
				t.Error("a document has version 0")
			}
		}
		wantChanged(t, stores[1], map[string]int64{"count": last})
	})
	t.Run("ACallThatIsRefusedGetsNoVersion", func(t *testing.T) {
		s := shared(t, e, 1)[0]
		put(t, s, "a", "1")
		cancelled, cancel := context.WithCancel(ctx)
		cancel()
		if _, _, err := s.GetVersion(cancelled, "a"); !errors.Is(err, context.Canceled) {
			t.Errorf("GetVersion: %v", err)
		}
		if _, err := s.Changed(cancelled, map[string]int64{"a": 1}); !errors.Is(err, context.Canceled) {
			t.Errorf("Changed: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.GetVersion(ctx, "a"); !errors.Is(err, store.ErrClosed) {
			t.Errorf("GetVersion: %v", err)
		}
		if _, err := s.Changed(ctx, map[string]int64{"a": 1}); !errors.Is(err, store.ErrClosed) {
			t.Errorf("Changed: %v", err)
		}
	})
}

func changes(t *testing.T, e Engine) {
	ctx := context.Background()

	t.Run("NothingHasChangedOfNothing", func(t *testing.T) {
		s := shared(t, e, 1)[0]
		wantChanged(t, s, nil)
		wantChanged(t, s, map[string]int64{})
		put(t, s, "a", "1")
		wantChanged(t, s, nil)
	})
	t.Run("WhatOthersHaveWrittenHasChanged", func(t *testing.T) {
		stores := shared(t, e, 2)
		mine, theirs := stores[0], stores[1]
		for _, key := range []string{"kept", "changed", "deleted", "again", "a\x00", "é"} {
			put(t, mine, key, "1")
		}
		seen := map[string]int64{"absent": 0, "created": 0}
		for _, key := range []string{"kept", "changed", "deleted", "again", "a\x00", "é"} {
			seen[key] = version(t, mine, key, "1")
		}
		wantChanged(t, mine, seen)
		put(t, theirs, "changed", "1")
		remove(t, theirs, "deleted")
		remove(t, theirs, "again")
		put(t, theirs, "again", "1")
		put(t, theirs, "created", "1")
		put(t, theirs, "a\x00", "2")
		put(t, theirs, "not asked for", "1")
		wantChanged(t, mine, seen, "changed", "deleted", "again", "created", "a\x00")
	})
	t.Run("EveryUpdateThatReturnedIsSeen", func(t *testing.T) {
		stores := shared(t, e, 2)
		put(t, stores[0], "a", "0")
		v := version(t, stores[0], "a", "0")
		for n := 1; n <= 100; n++ {
			wantChanged(t, stores[0], map[string]int64{"a": v})
			put(t, stores[1], "a", strconv.Itoa(n))
			wantChanged(t, stores[0], map[string]int64{"a": v}, "a")
			v = version(t, stores[0], "a", strconv.Itoa(n))
		}
	})
	t.Run("AnUpdateThatFailedChangedNothing", func(t *testing.T) {
		s := shared(t, e, 1)[0]
		put(t, s, "a", "1")
		seen := map[string]int64{"a": version(t, s, "a", "1"), "b": 0}
		mine := errors.New("refused")
		err := s.Update(ctx, func(tx store.Tx) error {
			return errors.Join(tx.Put("a", []byte("2")), tx.Put("b", nil), mine)
		}, "a", "b")
		if !errors.Is(err, mine) {
			t.Fatal(err)
		}
		wantChanged(t, s, seen)
	})
	t.Run("ManyKeysAreComparedAtOnce", func(t *testing.T) {
		stores := shared(t, e, 2)
		const many, batch = 5000, 50
		key := func(i int) string { return fmt.Sprintf("user/%05d", i) }
		parallel(many/batch, func(n int) {
			var keys []string
			for i := range batch {
				keys = append(keys, key(n*batch+i))
			}
			err := stores[n%2].Update(ctx, func(tx store.Tx) error {
				for _, key := range keys {
					if err := tx.Put(key, []byte("1")); err != nil {
						return err
					}
				}
				return nil
			}, keys...)
			if err != nil {
				t.Error(err)
			}
		})
		seen := make(map[string]int64)
		for i := range many {
			seen[key(i)] = version(t, stores[0], key(i), "1")
			seen["absent/"+key(i)] = 0
		}
		wantChanged(t, stores[0], seen)
		put(t, stores[1], key(0), "2")
		put(t, stores[1], key(many/2), "2")
		remove(t, stores[1], key(many-1))
		put(t, stores[1], "absent/"+key(7), "1")
		wantChanged(t, stores[0], seen, key(0), key(many/2), key(many-1), "absent/"+key(7))
	})
}

func written(t *testing.T, e Engine) {
	stores := shared(t, e, 2)
	told := stores[0].Written()
	if told == nil {
		t.Skip("the engine has no way of telling")
	}
	for range 3 {
		// What is told may be of a write before: take what is there.
		select {
		case <-told:
		default:
		}
		within := time.After(recovery)
		again := time.NewTicker(time.Second)
		defer again.Stop()
		put(t, stores[1], "a", "1")
		for heard := false; !heard; {
			select {
			case _, open := <-told:
				if heard = open; !open {
					t.Fatal("the channel was closed")
				}
			case <-again.C: // it may be told of this one only
				put(t, stores[1], "a", "1")
			case <-within:
				t.Fatal("nothing was told")
			}
		}
	}
	if err := stores[0].Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case _, open := <-told:
		if !open {
			t.Error("the channel was closed")
		}
	default:
	}
}
