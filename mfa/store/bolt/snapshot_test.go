package bolt

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

func allow(_, _ store.Content) error { return nil }

func mustSnapshot(t *testing.T, s *Store) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := s.Snapshot(context.Background(), &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// sealed makes a snapshot of any content.
func sealed(content []byte) []byte {
	sum := sha256.Sum256(content)
	return append(append(bytes.Clone(content), sealText...), sum[:]...)
}

// beside returns the names of the files with the database at path.
func beside(t *testing.T, path string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != filepath.Base(path) {
			names = append(names, e.Name())
		}
	}
	return names
}

func TestASnapshotIsADatabase(t *testing.T) {
	s := mustOpen(t, written(t, filled(t)))
	path := written(t, mustSnapshot(t, s))
	s = mustOpen(t, path)
	mustHold(t, s, "user/199", strings.Repeat("user/199", 50))
	// New pages go over the seal.
	large := strings.Repeat("x", 300<<10)
	for _, key := range []string{"a", "b", "c"} {
		mustPut(t, s, key, large)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, path)
	mustHold(t, s, "c", large)
	mustHold(t, s, "user/000", strings.Repeat("user/000", 50))
	if err := s.Restore(context.Background(), bytes.NewReader(mustSnapshot(t, s)), allow); err != nil {
		t.Error(err)
	}
}

func TestTheWorkingCopyIsPrivateAndDoesNotStay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mfa.db")
	s := mustOpen(t, path)
	mustPut(t, s, "a", "1")
	looked := 0
	look := func() {
		names := beside(t, path)
		if len(names) != 1 {
			t.Fatalf("beside the database there are %v", names)
		}
		info, err := os.Stat(filepath.Join(filepath.Dir(path), names[0]))
		if err != nil || info.Mode() != 0o600 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
		looked++
	}
	var taken bytes.Buffer
	err := s.Snapshot(context.Background(), writerFunc(func(p []byte) (int, error) {
		look()
		return taken.Write(p)
	}))
	if err != nil || looked == 0 || len(beside(t, path)) != 0 {
		t.Errorf("Snapshot: %v, %d looks, left behind: %v", err, looked, beside(t, path))
	}
	for what, result := range map[string]error{"restored": nil, "refused": errors.New("refused")} {
		looked = 0
		err := s.Restore(context.Background(), bytes.NewReader(taken.Bytes()), func(_, _ store.Content) error {
			look()
			return result
		})
		if err != result || looked != 1 || len(beside(t, path)) != 0 {
			t.Errorf("%s: %v, %d looks, left behind: %v", what, err, looked, beside(t, path))
		}
	}
	if err := s.Restore(context.Background(), strings.NewReader("hello"), allow); err == nil || len(beside(t, path)) != 0 {
		t.Errorf("no snapshot: %v, left behind: %v", err, beside(t, path))
	}
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestOpenRemovesWorkingCopiesThatWereLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mfa.db")
	dir := filepath.Dir(path)
	for _, name := range []string{".mfa.db.copy-1", ".other.db.copy-1", "mfa.db.copy-1"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	mustOpen(t, path)
	if got := strings.Join(beside(t, path), " "); got != ".other.db.copy-1 mfa.db.copy-1" {
		t.Errorf("left are %s", got)
	}
}

func TestADamagedDatabaseIsNotCopied(t *testing.T) {
	content := filled(t)
	path := written(t, content)
	s := mustOpen(t, path)
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	page := os.Getpagesize()
	if _, err := f.WriteAt(make([]byte, len(content)-2*page), int64(2*page)); err != nil {
		t.Fatal(err)
	}
	err = s.Snapshot(context.Background(), writerFunc(func(p []byte) (int, error) {
		t.Error("something was written")
		return len(p), nil
	}))
	if !errors.Is(err, store.ErrCorrupt) {
		t.Error(err)
	}
}

