package bolt

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/store"
	"github.com/caddymfa/caddy-mfa/mfa/store/storetest"
)

func TestTheStoreKeepsTheContract(t *testing.T) {
	storetest.Run(t, storetest.Engine{
		OneHandle: true,
		New: func(t *testing.T) func(t *testing.T) store.Store {
			path := filepath.Join(t.TempDir(), "mfa.db")
			return func(t *testing.T) store.Store { return mustOpen(t, path) }
		},
	})
}

// mustOpen opens path and closes it at the end of the test, if the test
// has not.
func mustOpen(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func put(s *Store, key string, value []byte) error {
	return s.Update(context.Background(), func(tx store.Tx) error {
		return tx.Put(key, value)
	}, key)
}

func mustPut(t testing.TB, s *Store, key, value string) {
	t.Helper()
	if err := put(s, key, []byte(value)); err != nil {
		t.Fatal(err)
	}
}

func mustHold(t testing.TB, s *Store, key, want string) {
	t.Helper()
	got, err := s.Get(context.Background(), key)
	if err != nil || string(got) != want {
		t.Fatalf("document %q is %.40q, %v; want %.40q", key, got, err, want)
	}
}
