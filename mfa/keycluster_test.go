package mfa_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/seal"
	"github.com/caddymfa/caddy-mfa/mfa/store"
	"github.com/caddymfa/caddy-mfa/mfa/totp"
)

func TestANewKeyComesIntoUseOnlyOnceEveryNodeHasIt(t *testing.T) {
	f := newFixture(t)
	a, b := f.pair()
	app := f.enrolApp(alice)
	old := a.keys.InUse()

	r := a.stage()
	if r.Wait <= 0 || len(r.Nodes) != 1 {
		t.Errorf("staged: %+v", r)
	}
	_, err := a.Promote(t.Context())
	wantError(t, err, mfa.ErrNodesLackKeys) // b has not had the time to say

	f.advance(mfa.KeyPoll)
	b.follow()
	f.advance(time.Minute)
	a.follow()
	b.follow()
	if r = a.stage(); !slices.Equal(r.Missing(), []string{"b"}) || r.Wait != 0 {
		t.Errorf("b lacks the key: %+v", r)
	}
	_, err = a.Promote(t.Context())
	wantError(t, err, mfa.ErrNodesLackKeys)
	if a.keys.InUse() != old {
		t.Error("the key is in use nevertheless")
	}

	copyFile(t, a.path, b.path)
	followed, err := b.Follow(t.Context())
	if err != nil || !followed.File || followed.Use {
		t.Errorf("b follows: %+v, %v", followed, err)
	}
	if r = a.stage(); len(r.Missing()) != 0 || len(r.Nodes) != 2 {
		t.Errorf("both have the key: %+v", r)
	}
	a.promote()

	// b has not followed yet: it reads what a seals, and a what b seals.
	bobsApp := f.enrolApp(bob)
	f.Service = b.Service
	f.login(bob, factor.TypeTOTP, f.appProof(bobsApp.secret))
	f.login(alice, factor.TypeTOTP, f.appProof(app.secret))
	f.Service = a.Service
	f.login(alice, factor.TypeTOTP, mfa.LoginProof{Code: app.backupCodes[0]})
	if followed, err = b.Follow(t.Context()); err != nil || !followed.Use || b.keys.InUse() != a.keys.InUse() {
		t.Errorf("b follows: %+v, %v", followed, err)
	}
	b.resealAll()
	if got := f.sealedBy(); len(got) != 1 || got[old.Sealing] != 0 {
		t.Errorf("sealed by %v", got)
	}
}

