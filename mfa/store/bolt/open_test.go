package bolt

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

func TestOpenMakesTheFileAndItsDirectoryPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "var", "data")
	path := filepath.Join(dir, "mfa.db")
	s := mustOpen(t, path)
	mustPut(t, s, "a", "1")
	for name, want := range map[string]fs.FileMode{path: 0o600, dir: fs.ModeDir | 0o700} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("%s has mode %v, want %v", name, info.Mode(), want)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("beside the database there are %v, %v", entries, err)
	}
}

func TestOpenLeavesTheModeOfAnExistingDirectoryAlone(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, filepath.Join(dir, "mfa.db"))
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o750 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestOpenRefusesWhatIsNoDatabaseOfOurs(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	foreign := filepath.Join(dir, "foreign.db")
	db, err := bbolt.Open(foreign, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	unlisted := filepath.Join(dir, "unlisted.db")
	if db, err = bbolt.Open(unlisted, 0o600, &bbolt.Options{NoFreelistSync: true}); err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket(bucket)
		return err
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct{ path, says string }{
		"a directory":            {dir, "directory"},
		"an empty file":          {file("empty", ""), "empty"},
		"a short text":           {file("short", "hello"), "no bolt file"},
		"a long text":            {file("long", strings.Repeat("hello ", 10_000)), "no bolt file"},
		"zeroes":                 {file("zero", strings.Repeat("\x00", 1<<16)), "no bolt file"},
		"another program's file": {foreign, "another program"},
		"no list of free pages":  {unlisted, "free pages"},
		"a device":               {os.DevNull, "regular"},
	} {
		before, _ := os.ReadFile(row.path)
		s, err := Open(row.path)
		if err == nil {
			s.Close()
		}
		if !errors.Is(err, ErrNotDatabase) || !strings.Contains(err.Error(), row.says) || !strings.Contains(err.Error(), row.path) {
			t.Errorf("%s: %v", name, err)
		}
		if after, _ := os.ReadFile(row.path); string(after) != string(before) {
			t.Errorf("%s: it was changed", name)
		}
	}
}

func TestOpenRefusesPathsThatLeadNowhere(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(""); err == nil || !strings.Contains(err.Error(), "path is empty") {
		t.Errorf("no path: %v", err)
	}
	blocked := filepath.Join(dir, "file")
	if err := os.WriteFile(blocked, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(filepath.Join(blocked, "mfa.db")); err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("below a file: %v", err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "nothing"), link); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(link); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("dangling link: %v", err)
	}
}

func TestOpenFollowsALinkToADatabase(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "mfa.db"), filepath.Join(dir, "link")
	s := mustOpen(t, path)
	mustPut(t, s, "a", "1")
	s.Close()
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	mustHold(t, mustOpen(t, link), "a", "1")
}

func TestADatabaseInUseIsNotOpenedTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mfa.db")
	s := mustOpen(t, path)
	mustPut(t, s, "a", "1")
	_, err := Open(path)
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "stop that one") {
		t.Errorf("in this process: %v", err)
	}
	if out := child(t, "open", path).output(t); !strings.Contains(out, "locked") {
		t.Errorf("in another process: %s", out)
	}
	mustPut(t, s, "b", "2")
	s.Close()
	if out := child(t, "open", path).output(t); !strings.Contains(out, "opened") {
		t.Errorf("after Close: %s", out)
	}
	mustHold(t, mustOpen(t, path), "b", "2")
}

func TestARefusedOpenLeavesNothingLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mfa.db")
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
	if _, err := Open(path); !errors.Is(err, ErrNotDatabase) {
		t.Fatal(err)
	}
	db, err = bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockWait})
	if err != nil {
		t.Fatalf("opening it again: %v", err)
	}
	db.Close()
}

func TestOneOfManyThatCreateTheSameDatabaseGetsIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "mfa.db")
	var mu sync.Mutex
	var opened []*Store
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			s, err := Open(path)
			if err != nil {
				if !errors.Is(err, ErrLocked) {
					t.Error(err)
				}
				return
			}
			mu.Lock()
			opened = append(opened, s)
			mu.Unlock()
		})
	}
	wg.Wait()
	if len(opened) != 1 {
		t.Fatalf("%d got it", len(opened))
	}
	mustPut(t, opened[0], "a", "1")
	opened[0].Close()
	mustHold(t, mustOpen(t, path), "a", "1")
}

func TestATransactionUsedAfterItsUpdateIsRefused(t *testing.T) {
	s := mustOpen(t, filepath.Join(t.TempDir(), "mfa.db"))
	var kept store.Tx
	err := s.Update(context.Background(), func(tx store.Tx) error {
		kept = tx
		return nil
	}, "a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kept.Get("a"); err == nil {
		t.Error("Get went through")
	}
	if kept.Put("a", nil) == nil || kept.Delete("a") == nil {
		t.Error("a write went through")
	}
}
