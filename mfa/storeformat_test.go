package mfa_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// recorded is what a program of format 1 has given out: see
// testdata/format1/README.
type recorded struct {
	AliceSecret, AliceAssertion, AliceRefresh, AliceSpent string
	AliceCodeAssertion, AliceCodeRefresh                  string
	AliceCodes, BobCodes, CarolCodes                      []string
	BobAssertion, BobRefresh, DaveSecret                  string
	At                                                    time.Time
}

// readRecorded reads it, and puts the documents of that program into st and
// its key file at path.
func readRecorded(t *testing.T, st store.Store, path string) (r recorded) {
	t.Helper()
	documents := make(map[string][]byte)
	for name, into := range map[string]any{"record.json": &r, "documents.json": &documents} {
		content, err := os.ReadFile(filepath.Join("testdata", "format1", name))
		if err == nil {
			err = json.Unmarshal(content, into)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for key, value := range documents {
		put(t, st, key, string(value))
	}
	copyFile(t, filepath.Join("testdata", "format1", "mfa.key"), path)
	return r
}

// older is a fixture over what a program of format 1 has left, a minute
// later.
func older(t *testing.T) (*fixture, recorded) {
	t.Helper()
	f := newFixture(t)
	f.store, f.keyPath = emptyStore(t), filepath.Join(t.TempDir(), "mfa.key")
	r := readRecorded(t, f.store, f.keyPath)
	f.now = r.At.Add(time.Minute)
	f.config.Store, f.config.AssertionIssuer = f.store, "https://example.com"
	f.alone()
	return f, r
}

// devCaller is a caller of the login that was recorded.
func devCaller(subject string) mfa.Caller {
	return mfa.Caller{Issuer: "caddy-mfa-dev", Subject: subject}
}

// wantNothing checks that no document is under key.
func wantNothing(t *testing.T, st store.Store, key string) {
	t.Helper()
	if _, err := st.Get(t.Context(), key); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("%s: %v", key, err)
	}
}

func TestEverythingThatAnOlderVersionKeptGoesOn(t *testing.T) {
	f, r := older(t)
	alice, bob, carol, dave := devCaller("alice"), devCaller("bob"), devCaller("carol"), devCaller("dave")
	for name, assertion := range map[string]string{"app": r.AliceAssertion, "backup code": r.AliceCodeAssertion, "mail": r.BobAssertion} {
		if !f.live(assertion) {
			t.Errorf("the session of the %s has ended", name)
		}
	}
	for caller, enrolled := range map[string]bool{"alice": true, "bob": true, "carol": true, "dave": false} {
		if standing, err := f.Standing(t.Context(), devCaller(caller)); err != nil || standing.Enrolled != enrolled {
			t.Errorf("%s: %+v, %v", caller, standing, err)
		}
	}
	wantACR := func(g *mfa.Grant, want string) {
		t.Helper()
		if got := f.open(g.Assertion).ACR; got != want {
			t.Errorf("the level is %q, want %q", got, want)
		}
	}
	wantACR(f.refresh(alice, r.AliceCodeRefresh), mfa.ACRMFA)
	wantACR(f.refresh(bob, r.BobRefresh), mfa.ACRMail)
	next := f.refresh(alice, r.AliceRefresh)
	f.wantNoRefresh(alice, r.AliceSpent) // which ends its session
	f.wantNoRefresh(alice, next.Refresh)
	f.login(alice, factor.TypeTOTP, f.appProof(r.AliceSecret))
	wantError(t, f.tryCode(alice, r.AliceCodes[0]), mfa.ErrWrongProof) // spent
	wantACR(f.login(alice, factor.TypeTOTP, mfa.LoginProof{Code: r.AliceCodes[1]}), mfa.ACRMFA)
	wantACR(f.login(bob, factor.TypeMagicLink, mfa.LoginProof{Code: r.BobCodes[0]}), mfa.ACRMail)
	var locked *mfa.LockedError
	if err := f.tryCode(carol, r.CarolCodes[0]); !errors.As(err, &locked) || locked.RetryAfter > 14*time.Minute+time.Second || locked.RetryAfter < 13*time.Minute {
		t.Errorf("carol, who was locked a minute ago: %v", err)
	}
	if _, err := f.VerifySetup(t.Context(), dave, factor.TypeTOTP, f.code(r.DaveSecret)); err != nil {
		t.Errorf("dave's setup: %v", err)
	}
	f.advance(15 * time.Minute)
	f.login(carol, factor.TypeTOTP, mfa.LoginProof{Code: r.CarolCodes[0]})
}

func TestAnOlderVersionServesFromNoStoreThatThisOneHasOpened(t *testing.T) {
	f, _ := older(t)
	// It looks for its key check there, and stays out without one.
	wantNothing(t, f.store, "seal/check")
	f.keyNode("b", f.keyPath, true).follow() // which finds it taken over
	wantNothing(t, f.store, "seal/check")

	// Nor from one that is new.
	wantNothing(t, newFixture(t).store, "seal/check")
}

func TestABackupOfAnOlderVersionIsRestored(t *testing.T) {
	old := emptyStore(t)
	path := filepath.Join(t.TempDir(), "mfa.key")
	r := readRecorded(t, old, path)
	var backup bytes.Buffer
	if err := old.(store.Snapshotter).Snapshot(t.Context(), &backup); err != nil {
		t.Fatal(err)
	}
	f := newFixture(t)
	f.store, f.keyPath = emptyStore(t), path
	f.config.Store, f.config.AssertionIssuer = f.store, "https://example.com"
	f.now = r.At.Add(time.Minute)
	n := f.alone()
	if err := n.Restore(t.Context(), f.store.(store.Snapshotter), bytes.NewReader(backup.Bytes()), true); err != nil {
		t.Fatal(err)
	}
	wantNothing(t, f.store, "seal/check")
	n.follow()
	f.refresh(devCaller("bob"), r.BobRefresh)

	// Or put in its place by other tools.
	readRecorded(t, f.store, path)
	if err := f.store.Update(t.Context(), func(tx store.Tx) error { return tx.Delete("seal/check.2") }, "seal/check.2"); err != nil {
		t.Fatal(err)
	}
	n.follow()
	wantNothing(t, f.store, "seal/check")
	f.refresh(devCaller("bob"), r.BobRefresh)
}

func TestAStoreThatAnOlderVersionServesFromIsClosedAndCopied(t *testing.T) {
	from, to := emptyStore(t), emptyStore(t)
	path := filepath.Join(t.TempDir(), "mfa.key")
	readRecorded(t, from, path)
	before := dump(t, from)
	if closed, err := mfa.CloseStore(t.Context(), from); err != nil || !closed {
		t.Fatal(closed, err)
	}
	wantNothing(t, from, "seal/check")
	_, _, err := mfa.LoadKeys(t.Context(), from, path)
	wantError(t, err, mfa.ErrMoved)
	copyTo(t, from, to, mfa.CopyOptions{})
	if _, _, err := mfa.LoadKeys(t.Context(), to, path); err != nil {
		t.Error(err)
	}
	if opened, err := mfa.ReopenStore(t.Context(), from); err != nil || !opened {
		t.Fatal(opened, err)
	}
	if dump(t, from) != before {
		t.Error("the store is not what it was, for the version that served from it")
	}
}

func TestAStoreOfANewerVersionIsLeftAlone(t *testing.T) {
	f := newFixture(t)
	n := f.alone()
	app := f.enrolApp(alice)
	pair := n.keys.InUse()
	check, err := json.Marshal(map[string]any{"product": "caddy-mfa", "format": 3, "hashing": pair.Hashing, "more": true})
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := n.keys.Seal("caddy-mfa document seal/check.2", check)
	if err != nil {
		t.Fatal(err)
	}
	put(t, f.store, "seal/check.2", string(sealed))
	before := dump(t, f.store)
	_, err = n.Follow(t.Context())
	wantError(t, err, mfa.ErrNewerStore)
	for name, ask := range map[string]func() error{
		"login":   func() error { return f.tryCode(alice, app.backupCodes[0]) },
		"gate":    func() error { _, err := f.Standing(t.Context(), alice); return err },
		"refresh": func() error { _, err := f.Refresh(t.Context(), alice, app.grant.Refresh); return err },
	} {
		if err := ask(); !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, mfa.ErrNewerStore) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, _, err = mfa.LoadKeys(t.Context(), f.store, f.keyPath)
	wantError(t, err, mfa.ErrNewerStore)
	if dump(t, f.store) != before {
		t.Error("the store was changed")
	}
}

func TestAStartThatIsBrokenOffIsMadeGoodByTheNext(t *testing.T) {
	for name, record := range map[string]bool{"of a new store": false, "of one of an older version": true} {
		t.Run(name, func(t *testing.T) {
			st, path := emptyStore(t), filepath.Join(t.TempDir(), "mfa.key")
			if record {
				readRecorded(t, st, path)
			}
			for failAt := int64(1); ; failAt++ {
				_, _, err := mfa.LoadKeys(t.Context(), &faulty{Store: st, failAt: failAt}, path)
				if err == nil {
					break
				}
				wantError(t, err, errBroken)
			}
			keys, made, err := mfa.LoadKeys(t.Context(), st, path)
			if err != nil || made != (mfa.Made{}) {
				t.Fatal(made, err)
			}
			if err := keys.Err(); err != nil {
				t.Error(err)
			}
			wantNothing(t, st, "seal/check")
		})
	}
}

func TestOfTwoNodesThatTakeAStoreOverAtOnceBothServe(t *testing.T) {
	st, path := emptyStore(t), filepath.Join(t.TempDir(), "mfa.key")
	readRecorded(t, st, path)
	errs := make(chan error)
	for range 8 {
		go func() {
			_, _, err := mfa.LoadKeys(context.Background(), st, path)
			errs <- err
		}()
	}
	for range 8 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	wantNothing(t, st, "seal/check")
}
