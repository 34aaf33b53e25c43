package bolt

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash/fnv"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// sample returns the bytes of a small database.
func sample(f *testing.F) []byte {
	f.Helper()
	path := filepath.Join(f.TempDir(), "mfa.db")
	s, err := Open(path)
	if err != nil {
		f.Fatal(err)
	}
	for _, key := range []string{"a", "b", "user/alice", "user/bob", "z"} {
		if err := put(s, key, []byte(strings.Repeat(key, 300))); err != nil {
			f.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		f.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	return content
}

// bend changes content as the bends say, six bytes each: where, and what
// stands there instead. It then makes the headers' checksums right, as somebody
// would who bends a file on purpose.
func bend(content, bends []byte) []byte {
	bent := bytes.Clone(content)
	for ; len(bends) >= 6; bends = bends[6:] {
		at := int(binary.BigEndian.Uint32(bends)) % (len(bent) - 1)
		copy(bent[at:at+2], bends[4:6])
	}
	page := os.Getpagesize()
	for _, at := range []int{pageHeaderLen, page + pageHeaderLen} {
		h := fnv.New64a()
		h.Write(bent[at : at+56])
		binary.NativeEndian.PutUint64(bent[at+56:], h.Sum64())
	}
	return bent
}

// use calls everything that an open store has. It must not panic, hang, or
// return something that no store holds.
func use(t *testing.T, s *Store) {
	t.Helper()
	ctx := context.Background()
	_, _ = s.Get(ctx, "user/alice")
	page, err := s.List(ctx, "", "", store.MaxPage)
	for i, document := range page {
		if len(document.Key) > store.MaxKey || len(document.Value) > store.MaxValue || i > 0 && document.Key <= page[i-1].Key {
			t.Fatalf("the page has %.40q of %d bytes", document.Key, len(document.Value))
		}
	}
	if err == nil && put(s, "new", []byte("1")) == nil {
		if value, err := s.Get(ctx, "new"); err != nil || string(value) != "1" {
			t.Fatalf("what was written reads as %q, %v", value, err)
		}
	}
}

func FuzzBentFile(f *testing.F) {
	content := sample(f)
	page := uint32(os.Getpagesize())
	at := func(where uint32, bytes ...byte) []byte {
		return append(binary.BigEndian.AppendUint32(nil, where), bytes...)
	}
	f.Add([]byte(nil))
	f.Add(at(8, 1, 0))
	f.Add(at(pageHeaderLen+16, 3, 0))
	f.Add(at(page+pageHeaderLen+40, 255, 255))
	for p := uint32(2); p < 6; p++ {
		for _, field := range []uint32{0, 8, 10, 12, 16, 20, 24, 28} {
			f.Add(at(p*page+field, 255, 255))
		}
	}
	f.Fuzz(func(t *testing.T, bends []byte) {
		path := filepath.Join(t.TempDir(), "mfa.db")
		if err := os.WriteFile(path, bend(content, bends), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(path)
		if err != nil {
			if !errors.Is(err, store.ErrCorrupt) && !errors.Is(err, ErrNotDatabase) {
				t.Fatalf("it is refused as %v", err)
			}
			return
		}
		use(t, s)
		_ = s.Close()
	})
}

func FuzzRestore(f *testing.F) {
	dir := f.TempDir()
	from, err := Open(filepath.Join(dir, "from.db"))
	if err != nil {
		f.Fatal(err)
	}
	if err := put(from, "user/alice", []byte("1")); err != nil {
		f.Fatal(err)
	}
	var snapshot bytes.Buffer
	if err := from.Snapshot(context.Background(), &snapshot); err != nil {
		f.Fatal(err)
	}
	to, err := Open(filepath.Join(dir, "to.db"))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = errors.Join(from.Close(), to.Close()) })
	body := snapshot.Bytes()[:snapshot.Len()-sealLen]
	f.Add([]byte(nil), 0)
	f.Add([]byte(nil), 1)
	f.Add([]byte(nil), 5000)
	f.Add([]byte{0, 0, 0x30, 8, 1, 0}, 0)
	f.Add([]byte{0, 0, 0x30, 10, 255, 255}, 0)
	f.Fuzz(func(t *testing.T, bends []byte, cut int) {
		// Sealed anew, as somebody would who bends it on purpose.
		bent := bend(body, bends)
		sum := sha256.Sum256(bent)
		bent = append(append(bent, sealText...), sum[:]...)
		if cut < 0 || cut > len(bent) {
			return
		}
		err := to.Restore(context.Background(), bytes.NewReader(bent[:len(bent)-cut]), func(_, _ store.Content) error { return nil })
		if err == nil && cut > 0 {
			t.Fatal("one that is cut short is restored")
		}
		if err == nil && len(bends) < 6 {
			if value, err := to.Get(context.Background(), "user/alice"); err != nil || string(value) != "1" {
				t.Fatalf("what was backed up reads as %q, %v", value, err)
			}
		}
		if err != nil && !errors.Is(err, store.ErrBadSnapshot) {
			t.Fatalf("it is refused as %v", err)
		}
		use(t, to)
	})
}
