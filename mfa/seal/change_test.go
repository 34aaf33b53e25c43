package seal_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/seal"
)

// newFile makes a key file and loads it.
func newFile(t *testing.T) (path string, keys *seal.Keys) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "mfa.key")
	keys, _, err := seal.LoadOrCreate(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, keys
}

// grow adds a pair and loads the file again.
func grow(t *testing.T, path string) (seal.Pair, *seal.Keys) {
	t.Helper()
	pair, err := seal.AddKeys(path)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := seal.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return pair, keys
}

func TestAKeyThatWasAddedOpensOnlyItsOwnAndLeavesTheOldOnesAtWork(t *testing.T) {
	path, old := newFile(t)
	first := old.InUse()
	sealed, err := old.Seal("l", []byte("text"))
	if err != nil {
		t.Fatal(err)
	}
	hash, err := old.Hash("l", []byte("code"))
	if err != nil {
		t.Fatal(err)
	}
	pair, keys := grow(t, path)
	if keys.Newest() != pair || !slices.Equal(keys.Sealing(), []seal.KeyID{first.Sealing, pair.Sealing}) {
		t.Errorf("the file holds %v, newest %v", keys.Sealing(), keys.Newest())
	}
	for _, use := range []seal.Pair{first, pair} {
		if err := keys.Use(use, time.Time{}); err != nil {
			t.Fatal(err)
		}
		if text, err := keys.Open("l", sealed); err != nil || string(text) != "text" {
			t.Errorf("the old text opens as %q, %v", text, err)
		}
		if !keys.Matches("l", []byte("code"), hash) {
			t.Error("the old hash does not match")
		}
		made, err := keys.Seal("l", nil)
		if id, ok := seal.KeyOf(made); err != nil || !ok || id != use.Sealing {
			t.Errorf("sealed by %v, %v", id, err)
		}
		hashes, err := keys.Hashes("l", []byte("code"))
		if id, _ := seal.KeyOf(hashes[0]); err != nil || len(hashes) != 2 || id != use.Hashing {
			t.Errorf("%d hashes, %v", len(hashes), err)
		}
		if !slices.ContainsFunc(hashes, func(h []byte) bool { return slices.Equal(h, hash) }) {
			t.Error("the old hash is not among them")
		}
	}
	newer, err := keys.Seal("l", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = old.Open("l", newer)
	if !errors.Is(err, seal.ErrUnknownKey) || !errors.Is(err, seal.ErrNotOpened) {
		t.Errorf("without the new key: %v", err)
	}
}

func TestKeysThatLackTheOneInUseAreOfNoUseUntilTheyHaveIt(t *testing.T) {
	path, keys := newFile(t)
	sealed, err := keys.Seal("l", nil)
	if err != nil {
		t.Fatal(err)
	}
	pair, grown := grow(t, path)
	wantOut := func(err error) {
		t.Helper()
		if !errors.Is(err, seal.ErrUnknownKey) {
			t.Errorf("got %v", err)
		}
	}
	wantOut(keys.Use(pair, time.Time{}))
	_, err = keys.Seal("l", nil)
	wantOut(err)
	_, err = keys.Open("l", sealed)
	wantOut(err)
	_, err = keys.Hash("l", nil)
	wantOut(err)
	_, err = keys.Hashes("l", nil)
	wantOut(err)
	if err := keys.Adopt(grown); err != nil {
		t.Fatal(err)
	}
	if err := keys.Use(pair, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Open("l", sealed); err != nil {
		t.Error(err)
	}
	_, other := newFile(t)
	wantOut(keys.Adopt(other))
	if _, err := keys.Seal("l", nil); err != nil {
		t.Errorf("a file that was refused took effect: %v", err)
	}
}

func TestAKeyThatWasRemovedIsGoneAndTheLastOneStays(t *testing.T) {
	path, keys := newFile(t)
	first := keys.InUse()
	pair, _ := grow(t, path)
	if err := seal.RemoveKeys(path, []seal.KeyID{first.Sealing, first.Hashing}); err != nil {
		t.Fatal(err)
	}
	left, err := seal.Load(path)
	if err != nil || left.InUse() != pair || len(left.Sealing()) != 1 || len(left.Hashing()) != 1 {
		t.Errorf("%v of %v, %v", left.InUse(), left.Sealing(), err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := seal.RemoveKeys(path, []seal.KeyID{pair.Sealing}); err == nil {
		t.Error("the last key was removed")
	}
	if err := seal.RemoveKeys(path, []seal.KeyID{first.Sealing}); !errors.Is(err, seal.ErrUnknownKey) {
		t.Errorf("a key that is gone is removed: %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || !slices.Equal(after, before) {
		t.Errorf("the file was changed (%v)", err)
	}
}

func TestAKeyFileThatIsChangedKeepsItsModeAndItsLink(t *testing.T) {
	path, _ := newFile(t)
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link.key")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	grow(t, link)
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link is %v, %v", info, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the file is %v, %v", info, err)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("the folder holds %v, %v", left, err)
	}
	if _, err := seal.AddKeys(filepath.Join(t.TempDir(), "none")); !errors.Is(err, seal.ErrNoKeyFile) {
		t.Errorf("no file: got %v", err)
	}
}

func TestAKeyFileThatCannotBeWrittenStaysAsItIs(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write everywhere")
	}
	path, _ := newFile(t)
	if err := os.Chmod(filepath.Dir(path), 0o500); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(filepath.Dir(path), 0o700)
	if _, err := seal.AddKeys(path); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("got %v", err)
	}
	if keys, err := seal.Load(path); err != nil || len(keys.Sealing()) != 1 {
		t.Error(err)
	}
}