func TestASealDoesNotMakeASnapshotOfAnything(t *testing.T) {
	s := mustOpen(t, filepath.Join(t.TempDir(), "mfa.db"))
	mustPut(t, s, "a", "live")
	for name, fill := range map[string]func(tx *bbolt.Tx) error{
		"another program's": func(tx *bbolt.Tx) error {
			_, err := tx.CreateBucket([]byte("other"))
			return err
		},
		"a bucket among the documents": func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucket(bucket)
			if err == nil {
				_, err = b.CreateBucket([]byte("nested"))
			}
			return err
		},
		"a key that is not UTF-8": func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucket(bucket)
			if err == nil {
				err = b.Put([]byte{0xff}, nil)
			}
			return err
		},
	} {
		db, err := bbolt.Open(filepath.Join(t.TempDir(), "made.db"), 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		var made bytes.Buffer
		err = errors.Join(db.Update(fill), db.View(func(tx *bbolt.Tx) error {
			_, err := tx.WriteTo(&made)
			return err
		}), db.Close())
		if err != nil {
			t.Fatal(err)
		}
		err = s.Restore(context.Background(), bytes.NewReader(sealed(made.Bytes())), allow)
		if !errors.Is(err, store.ErrBadSnapshot) {
			t.Errorf("%s: %v", name, err)
		}
	}
	mustHold(t, s, "a", "live")
}

func TestDamageUnderAGoodSealIsNoticedOrDoesNoHarm(t *testing.T) {
	taken := mustSnapshot(t, mustOpen(t, written(t, filled(t))))
	content := taken[:len(taken)-sealLen]
	s := mustOpen(t, filepath.Join(t.TempDir(), "mfa.db"))
	random := rand.New(rand.NewPCG(5, 6))
	refused, rounds := 0, 100
	for round := range rounds {
		// The header has a checksum of its own.
		damaged := append(bytes.Clone(content[:8192]), damage(random, content[8192:], round%2 == 0)...)
		err := s.Restore(context.Background(), bytes.NewReader(sealed(damaged)), allow)
		switch {
		case errors.Is(err, store.ErrBadSnapshot):
			refused++
		case err != nil:
			t.Errorf("round %d: %v", round, err)
		}
		mustPut(t, s, "alive", "1")
	}
	if refused == 0 || refused == rounds {
		t.Errorf("%d of %d refused", refused, rounds)
	}
	if err := s.Restore(context.Background(), bytes.NewReader(taken), allow); err != nil {
		t.Fatal(err)
	}
	if page, err := s.List(context.Background(), "", "", store.MaxPage); err != nil || len(page) != 200 {
		t.Errorf("%d documents, %v", len(page), err)
	}
}

func TestARestoredDatabaseIsSoundAndUsesItsRoomAgain(t *testing.T) {
	path := written(t, filled(t))
	s := mustOpen(t, path)
	taken := mustSnapshot(t, s)
	for range 20 {
		if err := s.Restore(context.Background(), bytes.NewReader(taken), allow); err != nil {
			t.Fatal(err)
		}
		mustPut(t, s, "more", "1")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Size() > 5*int64(len(taken)) {
		t.Errorf("%d bytes for a snapshot of %d, %v", info.Size(), len(taken), err)
	}
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.View(func(tx *bbolt.Tx) error {
		for err := range tx.Check() {
			t.Error(err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestARestoreTakesItsTurnAmongTheUpdates(t *testing.T) {
	s := mustOpen(t, filepath.Join(t.TempDir(), "mfa.db"))
	mustPut(t, s, "a", "taken")
	taken := mustSnapshot(t, s)
	release := held(t, s)
	done := make(chan error, 1)
	go func() {
		done <- s.Restore(context.Background(), bytes.NewReader(taken), func(live, _ store.Content) error {
			_, err := live.Get("held") // by the update before
			return err
		})
	}()
	if err := release(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := s.Get(context.Background(), "held"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a document that was not in the snapshot: %v", err)
	}
}

func TestARestoreThatWaitsForAnUpdateCanBeCancelled(t *testing.T) {
	s := mustOpen(t, filepath.Join(t.TempDir(), "mfa.db"))
	taken := mustSnapshot(t, s)
	release := held(t, s)
	ctx, cancel := context.WithCancel(context.Background())
	// The context ends with the last byte that is read.
	r := io.MultiReader(bytes.NewReader(taken), readerFunc(func([]byte) (int, error) {
		cancel()
		return 0, io.EOF
	}))
	if err := s.Restore(ctx, r, allow); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	mustHold(t, s, "held", "")
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
