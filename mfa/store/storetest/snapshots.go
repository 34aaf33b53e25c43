package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// snapshots tests the engines that implement store.Snapshotter.
func snapshots(t *testing.T, e Engine) {
	if _, ok := open(t, e).Store.(store.Snapshotter); !ok {
		t.Skip("this engine leaves backups to tools of its own")
	}
	t.Run("RestoreReplacesAllDocuments", func(t *testing.T) { restoreReplaces(t, e) })
	t.Run("CheckSeesBothAndDecides", func(t *testing.T) { checkDecides(t, e) })
	t.Run("WhatIsNoSnapshotChangesNothing", func(t *testing.T) { badSnapshots(t, e) })
	t.Run("RevisionsOnlyGrow", func(t *testing.T) { revisions(t, e) })
	t.Run("ASnapshotIsOfOneMoment", func(t *testing.T) { oneMoment(t, e) })
	t.Run("ReadersSeeTheOldOrTheNew", func(t *testing.T) { oldOrNew(t, e) })
	t.Run("ASlowReceiverHoldsNobodyUp", func(t *testing.T) { slowReceiver(t, e) })
	t.Run("ErrorsOfTheOtherSide", func(t *testing.T) { otherSide(t, e) })
	t.Run("ClosedAndCancelled", func(t *testing.T) { closedAndCancelled(t, e) })
}

func snapshot(t *testing.T, s store.Store) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := s.(store.Snapshotter).Snapshot(context.Background(), &b); err != nil {
		t.Fatalf("Snapshot: %v", err)
	}
	return b.Bytes()
}

func restore(s store.Store, content []byte, check func(live, snapshot store.Content) error) error {
	return s.(store.Snapshotter).Restore(context.Background(), bytes.NewReader(content), check)
}

func allow(_, _ store.Content) error { return nil }

func restoreReplaces(t *testing.T, e Engine) {
	from, to := open(t, e), open(t, e)
	large := strings.Repeat("x", store.MaxValue)
	longKey := strings.Repeat("k", store.MaxKey)
	put(t, from, "empty", "")
	put(t, from, "large", large)
	put(t, from, longKey, "1")
	for i := range 300 {
		put(t, from, fmt.Sprintf("user/%03d", i), fmt.Sprint("from ", i))
	}
	for i := range 500 {
		put(t, to, fmt.Sprintf("user/%03d", i), fmt.Sprint("to ", i))
	}
	put(t, to, "old", "1")
	if err := restore(to.Store, snapshot(t, from.Store), allow); err != nil {
		t.Fatal(err)
	}
	same := func() {
		t.Helper()
		lacks(t, to, "old")
		lacks(t, to, "user/300")
		holds(t, to, "empty", "")
		holds(t, to, "large", large)
		holds(t, to, longKey, "1")
		for i := range 300 {
			holds(t, to, fmt.Sprintf("user/%03d", i), fmt.Sprint("from ", i))
		}
		page, err := to.List(context.Background(), "", "", store.MaxPage)
		if err != nil || len(page) != 303 {
			t.Fatalf("%d documents, %v", len(page), err)
		}
	}
	same()
	to.reopen()
	same()
	put(t, to, "new", "1")
	holds(t, to, "new", "1")

	// A store without documents is one to restore, too.
	if err := restore(to.Store, snapshot(t, open(t, e).Store), allow); err != nil {
		t.Fatal(err)
	}
	if page, err := to.List(context.Background(), "", "", 1); err != nil || len(page) != 0 {
		t.Errorf("%v, %v", page, err)
	}
}

