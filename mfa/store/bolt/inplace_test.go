package bolt

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

func TestNothingIsAcknowledgedInAFileThatWasRemovedOrReplaced(t *testing.T) {
	for name, take := range map[string]func(path string) error{
		"removed": os.Remove,
		"moved":   func(path string) error { return os.Rename(path, path+".bak") },
		"replaced": func(path string) error {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if err := os.WriteFile(path+".new", content, 0o600); err != nil {
				return err
			}
			return os.Rename(path+".new", path)
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "mfa.db")
			s, err := Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			put := func() error {
				return s.Update(context.Background(), func(tx store.Tx) error { return tx.Put("k", []byte("v")) }, "k")
			}
			if err := put(); err != nil {
				t.Fatal(err)
			}
			if err := take(path); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := put(); !errors.Is(err, store.ErrCorrupt) {
					t.Errorf("writing: %v", err)
				}
			}
			if _, err := s.Get(context.Background(), "k"); !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("reading: %v", err)
			}
		})
	}
}