func TestANodeThatLacksTheKeyInUseStaysOutUntilItHasIt(t *testing.T) {
	f := newFixture(t)
	a, b := f.pair()
	app := f.enrolApp(alice)
	a.stage()
	f.advance(time.Hour) // b was cut off all the while
	a.promote()
	a.resealAll()
	f.advance(30 * time.Second)
	pair := f.login(alice, factor.TypeTOTP, f.appProof(app.secret))
	before := dump(t, f.store)

	_, err := b.Follow(t.Context())
	wantError(t, err, mfa.ErrKeyMismatch)
	for name, ask := range map[string]func() error{
		"login": func() error {
			_, err := b.VerifyLogin(t.Context(), alice, factor.TypeTOTP, f.appProof(app.secret))
			return err
		},
		"first setup": func() error {
			_, err := b.Setup(t.Context(), bob, mfa.SetupRequest{Type: factor.TypeTOTP})
			return err
		},
		"mail": func() error {
			_, err := b.Setup(t.Context(), bob, mfa.SetupRequest{Type: factor.TypeMagicLink, Email: "bob@example.com"})
			return err
		},
		"status":   func() error { _, err := b.Service.Status(t.Context(), alice); return err },
		"keys":     func() error { return b.RotateSigningKey(t.Context(), false) },
		"refresh":  func() error { _, err := b.Refresh(t.Context(), alice, pair.Refresh); return err },
		"mend":     func() error { _, err := b.ResealAll(t.Context()); return err },
		"a page":   func() error { _, err := b.Reseal(t.Context(), "", 100); return err },
		"old user": func() error { _, err := b.ReplaceBackupCodes(t.Context(), app.caller); return err },
	} {
		if err := ask(); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if after := dump(t, f.store); after != before {
		t.Error("the store was changed")
	}
	_, _, err = mfa.LoadKeys(t.Context(), f.store, b.path)
	wantError(t, err, mfa.ErrKeyMismatch)

	copyFile(t, a.path, b.path)
	b.follow()
	f.Service = b.Service
	f.refresh(alice, pair.Refresh)
	f.advance(30 * time.Second)
	f.login(alice, factor.TypeTOTP, f.appProof(app.secret))
}

// dump is everything in a store.
func dump(t *testing.T, st store.Store) string {
	t.Helper()
	documents, err := st.List(t.Context(), "", "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(documents)
}

func TestOfTwoRotationsAtOnceOneHappens(t *testing.T) {
	f := newFixture(t)
	a, b := f.pair()
	var (
		wg       sync.WaitGroup
		failures = make([]error, 2)
	)
	for i, n := range []*keyNode{a, b} {
		wg.Go(func() { _, failures[i] = n.Stage(t.Context()) })
	}
	wg.Wait()
	winner, loser := a, b
	if failures[0] != nil {
		winner, loser = b, a
		failures[0], failures[1] = failures[1], failures[0]
	}
	if failures[0] != nil {
		t.Fatal(failures)
	}
	wantError(t, failures[1], mfa.ErrRotationElsewhere)

	// The loser's file has a key of its own that nobody will use.
	copyFile(t, winner.path, loser.path)
	f.advance(time.Hour)
	loser.follow()
	if r := loser.stage(); len(r.Missing()) > 0 {
		t.Errorf("%+v", r)
	}
	loser.promote()
	winner.follow()
	if winner.keys.InUse() != loser.keys.InUse() {
		t.Error("the nodes disagree")
	}
}

func TestAKeyThatNobodyHasAnyMoreDoesNotStandInTheWay(t *testing.T) {
	f := newFixture(t)
	a, b := f.pair()
	lost := a.stage().Pair
	copyFile(t, b.path, a.path) // a's disk was replaced
	b.follow()
	f.advance(time.Hour)
	if r := b.stage(); r.Pair == lost {
		t.Errorf("the lost key is waited for: %+v", r)
	}
}

func TestNothingIsLostThatIsWrittenWhileKeysChange(t *testing.T) {
	f := newFixture(t)
	a, b := f.pair()
	f.enrolApp(alice)
	a.stage()
	copyFile(t, a.path, b.path)
	f.advance(time.Hour)
	b.follow()

	const people = 40
	var wg sync.WaitGroup
	secrets := make([]string, people)
	person := func(i int) mfa.Caller { return mfa.Caller{Subject: fmt.Sprint("person-", i)} }
	for i := range people {
		n := []*keyNode{a, b}[i%2]
		wg.Go(func() {
			setup, err := n.Setup(t.Context(), person(i), mfa.SetupRequest{Type: factor.TypeTOTP})
			if err != nil {
				t.Error(err)
				return
			}
			secrets[i] = setup.Offer.(totp.Enrolment).Secret
			if _, err := n.VerifySetup(t.Context(), person(i), factor.TypeTOTP, f.code(secrets[i])); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Go(a.promote)
	wg.Go(func() { b.resealAll() })
	wg.Go(func() { a.resealAll() })
	wg.Go(b.follow)
	wg.Wait()
	b.follow()
	a.resealAll()
	f.advance(2 * time.Hour)
	for i := range people {
		f.login(person(i), factor.TypeTOTP, f.appProof(secrets[i]))
	}
	a.retire(false)
	if got := f.sealedBy(); len(got) != 1 {
		t.Errorf("sealed by %v", got)
	}
}

func TestKeysThatDocumentsNeedAreNotRetired(t *testing.T) {
	f := newFixture(t)
	a, b := f.pair()
	f.enrolApp(alice)
	a.stage()
	copyFile(t, a.path, b.path)
	b.follow()
	f.advance(time.Hour)
	_, err := a.Retire(t.Context(), true)
	wantError(t, err, mfa.ErrKeysNeeded) // a rotation is under way
	b.follow()
	a.promote()
	for _, all := range []bool{false, true} {
		_, err := a.Retire(t.Context(), all)
		wantError(t, err, mfa.ErrKeysNeeded)
	}
	a.resealAll()
	_, err = a.Retire(t.Context(), true)
	wantError(t, err, mfa.ErrKeysNeeded) // b may be about to write
	f.advance(2 * mfa.KeyPoll)
	a.retire(true)
}

func TestANewStoreBesideARotatedFileUsesTheNewestKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mfa.key")
	if _, _, err := seal.LoadOrCreate(path); err != nil {
		t.Fatal(err)
	}
	pair, err := seal.AddKeys(path)
	if err != nil {
		t.Fatal(err)
	}
	f := newFixture(t)
	err = f.store.Update(t.Context(), func(tx store.Tx) error { return tx.Delete("seal/check.2") }, "seal/check.2")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		keys, _, err := mfa.LoadKeys(t.Context(), f.store, path)
		if err != nil || keys.InUse() != pair {
			t.Errorf("in use: %v, %v; want %v", keys.InUse(), err, pair)
		}
	}
}
