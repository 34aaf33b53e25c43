package caddymodule

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/store"
	"github.com/caddymfa/caddy-mfa/mfa/store/bolt"
)

// countdown kills a command after so many updates: from then on it changes
// neither store, also not to tidy up.
type countdown struct{ left int }

var errKilled = errors.New("killed")

// mortal is a store of a command that is killed.
type mortal struct {
	store.Store
	*countdown
}

func (m mortal) Update(ctx context.Context, fn func(store.Tx) error, keys ...string) error {
	if m.left == 0 {
		return errKilled
	}
	m.left--
	return m.Store.Update(ctx, fn, keys...)
}

// serves reports whether a node would start on st, and whether it has the
// record.
func serves(t *testing.T, st store.Store, keyFile, record string) (starts, has bool) {
	t.Helper()
	_, _, err := mfa.LoadKeys(t.Context(), st, keyFile)
	if err != nil && !errors.Is(err, mfa.ErrMoved) && !errors.Is(err, mfa.ErrUnfinishedCopy) {
		t.Fatal(err)
	}
	_, missing := st.Get(t.Context(), record)
	return err == nil, missing == nil
}

func TestWheneverACopyThatClosesItsSourceIsKilledNobodyServesOldContent(t *testing.T) {
	flags := copyCommand().Flags()
	for _, name := range []string{"close", "overwrite"} {
		if err := flags.Set(name, "true"); err != nil {
			t.Fatal(err)
		}
	}
	for updates := 0; ; updates++ {
		dir := t.TempDir()
		keyFile := filepath.Join(dir, "mfa.key")
		var stores []store.Store
		for _, name := range []string{"from", "to"} {
			st, err := bolt.Open(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			defer st.Close()
			if _, _, err := mfa.LoadKeys(t.Context(), st, keyFile); err != nil {
				t.Fatal(err)
			}
			record := "user/" + name
			if err := st.Update(t.Context(), func(tx store.Tx) error { return tx.Put(record, []byte("x")) }, record); err != nil {
				t.Fatal(err)
			}
			stores = append(stores, st)
		}
		from, to := stores[0], stores[1]
		budget := &countdown{updates}
		_, err := transfer(t.Context(), caddycmd.Flags{FlagSet: flags}, &namedStore{store: mortal{from, budget}}, &namedStore{store: mortal{to, budget}})
		if err != nil && !errors.Is(err, errKilled) {
			t.Fatal(err)
		}
		sourceStarts, _ := serves(t, from, keyFile, "user/from")
		destinationStarts, isCopy := serves(t, to, keyFile, "user/from")
		if destinationStarts && !isCopy && !sourceStarts {
			t.Errorf("killed after %d updates, the destination starts on its old content, and the source is closed", updates)
		}
		if destinationStarts && isCopy && sourceStarts {
			t.Errorf("killed after %d updates, both stores serve", updates)
		}
		if err != nil && !sourceStarts {
			// It goes on when it is repeated.
			budget.left = 1000
			if _, err := transfer(t.Context(), caddycmd.Flags{FlagSet: flags}, &namedStore{store: from}, &namedStore{store: to}); err != nil {
				t.Errorf("killed after %d updates, then repeated: %v", updates, err)
			}
		}
		if err == nil {
			if !destinationStarts || !isCopy || sourceStarts || updates < 5 {
				t.Errorf("at the end, after %d updates: %v, %v, %v", updates, destinationStarts, isCopy, sourceStarts)
			}
			return
		}
	}
}

func TestACopyWhoseSourceCannotBeClosedLeavesTheDestinationInUse(t *testing.T) {
	dir := t.TempDir()
	keyFile := filepath.Join(dir, "mfa.key")
	var stores []store.Store
	for _, name := range []string{"from", "to"} {
		st, err := bolt.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		if _, _, err := mfa.LoadKeys(t.Context(), st, keyFile); err != nil {
			t.Fatal(err)
		}
		stores = append(stores, st)
	}
	flags := copyCommand().Flags()
	for _, name := range []string{"close", "overwrite"} {
		if err := flags.Set(name, "true"); err != nil {
			t.Fatal(err)
		}
	}
	_, err := transfer(t.Context(), caddycmd.Flags{FlagSet: flags}, &namedStore{store: mortal{stores[0], &countdown{}}}, &namedStore{store: stores[1]})
	if !errors.Is(err, errKilled) || !strings.Contains(err.Error(), "closing source") {
		t.Fatal(err)
	}
	for i, st := range stores {
		if _, _, err := mfa.LoadKeys(t.Context(), st, keyFile); err != nil {
			t.Errorf("store %d: %v", i, err)
		}
	}
}
