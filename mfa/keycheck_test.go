package mfa_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/seal"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

func TestAStoreOpensWithItsOwnKeysOnly(t *testing.T) {
	f := newFixture(t)
	dir := t.TempDir()

	missing := filepath.Join(dir, "missing.key")
	_, _, err := mfa.LoadKeys(t.Context(), f.store, missing)
	wantError(t, err, mfa.ErrKeyMissing)
	if _, err := os.Stat(missing); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a key file was made for a store that has keys: %v", err)
	}

	other := filepath.Join(dir, "other.key")
	if _, _, err := seal.LoadOrCreate(other); err != nil {
		t.Fatal(err)
	}
	_, _, err = mfa.LoadKeys(t.Context(), f.store, other)
	wantError(t, err, mfa.ErrKeyMismatch)

	damaged := filepath.Join(dir, "damaged.key")
	if err := os.WriteFile(damaged, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, err = mfa.LoadKeys(t.Context(), f.store, damaged)
	wantError(t, err, seal.ErrBadKeyFile)
}

func TestKeysAreMadeForANewStoreAndReadAgain(t *testing.T) {
	f := newFixture(t)
	path := filepath.Join(t.TempDir(), "mfa.key")
	err := f.store.Update(t.Context(), func(tx store.Tx) error { return tx.Delete("seal/check.2") }, "seal/check.2")
	if err != nil {
		t.Fatal(err)
	}
	keys, made, err := mfa.LoadKeys(t.Context(), f.store, path)
	if err != nil || made != (mfa.Made{Keys: true, Store: true}) {
		t.Fatal(made, err)
	}
	again, made, err := mfa.LoadKeys(t.Context(), f.store, path)
	if err != nil || made != (mfa.Made{}) || again.ID() != keys.ID() {
		t.Error(made, err)
	}
}

func TestAStoreOfSomethingElseIsRefused(t *testing.T) {
	f := newFixture(t)
	f.setupApp(alice)
	err := f.store.Update(t.Context(), func(tx store.Tx) error { return tx.Delete("seal/check.2") }, "seal/check.2")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "mfa.key")
	_, _, err = mfa.LoadKeys(t.Context(), f.store, path)
	wantError(t, err, mfa.ErrForeignStore)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a key file was made: %v", err)
	}
}

// overtaken is a store on which another node does something before the first
// List.
type overtaken struct {
	store.Store
	by func()
}

func (o *overtaken) List(ctx context.Context, prefix, after string, limit int) ([]store.Document, error) {
	if o.by != nil {
		o.by()
		o.by = nil
	}
	return o.Store.List(ctx, prefix, after, limit)
}

func TestANodeThatIsOvertakenAtTheFirstStartTakesTheStoreForItsOwn(t *testing.T) {
	f := newFixture(t)
	path := filepath.Join(t.TempDir(), "mfa.key")
	if _, _, err := seal.LoadOrCreate(path); err != nil {
		t.Fatal(err)
	}
	err := f.store.Update(t.Context(), func(tx store.Tx) error { return tx.Delete("seal/check.2") }, "seal/check.2")
	if err != nil {
		t.Fatal(err)
	}
	other := func() {
		if _, made, err := mfa.LoadKeys(t.Context(), f.store, path); err != nil || !made.Store {
			t.Fatal(made, err)
		}
		// It has begun to serve: this comes before the check in a list.
		err := f.store.Update(t.Context(), func(tx store.Tx) error { return tx.Put("assertion/keys", nil) }, "assertion/keys")
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, made, err := mfa.LoadKeys(t.Context(), &overtaken{f.store, other}, path); err != nil || made != (mfa.Made{}) {
		t.Error(made, err)
	}
}

func TestASweepRemovesWhatSaysNothingAndNothingElse(t *testing.T) {
	f := newFixture(t)
	if err := f.confirmApp(alice, f.setupApp(alice)); err != nil {
		t.Fatal(err)
	}
	f.setup(bob, mfa.SetupRequest{Type: factor.TypeMagicLink, Email: "bob@example.com"})
	count := func() int {
		documents, err := f.store.List(t.Context(), "", "", 100)
		if err != nil {
			t.Fatal(err)
		}
		return len(documents)
	}
	sweep := func() {
		t.Helper()
		if err := f.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	sweep()
	if n := count(); n != 5 { // alice, bob, the count of bob's address, the key check, the signing keys
		t.Fatalf("%d documents while all say something", n)
	}
	f.advance(15 * time.Minute)
	sweep()
	if n := count(); n != 4 {
		t.Errorf("%d documents after bob's setup lapsed", n)
	}
	f.advance(time.Hour)
	sweep()
	if n := count(); n != 3 {
		t.Errorf("%d documents after the address may get mail again", n)
	}
	if status := f.status(alice); len(status.Methods) != 1 {
		t.Errorf("alice: %+v", status)
	}
}