// all are the documents that Each tells of.
func all(t *testing.T, c store.Content) map[string]string {
	t.Helper()
	found := make(map[string]string)
	last := ""
	err := c.Each(func(key string, value []byte) error {
		if key <= last {
			t.Errorf("%q comes after %q", key, last)
		}
		found[key], last = string(value), key
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return found
}

func checkDecides(t *testing.T, e Engine) {
	s := open(t, e)
	put(t, s, "user/1", "old")
	put(t, s, "other", "old")
	taken := snapshot(t, s.Store)
	put(t, s, "user/1", "new")
	put(t, s, "user/2", "new")

	refused := errors.New("refused")
	called := 0
	err := restore(s.Store, taken, func(live, snapshot store.Content) error {
		called++
		for what, row := range map[string]struct {
			content store.Content
			value   string
			users   int
		}{"live": {live, "new", 2}, "snapshot": {snapshot, "old", 1}} {
			if v, err := row.content.Get("user/1"); err != nil || string(v) != row.value {
				t.Errorf("%s: Get: %q, %v", what, v, err)
			}
			if got := all(t, row.content); len(got) != row.users+1 || got["user/1"] != row.value || got["other"] != "old" {
				t.Errorf("%s: Each: %q", what, got)
			}
			stop := errors.New("stop")
			if err := row.content.Each(func(string, []byte) error { return stop }); err != stop {
				t.Errorf("%s: Each: %v", what, err)
			}
			if _, err := row.content.Get("none"); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s: Get of none: %v", what, err)
			}
			if _, err := row.content.Get(""); !errors.Is(err, store.ErrTooLarge) {
				t.Errorf("%s: Get without a key: %v", what, err)
			}
			for _, count := range []struct {
				prefix      string
				limit, want int
			}{{"user/", 10, row.users}, {"user/", 1, 1}, {"", 10, row.users + 1}, {"v", 10, 0}, {"user/1", 10, 1}} {
				if n, err := row.content.Count(count.prefix, count.limit); err != nil || n != count.want {
					t.Errorf("%s: Count(%q, %d): %d, %v", what, count.prefix, count.limit, n, err)
				}
			}
		}
		if live.Revision() <= snapshot.Revision() {
			t.Errorf("revisions %d and %d", live.Revision(), snapshot.Revision())
		}
		return refused
	})
	if err != refused || called != 1 {
		t.Errorf("%v after %d calls", err, called)
	}
	holds(t, s, "user/1", "new")

	func() {
		defer func() {
			if recover() != "check" {
				t.Error("the panic did not come back")
			}
		}()
		_ = restore(s.Store, taken, func(_, _ store.Content) error { panic("check") })
	}()
	holds(t, s, "user/1", "new")
	put(t, s, "user/3", "new")
}

func badSnapshots(t *testing.T, e Engine) {
	s := open(t, e)
	for i := range 50 {
		put(t, s, fmt.Sprintf("user/%03d", i), strings.Repeat("x", 1000))
	}
	taken := snapshot(t, s.Store)
	put(t, s, "user/000", "live")
	bad := map[string][]byte{
		"empty":      {},
		"one byte":   taken[:1],
		"text":       []byte("hello"),
		"long text":  bytes.Repeat([]byte("hello "), 20_000),
		"zeroes":     make([]byte, len(taken)),
		"longer":     append(bytes.Clone(taken), 0),
		"twice":      append(bytes.Clone(taken), taken...),
		"late start": taken[1:],
	}
	for _, cut := range []int{1, 2, 31, 32, 33, 63, 64, 65, 1000, 4096, len(taken) / 2, len(taken) - 100} {
		bad[fmt.Sprintf("%d bytes short", cut)] = taken[:len(taken)-cut]
	}
	step := len(taken)/200 + 1
	for at := 0; at < len(taken); at += step {
		flipped := bytes.Clone(taken)
		flipped[at] ^= 1 << (at % 8)
		bad[fmt.Sprintf("bit flipped in byte %d", at)] = flipped
	}
	for at := len(taken) - 70; at < len(taken); at += 3 {
		flipped := bytes.Clone(taken)
		flipped[at] ^= 0x80
		bad[fmt.Sprintf("bit flipped in byte %d of the end", at)] = flipped
	}
	for what, content := range bad {
		err := restore(s.Store, content, func(_, _ store.Content) error {
			t.Errorf("%s: check was called", what)
			return nil
		})
		if !errors.Is(err, store.ErrBadSnapshot) || errors.Is(err, store.ErrCorrupt) {
			t.Errorf("%s: %v", what, err)
		}
	}
	holds(t, s, "user/000", "live")
	if err := restore(s.Store, taken, allow); err != nil {
		t.Fatalf("the snapshot itself: %v", err)
	}
	holds(t, s, "user/000", strings.Repeat("x", 1000))
}

func revisions(t *testing.T, e Engine) {
	s := open(t, e)
	look := errors.New("looked")
	revision := func(content []byte) (live, snapshot uint64) {
		t.Helper()
		err := restore(s.Store, content, func(l, s store.Content) error {
			live, snapshot = l.Revision(), s.Revision()
			return look
		})
		if err != look {
			t.Fatal(err)
		}
		return live, snapshot
	}
	put(t, s, "a", "1")
	first := snapshot(t, s.Store)
	live, taken := revision(first)
	if live != taken {
		t.Errorf("unchanged, yet revisions %d and %d", live, taken)
	}
	for range 5 {
		put(t, s, "a", "2")
		next, _ := revision(first)
		if next <= live {
			t.Errorf("revision %d after %d", next, live)
		}
		live = next
	}
	last := snapshot(t, s.Store)
	if err := restore(s.Store, first, allow); err != nil {
		t.Fatal(err)
	}
	holds(t, s, "a", "1")
	if restored, taken := revision(last); restored <= taken {
		t.Errorf("revision %d after restoring, the one replaced had %d", restored, taken)
	}

	// In a store that has seen less it goes on from the snapshot's.
	s = open(t, e)
	if err := restore(s.Store, last, allow); err != nil {
		t.Fatal(err)
	}
	restored, taken := revision(last)
	if restored <= taken {
		t.Errorf("revision %d after restoring %d", restored, taken)
	}
	s.reopen()
	if again, _ := revision(last); again != restored {
		t.Errorf("revision %d became %d by opening it again", restored, again)
	}
}

func otherSide(t *testing.T, e Engine) {
	s := open(t, e)
	put(t, s, "a", "1")
	lost := errors.New("lost")
	w := &failingWriter{lost}
	if err := s.Store.(store.Snapshotter).Snapshot(context.Background(), w); !errors.Is(err, lost) || errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Snapshot: %v", err)
	}
	taken := snapshot(t, s.Store)
	put(t, s, "a", "2")
	for _, after := range []int{0, 10, len(taken) / 2, len(taken) - 1, len(taken)} {
		r := io.MultiReader(bytes.NewReader(taken[:after]), iotest.ErrReader(lost))
		err := s.Store.(store.Snapshotter).Restore(context.Background(), r, allow)
		if !errors.Is(err, lost) || errors.Is(err, store.ErrUnavailable) {
			t.Errorf("Restore, lost after %d bytes: %v", after, err)
		}
	}
	holds(t, s, "a", "2")
	err := s.Store.(store.Snapshotter).Restore(context.Background(), iotest.OneByteReader(bytes.NewReader(taken)), allow)
	if err != nil {
		t.Errorf("Restore byte by byte: %v", err)
	}
	holds(t, s, "a", "1")
}

