package bolt_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/store"
	"github.com/caddymfa/caddy-mfa/mfa/store/bolt"
)

var _ store.Exclusive = (*bolt.Store)(nil)

func TestAWriteBeginsANewEpochOfItsKey(t *testing.T) {
	st, err := bolt.Open(filepath.Join(t.TempDir(), "a.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	refused := errors.New("refused")
	for _, row := range []struct {
		name     string
		write    func() error
		advances bool
	}{
		{"a put", func() error {
			return st.Update(t.Context(), func(tx store.Tx) error { return tx.Put("key", []byte("1")) }, "key")
		}, true},
		{"a deletion", func() error {
			return st.Update(t.Context(), func(tx store.Tx) error { return tx.Delete("key") }, "key")
		}, true},
		{"an update that only reads", func() error {
			return st.Update(t.Context(), func(tx store.Tx) error { _, _ = tx.Get("key"); return nil }, "key")
		}, false},
		{"an update that is refused", func() error {
			err := st.Update(t.Context(), func(tx store.Tx) error { _ = tx.Put("key", nil); return refused }, "key")
			if errors.Is(err, refused) {
				return nil
			}
			return err
		}, false},
		{"a restore", func() error {
			var snapshot bytes.Buffer
			if err := st.Snapshot(t.Context(), &snapshot); err != nil {
				return err
			}
			return st.Restore(t.Context(), &snapshot, func(store.Content, store.Content) error { return nil })
		}, true},
	} {
		before := st.Epoch("key")
		if err := row.write(); err != nil {
			t.Fatalf("%s: %v", row.name, err)
		}
		if advanced := st.Epoch("key") != before; advanced != row.advances {
			t.Errorf("%s: a new epoch %v, want %v", row.name, advanced, row.advances)
		}
	}
}
