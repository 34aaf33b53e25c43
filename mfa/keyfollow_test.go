package mfa_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// scanned is a store that calls back, once, when all documents are gone
// through.
type scanned struct {
	store.Store
	scan func()
}

func (s *scanned) List(ctx context.Context, prefix, after string, limit int) ([]store.Document, error) {
	if scan := s.scan; prefix == "" && scan != nil {
		s.scan = nil
		scan()
	}
	return s.Store.List(ctx, prefix, after, limit)
}

func TestANodeFollowsWhileAllDocumentsAreGoneThrough(t *testing.T) {
	for name, scan := range map[string]func(*keyNode) error{
		"report": func(n *keyNode) error { _, err := n.Report(t.Context()); return err },
		"retire": func(n *keyNode) error { _, err := n.Retire(t.Context(), true); return err },
		"stage":  func(n *keyNode) error { _, err := n.Stage(t.Context()); return err },
	} {
		f := newFixture(t)
		st := &scanned{Store: f.store}
		f.store, f.config.Store = st, st
		n := f.alone()
		f.enrolApp(alice)
		n.rotate()
		before, err := os.ReadFile(f.keyPath)
		if err != nil {
			t.Fatal(err)
		}
		followed := errors.New("it waits")
		st.scan = func() {
			if _, err := mfa.CloseStore(t.Context(), f.store); err != nil {
				t.Error(err)
			}
			done := make(chan error, 1)
			go func() { _, err := n.Follow(t.Context()); done <- err }()
			select {
			case followed = <-done:
			case <-time.After(10 * time.Second): // it hangs
			}
		}
		if err := scan(n); err == nil {
			t.Errorf("%s: a store that was closed on the way gives no error", name)
		}
		if !errors.Is(followed, mfa.ErrMoved) {
			t.Errorf("%s: following meanwhile: %v", name, followed)
		}
		if after, err := os.ReadFile(f.keyPath); err != nil || string(after) != string(before) {
			t.Errorf("%s: the key file was changed (%v)", name, err)
		}
	}
}
