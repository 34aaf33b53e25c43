package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/testtool"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

func init() { roles["limit"] = roleLimit }

// smallDisk mounts a file system of 1 MiB for the length of the test.
func smallDisk(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		testtool.Missing(t, "mounting a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmounting: %v", err)
		}
	})
	return dir
}

// fill leaves no room in dir, until the file it made is removed.
func fill(t *testing.T, dir string) (filler string) {
	t.Helper()
	filler = filepath.Join(dir, "filler")
	f, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	return filler
}

func TestAFullDiskIsSaidAndTheStoreGoesOnWhenThereIsRoom(t *testing.T) {
	dir := smallDisk(t)
	path := filepath.Join(dir, "mfa.db")
	s := mustOpen(t, path)
	mustPut(t, s, "before", "1")
	filler := fill(t, dir)

	large := make([]byte, 200<<10)
	for range 3 {
		err := put(s, "large", large)
		if !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, ErrDiskFull) || !strings.Contains(err.Error(), path) {
			t.Errorf("Update: %v", err)
		}
		mustHold(t, s, "before", "1")
		if _, err := s.Get(context.Background(), "large"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the write that failed reads as %v", err)
		}
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	mustPut(t, s, "large", string(large))
	mustPut(t, s, "after", "1")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, path)
	mustHold(t, s, "before", "1")
	mustHold(t, s, "large", string(large))
	mustHold(t, s, "after", "1")
	s.Close() // before the disk goes
}

func TestAFailedCommitIsToldToAllThatSawItsWrites(t *testing.T) {
	dir := smallDisk(t)
	s := mustOpen(t, filepath.Join(dir, "mfa.db"))
	fill(t, dir)
	release := held(t, s)
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { first <- put(s, "code", make([]byte, 200<<10)) }()
	queued(s, 1)
	go func() {
		second <- s.Update(context.Background(), func(tx store.Tx) error {
			if _, err := tx.Get("code"); err == nil {
				return errors.New("refused for what never came to be")
			}
			return nil
		}, "code")
	}()
	queued(s, 2)
	for what, err := range map[string]error{"held": release(), "first": <-first, "second": <-second} {
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: %v", what, err)
		}
	}
	s.Close()
}

func TestAFullDiskKeepsSnapshotsFromBeingMadeAndRestored(t *testing.T) {
	ctx := context.Background()
	dir := smallDisk(t)
	path := filepath.Join(dir, "mfa.db")
	s := mustOpen(t, path)
	mustPut(t, s, "a", "live")
	large := strings.Repeat("x", 300<<10)
	other := mustOpen(t, filepath.Join(t.TempDir(), "mfa.db"))
	mustPut(t, other, "a", large)
	taken := mustSnapshot(t, other)
	filler := fill(t, dir)
	full := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, ErrDiskFull) {
			t.Errorf("%s: %v", what, err)
		}
		if left := beside(t, path); len(left) > 1 {
			t.Errorf("%s: left behind: %v", what, left)
		}
	}
	full("Snapshot", s.Snapshot(ctx, io.Discard))
	full("Restore", s.Restore(ctx, bytes.NewReader(taken), allow))
	mustHold(t, s, "a", "live")
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	// There is room for the copy, and then none for the documents.
	full("Restore, later", s.Restore(ctx, bytes.NewReader(taken), func(_, _ store.Content) error {
		filler = fill(t, dir)
		return nil
	}))
	mustHold(t, s, "a", "live")
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if err := s.Restore(ctx, bytes.NewReader(taken), allow); err != nil {
		t.Error(err)
	}
	mustHold(t, s, "a", large)
	s.Close() // before the disk goes
}

func TestADatabaseIsNotHalfMadeOnAFullDisk(t *testing.T) {
	dir := smallDisk(t)
	filler := fill(t, dir)
	path := filepath.Join(dir, "mfa.db")
	if _, err := Open(path); !errors.Is(err, ErrDiskFull) {
		t.Errorf("Open: %v", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, path)
	mustPut(t, s, "a", "1")
	s.Close()
}

func TestAReadOnlyFileSystemIsSaid(t *testing.T) {
	dir := smallDisk(t)
	path := filepath.Join(dir, "mfa.db")
	mustOpen(t, path).Close()
	remount := func(flags uintptr) {
		if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT|flags, "size=1m"); err != nil {
			testtool.Missing(t, "remounting: %v", err)
		}
	}
	remount(syscall.MS_RDONLY)
	for _, path := range []string{path, filepath.Join(dir, "new.db"), filepath.Join(dir, "sub", "new.db")} {
		if _, err := Open(path); !errors.Is(err, ErrNotWritable) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
	remount(0)
	s := mustOpen(t, path)
	mustPut(t, s, "a", "1")
	s.Close()
}

func TestMissingPermissionsAreSaid(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "mfa.db")
	mustOpen(t, path).Close()
	if err := errors.Join(os.Chmod(path, 0o400), os.Chmod(dir, 0o555)); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if os.Geteuid() == 0 {
			// Root may write everywhere: this thread opens files as
			// somebody else, and ends with the goroutine.
			runtime.LockOSThread()
			_, _, _ = syscall.RawSyscall(syscall.SYS_SETFSUID, 65534, 0, 0)
		}
		for _, path := range []string{path, filepath.Join(dir, "new.db"), filepath.Join(dir, "sub", "new.db")} {
			if _, err := Open(path); !errors.Is(err, ErrNotWritable) || !strings.Contains(err.Error(), path) {
				t.Errorf("%s: %v", path, err)
			}
		}
	}()
	<-done
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Error(err)
	}
}

func TestALimitOnFileSizesIsAFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mfa.db")
	if out := child(t, "limit", path).output(t); out != "passed\n" {
		t.Error(out)
	}
}

// roleLimit lets its own files grow to 128 KiB only, and later further.
func roleLimit(path string) {
	fail := func(what string, err error) {
		fmt.Println(what+":", err)
		os.Exit(0)
	}
	signal.Ignore(syscall.SIGXFSZ)
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		fail("getting limit", err)
	}
	limit := old
	limit.Cur = 128 << 10
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		fail("setting limit", err)
	}
	s, err := Open(path)
	if err != nil {
		fail("Open", err)
	}
	defer s.Close()
	if err := put(s, "small", []byte("1")); err != nil {
		fail("Update within the limit", err)
	}
	for range 3 {
		if err := put(s, "large", make([]byte, 300<<10)); !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, ErrDiskFull) {
			fail("Update beyond the limit", err)
		}
	}
	if _, err := s.Get(context.Background(), "small"); err != nil {
		fail("Get", err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		fail("lifting limit", err)
	}
	if err := put(s, "large", make([]byte, 300<<10)); err != nil {
		fail("Update after the limit", err)
	}
	fmt.Println("passed")
}
