package mfa_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/seal"
	"github.com/caddymfa/caddy-mfa/mfa/store"
	"github.com/caddymfa/caddy-mfa/mfa/store/bolt"
)

func emptyStore(t *testing.T) store.Store {
	t.Helper()
	st, err := bolt.Open(filepath.Join(t.TempDir(), "mfa.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	return st
}

// fill puts n documents into a store, 200 bytes each, and one that is as
// large as may be.
func fill(t *testing.T, st store.Store, n int) {
	t.Helper()
	for begin := 0; begin < n; begin += 50 {
		var keys []string
		for i := begin; i < min(begin+50, n); i++ {
			keys = append(keys, fmt.Sprintf("user/%05d", i))
		}
		err := st.Update(t.Context(), func(tx store.Tx) error {
			for _, key := range keys {
				if err := tx.Put(key, []byte(strings.Repeat(key, 20))); err != nil {
					return err
				}
			}
			return nil
		}, keys...)
		if err != nil {
			t.Fatal(err)
		}
	}
	put(t, st, "credential/large", string(make([]byte, store.MaxValue)))
	put(t, st, "organization/empty", "")
}

func put(t *testing.T, st store.Store, key, value string) {
	t.Helper()
	if err := st.Update(t.Context(), func(tx store.Tx) error { return tx.Put(key, []byte(value)) }, key); err != nil {
		t.Fatal(err)
	}
}

// wantSame checks that two stores hold the same documents.
func wantSame(t *testing.T, a, b store.Store) {
	t.Helper()
	read := func(st store.Store) map[string]string {
		all := make(map[string]string)
		for after := ""; ; {
			page, err := st.List(t.Context(), "", after, 1000)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range page {
				if after = d.Key; d.Key != "seal/copied" { // which is about the destination alone
					all[d.Key] = string(d.Value)
				}
			}
			if len(page) < 1000 {
				return all
			}
		}
	}
	one, other := read(a), read(b)
	if len(one) != len(other) {
		t.Errorf("%d documents and %d", len(one), len(other))
	}
	for key, value := range one {
		if got, ok := other[key]; !ok || got != value {
			t.Errorf("%s differs", key)
		}
	}
}

func copyTo(t *testing.T, from, to store.Store, options mfa.CopyOptions) mfa.Copied {
	t.Helper()
	copied, err := mfa.Copy(t.Context(), from, to, options)
	if err != nil {
		t.Fatal(err)
	}
	return copied
}

func TestACopyHoldsEverythingAndServes(t *testing.T) {
	f := newFixture(t)
	app := f.enrolApp(alice)
	f.enrolPasskey(bob, newDevice(t))
	fill(t, f.store, 1234)
	to := emptyStore(t)
	seen := 0
	copied := copyTo(t, f.store, to, mfa.CopyOptions{Progress: func(n int) { seen += n }})
	wantSame(t, f.store, to)
	kinds := make(map[string]int)
	for _, kind := range copied.Kinds {
		kinds[kind.Name] = kind.Documents
	}
	if kinds["users"] != 1236 || kinds["credentials"] != 2 || kinds["organizations"] != 1 || kinds["signing keys"] != 1 || kinds["others"] != 0 {
		t.Errorf("kinds: %v", kinds)
	}
	if copied.Documents != 1240 || copied.Written != 1240 || copied.Passes != 1 || len(copied.SHA256) != 64 || seen < 3*1240 {
		t.Errorf("copied: %+v, seen %d", copied, seen)
	}
	keys, made, err := mfa.LoadKeys(t.Context(), to, f.keyPath)
	if err != nil || made != (mfa.Made{}) {
		t.Fatal(made, err)
	}
	f.config.Store, f.config.Keys = to, keys
	f.Service = f.node()
	f.login(alice, factor.TypeTOTP, f.appProof(app.secret))

	// The other way round, over what has become old.
	_, err = mfa.Copy(t.Context(), to, f.store, mfa.CopyOptions{})
	wantError(t, err, mfa.ErrDestinationInUse)
	if back := copyTo(t, to, f.store, mfa.CopyOptions{Overwrite: true}); back.Written != 1 || back.Removed != 0 || back.SHA256 == copied.SHA256 {
		t.Errorf("copied back: %+v", back)
	}
	wantSame(t, f.store, to)
}

func TestACopyTakesWhatIsNotInTheSourceOutOfTheDestination(t *testing.T) {
	f, g := newFixture(t), newFixture(t)
	f.enrolApp(alice)
	g.enrolApp(bob)
	fill(t, g.store, 300)
	copied := copyTo(t, f.store, g.store, mfa.CopyOptions{Overwrite: true})
	if copied.Removed == 0 {
		t.Errorf("copied: %+v", copied)
	}
	wantSame(t, f.store, g.store)
	_, _, err := mfa.LoadKeys(t.Context(), g.store, g.keyPath)
	wantError(t, err, mfa.ErrKeyMismatch)
}

// faulty is a store whose updates go wrong when told to.
type faulty struct {
	store.Store
	updates atomic.Int64
	failAt  int64                 // fails from the update of that number on
	lose    func(key string) bool // swallows puts
	listed  func()                // before each List
}

var errBroken = errors.New("broken")

func (f *faulty) Update(ctx context.Context, fn func(store.Tx) error, keys ...string) error {
	if n := f.updates.Add(1); f.failAt > 0 && n >= f.failAt {
		return fmt.Errorf("%w: %w", store.ErrUnavailable, errBroken)
	}
	return f.Store.Update(ctx, func(tx store.Tx) error { return fn(lossy{tx, f.lose}) }, keys...)
}

func (f *faulty) List(ctx context.Context, prefix, after string, limit int) ([]store.Document, error) {
	if f.listed != nil {
		f.listed()
	}
	return f.Store.List(ctx, prefix, after, limit)
}

type lossy struct {
	store.Tx
	lose func(key string) bool
}

func (l lossy) Put(key string, value []byte) error {
	if l.lose != nil && l.lose(key) {
		return nil
	}
	return l.Tx.Put(key, value)
}

func TestACopyThatBreaksOffServesNobodyAndGoesOnWhenRepeated(t *testing.T) {
	f := newFixture(t)
	app := f.enrolApp(alice)
	fill(t, f.store, 2000)
	to := emptyStore(t)
	// From the first update on, in the middle, and at the last.
	for failAt := int64(1); ; failAt += 7 {
		broken := &faulty{Store: to, failAt: failAt}
		_, err := mfa.Copy(t.Context(), f.store, broken, mfa.CopyOptions{})
		if err == nil {
			break
		}
		wantError(t, err, errBroken)
		other := filepath.Join(t.TempDir(), "mfa.key")
		for _, path := range []string{f.keyPath, other} {
			_, _, err := mfa.LoadKeys(t.Context(), to, path)
			if failAt > 1 {
				wantError(t, err, mfa.ErrUnfinishedCopy)
			}
		}
		if _, err := os.Stat(other); failAt > 1 && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a key file was made for half a copy: %v", err)
		}
		if failAt == 1 { // nothing was begun
			if left, err := to.List(t.Context(), "", "", 10); err != nil || len(left) > 1 {
				t.Fatal(left, err)
			}
			to = emptyStore(t)
		}
		// Half a copy is no source either.
		_, err = mfa.Copy(t.Context(), to, emptyStore(t), mfa.CopyOptions{})
		if err == nil {
			t.Error("half a copy was copied")
		}
		if failAt > 100 {
			t.Fatal("the copy does not come to an end")
		}
	}
	wantSame(t, f.store, to)
	keys, _, err := mfa.LoadKeys(t.Context(), to, f.keyPath)
	if err != nil {
		t.Fatal(err)
	}
	f.config.Store, f.config.Keys = to, keys
	f.Service = f.node()
	f.login(alice, factor.TypeTOTP, f.appProof(app.secret))
}

func TestADestinationThatKeepsNotWhatItIsGivenIsFoundOut(t *testing.T) {
	f := newFixture(t)
	fill(t, f.store, 500)
	to := &faulty{Store: emptyStore(t), lose: func(key string) bool { return key == "user/00321" }}
	_, err := mfa.Copy(t.Context(), f.store, to, mfa.CopyOptions{})
	wantError(t, err, mfa.ErrCopyFailed)
	_, _, err = mfa.LoadKeys(t.Context(), to, f.keyPath)
	wantError(t, err, mfa.ErrUnfinishedCopy)
}

func TestWhatIsWrittenToTheSourceMeanwhileIsCopiedToo(t *testing.T) {
	f := newFixture(t)
	fill(t, f.store, 500)
	var writes atomic.Int64
	from := &faulty{Store: f.store}
	from.listed = func() {
		if n := writes.Add(1); n <= 10 {
			put(t, f.store, fmt.Sprintf("user/new-%d", n), "x")
		}
	}
	to := emptyStore(t)
	if copied := copyTo(t, from, to, mfa.CopyOptions{}); copied.Passes < 2 {
		t.Errorf("copied: %+v", copied)
	}
	wantSame(t, f.store, to)

	// Where it does not end the copy is given up.
	from.listed = func() { put(t, f.store, fmt.Sprintf("user/new-%d", writes.Add(1)), "x") }
	to = emptyStore(t)
	_, err := mfa.Copy(t.Context(), from, to, mfa.CopyOptions{})
	wantError(t, err, mfa.ErrSourceChanging)
	_, _, err = mfa.LoadKeys(t.Context(), to, f.keyPath)
	wantError(t, err, mfa.ErrUnfinishedCopy)
}

func TestOfTwoCopiesAtOnceIntoOneStoreNeitherEndsHalf(t *testing.T) {
	f := newFixture(t)
	fill(t, f.store, 1000)
	to := emptyStore(t)
	var wg sync.WaitGroup
	failures := make([]error, 2)
	for i := range failures {
		wg.Go(func() { _, failures[i] = mfa.Copy(t.Context(), f.store, to, mfa.CopyOptions{}) })
	}
	wg.Wait()
	if failures[0] != nil && failures[1] != nil {
		t.Errorf("both failed: %v", failures)
	}
	wantSame(t, f.store, to)
}

func TestACopyThatIsCancelledSaysSo(t *testing.T) {
	f := newFixture(t)
	fill(t, f.store, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	to := &faulty{Store: emptyStore(t)}
	to.listed = func() {
		if to.updates.Load() > 3 {
			cancel()
		}
	}
	_, err := mfa.Copy(ctx, f.store, to, mfa.CopyOptions{})
	wantError(t, err, context.Canceled)
}

func TestWhatIsNoSourceIsRefused(t *testing.T) {
	foreign := emptyStore(t)
	put(t, foreign, "other/thing", "x")
	_, err := mfa.Copy(t.Context(), foreign, emptyStore(t), mfa.CopyOptions{})
	wantError(t, err, mfa.ErrForeignStore)
	to := emptyStore(t)
	if _, err := mfa.Copy(t.Context(), emptyStore(t), to, mfa.CopyOptions{}); err == nil || !strings.Contains(err.Error(), "empty") {
		t.Errorf("an empty source: %v", err)
	}
	if left, err := to.List(t.Context(), "", "", 1); err != nil || len(left) > 0 {
		t.Errorf("the destination holds %v, %v", left, err)
	}
}

func TestANodeThatServesFromTheDestinationOfACopyStopsBeforeAnythingIsChanged(t *testing.T) {
	f := newFixture(t)
	n := f.alone()
	app := f.enrolApp(alice)
	shown := f.open(app.grant.Assertion)
	from := newFixture(t)
	asked := false
	copyTo(t, from.store, f.store, mfa.CopyOptions{Overwrite: true, Marked: func(context.Context) error {
		asked = true
		_, err := n.Follow(t.Context())
		wantError(t, err, mfa.ErrUnfinishedCopy)
		wantError(t, f.tryCode(alice, app.backupCodes[0]), store.ErrUnavailable)
		_, err = f.Live(t.Context(), shown)
		wantError(t, err, store.ErrUnavailable)
		found, err := f.store.List(t.Context(), "user/", "", 10)
		if err != nil || len(found) != 1 {
			t.Errorf("%d records, %v: something was changed already", len(found), err)
		}
		return nil
	}})
	if !asked {
		t.Error("nobody was told that the destination is marked")
	}
}

func TestACopyIsInTheAuditLogOfTheNodesThatServeFromItOnce(t *testing.T) {
	f := newFixture(t)
	to := emptyStore(t)
	copyTo(t, f.store, to, mfa.CopyOptions{})
	f.store, f.config.Store = to, to
	a, b := f.pair()
	a.follow()
	b.follow()
	a.follow()
	var copied []mfa.Event
	for _, e := range f.events.events {
		if e.Kind == mfa.EventStoreCopied {
			copied = append(copied, e)
		}
	}
	if len(copied) != 1 || copied[0].ActorKind != mfa.ActorOperator || copied[0].By != mfa.Operator {
		t.Errorf("recorded: %+v", copied)
	}
}

func TestNobodyServesFromAClosedStoreUntilItIsOpenedAgain(t *testing.T) {
	f := newFixture(t)
	n := f.alone()
	app := f.enrolApp(alice)
	closed, err := mfa.CloseStore(t.Context(), f.store)
	if err != nil || !closed {
		t.Fatal(closed, err)
	}
	before := dump(t, f.store)
	_, err = n.Follow(t.Context())
	wantError(t, err, mfa.ErrMoved)
	_, err = f.VerifyLogin(t.Context(), alice, factor.TypeTOTP, f.appProof(app.secret))
	wantError(t, err, store.ErrUnavailable)
	_, err = f.OpenAssertion(t.Context(), app.grant.Assertion)
	wantError(t, err, store.ErrUnavailable)
	_, err = n.Stage(t.Context())
	wantError(t, err, mfa.ErrMoved)
	for _, path := range []string{f.keyPath, filepath.Join(t.TempDir(), "mfa.key")} {
		_, _, err = mfa.LoadKeys(t.Context(), f.store, path)
		wantError(t, err, mfa.ErrMoved)
	}
	if again, err := mfa.CloseStore(t.Context(), f.store); err != nil || again {
		t.Errorf("closed again: %v, %v", again, err)
	}
	if dump(t, f.store) != before {
		t.Error("the store was changed")
	}

	// It is a source still.
	to := emptyStore(t)
	copyTo(t, f.store, to, mfa.CopyOptions{})
	if _, _, err := mfa.LoadKeys(t.Context(), to, f.keyPath); err != nil {
		t.Error(err)
	}
	if err := mfa.CheckKeyFile(t.Context(), f.store, f.keyPath); err != nil {
		t.Error(err)
	}
	foreign := filepath.Join(t.TempDir(), "foreign.key")
	if _, _, err := seal.LoadOrCreate(foreign); err != nil {
		t.Fatal(err)
	}
	wantError(t, mfa.CheckKeyFile(t.Context(), f.store, foreign), mfa.ErrKeyMismatch)

	for i, want := range []bool{true, false} {
		if opened, err := mfa.ReopenStore(t.Context(), f.store); err != nil || opened != want {
			t.Errorf("opened, %d: %v, %v", i, opened, err)
		}
	}
	n.follow()
	f.advance(30 * time.Second)
	f.login(alice, factor.TypeTOTP, f.appProof(app.secret))
	_, err = mfa.CloseStore(t.Context(), emptyStore(t))
	if err == nil {
		t.Error("an empty store was closed")
	}
}
