package mfa_test

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

func TestABackupOfBeforeIsRestoredWhileItsKeyIsAtHand(t *testing.T) {
	f := newFixture(t)
	n := f.alone()
	app := f.enrolApp(alice)
	backup := snapshot(t, f.store)
	old := n.keys.InUse()
	n.rotate()
	restore := func() error {
		return n.Restore(t.Context(), f.store.(store.Snapshotter), backup.reader(), true)
	}
	if err := restore(); err != nil {
		t.Fatal(err)
	}
	n.follow()
	if n.keys.InUse() != old {
		t.Error("the restored store is not followed")
	}
	f.advance(30 * time.Second)
	f.login(alice, factor.TypeTOTP, f.appProof(app.secret))

	// Rotating again takes the same new key, and seals anew.
	n.rotate()
	if len(n.keys.Sealing()) != 2 || n.keys.InUse() == old {
		t.Errorf("in use: %v of %v", n.keys.InUse(), n.keys.Sealing())
	}
	n.retire(true)
	wantError(t, restore(), mfa.ErrForeignBackup)
}

// Some of its records are sealed with the older key still.
func TestABackupFromTheMiddleOfARotationIsRefusedWithoutTheOlderKey(t *testing.T) {
	f := newFixture(t)
	n := f.alone()
	f.enrolApp(alice)
	n.stage()
	n.promote()
	backup := snapshot(t, f.store)
	n.resealAll()
	restore := func() error {
		return n.Restore(t.Context(), f.store.(store.Snapshotter), backup.reader(), true)
	}
	if err := restore(); err != nil {
		t.Fatal(err)
	}
	n.resealAll()
	n.retire(true)
	wantError(t, restore(), mfa.ErrForeignBackup)
	if len(f.status(alice).Methods) != 1 {
		t.Error("alice is no longer enrolled")
	}
}

// A retirement has seen that nothing needs the older key, and removes it.
func TestNoBackupIsRestoredWhileKeysAreChanged(t *testing.T) {
	f := newFixture(t)
	files := f.store.(store.Snapshotter)
	st := &scanned{Store: f.store}
	f.store, f.config.Store = st, st
	n := f.alone()
	f.enrolApp(alice)
	backup := snapshot(t, st.Store)
	n.rotate()
	asked := false
	st.scan = func() {
		asked = true
		wantError(t, n.Restore(t.Context(), files, backup.reader(), true), mfa.ErrKeysChanging)
	}
	n.retire(true)
	if !asked {
		t.Error("the retirement has not gone through the documents")
	}
	wantError(t, n.Restore(t.Context(), files, backup.reader(), true), mfa.ErrForeignBackup)
	if methods := f.status(alice).Methods; len(methods) != 1 {
		t.Errorf("alice has %v", methods)
	}
}

// decided is a store that calls back when a restore has been decided on, and
// nothing is replaced yet.
type decided struct {
	store.Snapshotter
	then func()
}

func (d decided) Restore(ctx context.Context, r io.Reader, check func(live, backup store.Content) error) error {
	return d.Snapshotter.Restore(ctx, r, func(live, backup store.Content) error {
		err := check(live, backup)
		d.then()
		return err
	})
}

func TestKeysAreNotChangedWhileABackupIsRestored(t *testing.T) {
	f := newFixture(t)
	n := f.alone()
	files := f.store.(store.Snapshotter)
	f.enrolApp(alice)
	backup := snapshot(t, f.store)
	elsewhere := newFixture(t).store.(store.Snapshotter)
	err := n.Restore(t.Context(), decided{files, func() {
		// It does not wait for the lock that this restore holds, as changes do.
		wantError(t, n.Restore(t.Context(), elsewhere, backup.reader(), true), mfa.ErrKeysChanging)
	}}, backup.reader(), true)
	if err != nil {
		t.Error(err)
	}
	n.rotate() // afterwards they are
}