type failingWriter struct{ err error }

func (w *failingWriter) Write([]byte) (int, error) { return 0, w.err }

func closedAndCancelled(t *testing.T, e Engine) {
	s := open(t, e)
	put(t, s, "a", "1")
	taken := snapshot(t, s.Store)
	put(t, s, "a", "2")

	ctx, cancel := context.WithCancel(context.Background())
	g, done := newGate(), make(chan error, 1)
	go func() { done <- s.Store.(store.Snapshotter).Snapshot(ctx, g) }()
	<-g.reached
	cancel()
	close(g.opened)
	if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("Snapshot, cancelled under way: %v", err)
	}
	if err := s.Store.(store.Snapshotter).Snapshot(ctx, io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("Snapshot, cancelled before: %v", err)
	}
	if err := s.Store.(store.Snapshotter).Restore(ctx, bytes.NewReader(taken), allow); !errors.Is(err, context.Canceled) {
		t.Errorf("Restore, cancelled before: %v", err)
	}
	ctx, cancel = context.WithCancel(context.Background())
	err := s.Store.(store.Snapshotter).Restore(ctx, bytes.NewReader(taken), func(_, _ store.Content) error {
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Restore, cancelled in check: %v", err)
	}
	holds(t, s, "a", "2")

	if err := restore(s.Store, taken, func(_, _ store.Content) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Store.(store.Snapshotter).Snapshot(context.Background(), io.Discard); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Snapshot after Close: %v", err)
	}
	if err := restore(s.Store, taken, allow); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Restore after Close: %v", err)
	}
}
