package etcd

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/etcdtest"
	"github.com/caddymfa/caddy-mfa/mfa/store"
	"github.com/caddymfa/caddy-mfa/mfa/store/internal/draft"
)

func TestNoDecisionRestsOnWhatWasReadBefore(t *testing.T) {
	ctx := context.Background()
	config := Config{Endpoints: etcdtest.Start(t, etcdtest.Options{}).Endpoints()}
	s, other := mustOpen(t, config), mustOpen(t, config)
	refused := errors.New("refused")
	for name, write := range map[string]func(tx store.Tx, seen string) error{
		"it refuses":        func(store.Tx, string) error { return refused },
		"it writes nothing": func(store.Tx, string) error { return nil },
		"it writes":         func(tx store.Tx, seen string) error { return tx.Put("a", []byte(seen+" and more")) },
	} {
		for _, hint := range []string{"stale", "true", "stale, of no document"} {
			t.Run(name+", and the hint is "+hint, func(t *testing.T) {
				mustPut(t, other, "a", "before")
				if hint == "stale, of no document" {
					if err := other.Update(ctx, func(tx store.Tx) error { return tx.Delete("a") }, "a"); err != nil {
						t.Fatal(err)
					}
				}
				got, err := s.Get(ctx, "a")
				if err == nil {
					got[0] = 'X' // which is the reader's
				}
				want := "before"
				if hint != "true" {
					want = "after"
					mustPut(t, other, "a", want)
				}
				var seen string
				err = s.Update(ctx, func(tx store.Tx) error {
					value, err := tx.Get("a")
					if err != nil && !errors.Is(err, store.ErrNotFound) {
						return err
					}
					seen = string(value)
					return write(tx, seen)
				}, "a")
				if seen != want {
					t.Errorf("it was decided over %q, want %q", seen, want)
				}
				if name == "it refuses" && err != refused || name != "it refuses" && err != nil {
					t.Errorf("Update: %v", err)
				}
				if name == "it writes" {
					want += " and more"
				}
				mustHold(t, other, "a", want)
			})
		}
	}
}

func TestHintsAreFewAndOfSmallDocuments(t *testing.T) {
	var h hints
	for i := range 3 * mostHints {
		h.keep(draft.Document{Key: fmt.Sprint(i)})
		if len(h.docs) > mostHints {
			t.Fatalf("%d are kept", len(h.docs))
		}
	}
	h.keep(draft.Document{Key: "large", Value: make([]byte, largestHint+1), Version: 1})
	h.keep(draft.Document{Key: "small", Value: []byte("x"), Version: 1})
	if h.take([]string{"large"}) != nil || h.take([]string{"small", "large"}) != nil {
		t.Error("a hint of what was not kept")
	}
	if h.take([]string{"small"}) == nil || h.take([]string{"small"}) != nil {
		t.Error("a hint is good for one update")
	}
}
