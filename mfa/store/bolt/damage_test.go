package bolt

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// filled returns the bytes of a database with some 200 documents.
func filled(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mfa.db")
	s := mustOpen(t, path)
	for i := range 200 {
		key := fmt.Sprintf("user/%03d", i)
		mustPut(t, s, key, strings.Repeat(key, 50))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func written(t *testing.T, content []byte) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "mfa.db")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// mustBeCorrupt fails unless every call on s, or its opening, says so.
func mustBeCorrupt(t *testing.T, s *Store) {
	t.Helper()
	ctx := context.Background()
	if _, err := s.Get(ctx, "user/100"); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("Get: %v", err)
	}
	if _, err := s.List(ctx, "", "", store.MaxPage); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("List: %v", err)
	}
	if err := put(s, "user/100", nil); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("Update: %v", err)
	}
}

func TestATruncatedDatabaseIsRefused(t *testing.T) {
	content := filled(t)
	for _, size := range []int{1, 100, 1024, 4096, 4097, 8192, 16384, len(content) / 2} {
		_, err := Open(written(t, content[:size]))
		if !errors.Is(err, store.ErrCorrupt) && !errors.Is(err, ErrNotDatabase) {
			t.Errorf("%d of %d bytes: %v", size, len(content), err)
		}
		if size > 4096 && (err == nil || !strings.Contains(err.Error(), "cut short")) {
			t.Errorf("%d of %d bytes: %v", size, len(content), err)
		}
	}
}

func TestADamagedHeaderIsRefused(t *testing.T) {
	content := filled(t)
	page := os.Getpagesize()
	for _, offset := range []int{20, 24, 32, 48, 56, 64, 72} { // version to checksum
		damaged := append([]byte{}, content...)
		damaged[offset] ^= 0x55
		damaged[page+offset] ^= 0x55
		if _, err := Open(written(t, damaged)); !errors.Is(err, store.ErrCorrupt) && !errors.Is(err, ErrNotDatabase) {
			t.Errorf("byte %d of both: %v", offset, err)
		}
	}
}

func TestOneDamagedHeaderOfTwoIsNoLoss(t *testing.T) {
	content := filled(t)
	page := os.Getpagesize()
	for _, offset := range []int{0, page} {
		damaged := append([]byte{}, content...)
		clear(damaged[offset : offset+page])
		s := mustOpen(t, written(t, damaged))
		// At most the very last commit is not seen.
		mustHold(t, s, "user/198", strings.Repeat("user/198", 50))
		mustPut(t, s, "user/200", "new")
		mustHold(t, s, "user/200", "new")
		s.Close()
	}
}

func TestAFileCutShortWhileInUseIsAnErrorAndGetsNoMoreWrites(t *testing.T) {
	content := filled(t)
	for _, size := range []int64{0, 4096, 8192, 16384, int64(len(content)) - 4096} {
		path := written(t, content)
		s := mustOpen(t, path)
		mustHold(t, s, "user/100", strings.Repeat("user/100", 50))
		if err := os.Truncate(path, size); err != nil {
			t.Fatal(err)
		}
		mustBeCorrupt(t, s)
		// Put back under the running process it is still not trusted.
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		mustBeCorrupt(t, s)
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if _, err := s.Get(context.Background(), "user/100"); !errors.Is(err, store.ErrClosed) {
			t.Errorf("Get after Close: %v", err)
		}
		s = mustOpen(t, path)
		mustHold(t, s, "user/100", strings.Repeat("user/100", 50))
		mustPut(t, s, "new", "1")
		s.Close()
	}
}

func TestAReadBeyondTheEndOfTheFileIsAnError(t *testing.T) {
	// What the look at the size does not catch, for lack of time
	// between look and read, the guard must.
	content := filled(t)
	path := written(t, content)
	s := mustOpen(t, path)
	s.size.Store(0)
	if err := os.Truncate(path, 8192); err != nil {
		t.Fatal(err)
	}
	mustBeCorrupt(t, s)
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}

	path = written(t, content)
	s = mustOpen(t, path)
	s.size.Store(0)
	if err := os.Truncate(path, 0); err != nil { // not even a header
		t.Fatal(err)
	}
	mustBeCorrupt(t, s)
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func TestDamageIsNoticedAtOpenOrDoesNoHarm(t *testing.T) {
	content := filled(t)
	random := rand.New(rand.NewPCG(3, 4))
	rounds := 200
	if testing.Short() {
		rounds = 40
	}
	refused := 0
	for round := range rounds {
		s, err := Open(written(t, damage(random, content, round%2 == 0)))
		if err != nil {
			if !errors.Is(err, store.ErrCorrupt) && !errors.Is(err, ErrNotDatabase) {
				t.Errorf("round %d: Open: %v", round, err)
			}
			refused++
			continue
		}
		// What is left is damage to documents, whose own seal tells,
		// and to pages that are free.
		page, err := s.List(context.Background(), "", "", store.MaxPage)
		if err != nil || len(page) < 199 {
			t.Errorf("round %d: %d documents, %v", round, len(page), err)
		}
		for i := 0; i < len(page); i += 60 {
			if err := put(s, page[i].Key, nil); err != nil {
				t.Errorf("round %d: Update: %v", round, err)
			}
			if _, err := s.Get(context.Background(), page[i].Key); err != nil {
				t.Errorf("round %d: Get: %v", round, err)
			}
		}
		if err := s.Close(); err != nil {
			t.Errorf("round %d: Close: %v", round, err)
		}
	}
	t.Logf("%d of %d refused", refused, rounds)
	if refused == 0 || refused == rounds {
		t.Errorf("%d of %d refused", refused, rounds)
	}
}

// damage returns a copy of content with some bytes changed: anywhere, or
// at the start of pages, where it hurts.
func damage(random *rand.Rand, content []byte, atStart bool) []byte {
	damaged := append([]byte{}, content...)
	for range 1 + random.IntN(40) {
		at := random.IntN(len(damaged))
		if atStart {
			at = at&^4095 + random.IntN(64)
		}
		damaged[at] = byte(random.Uint32())
	}
	return damaged
}

func TestAPageThatIsFreeAndInUseIsRefused(t *testing.T) {
	content := filled(t)
	f, err := os.Open(written(t, content))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := newestMeta(f)
	if err != nil {
		t.Fatal(err)
	}
	// One more entry in the list of free pages: a page of the tree.
	order := binary.NativeEndian
	list := content[m.freelist*uint64(m.pageSize):]
	count := order.Uint16(list[10:])
	order.PutUint16(list[10:], count+1)
	order.PutUint64(list[pageHeaderLen+8*int(count):], m.root)
	if _, err := Open(written(t, content)); !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), "two places") {
		t.Error(err)
	}
}

func TestDamageUnderARunningStoreIsAnError(t *testing.T) {
	content := filled(t)
	path := written(t, content)
	s := mustOpen(t, path)
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	// Everything but the two pages that say where to begin.
	page := os.Getpagesize()
	if _, err := f.WriteAt(make([]byte, len(content)-2*page), int64(2*page)); err != nil {
		t.Fatal(err)
	}
	mustBeCorrupt(t, s)
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if _, err := Open(path); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("opening it anew: %v", err)
	}
}
