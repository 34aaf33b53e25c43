package mfa_test

import (
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/seal"
)

func TestTheOldKeyFileOpensNothingAfterARotation(t *testing.T) {
	f := newFixture(t)
	n := f.alone()
	app := f.enrolApp(alice)
	stolen := filepath.Join(t.TempDir(), "stolen.key")
	copyFile(t, f.keyPath, stolen)
	old := n.keys.InUse()
	n.rotate()
	thief, err := seal.Load(stolen)
	if err != nil {
		t.Fatal(err)
	}
	documents, err := f.store.List(t.Context(), "", "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range documents {
		if _, err := thief.Open("caddy-mfa document "+d.Key, d.Value); !errors.Is(err, seal.ErrUnknownKey) {
			t.Errorf("%s: %v", d.Key, err)
		}
		if _, err := n.keys.Open("caddy-mfa document "+d.Key, d.Value); err != nil {
			t.Errorf("%s does not open with the new key: %v", d.Key, err)
		}
	}
	_, _, err = mfa.LoadKeys(t.Context(), f.store, stolen)
	wantError(t, err, mfa.ErrKeyMismatch)

	// With all, also what was hashed with the old key is of no use any more.
	retired := n.retire(true)
	if len(retired.Removed) != 2 || len(retired.Kept) != 0 {
		t.Errorf("retired: %+v", retired)
	}
	if n.keys.Hold(seal.Pair{Sealing: old.Sealing, Hashing: n.keys.InUse().Hashing}) {
		t.Error("the old key is still held")
	}
	content, err := os.ReadFile(f.keyPath)
	if err != nil || strings.Contains(string(content), old.Sealing.String()) || len(n.keys.Hashing()) != 1 {
		t.Errorf("the file keeps the old keys (%v)", err)
	}
	wantError(t, f.tryCode(alice, app.backupCodes[0]), mfa.ErrWrongProof)
	f.wantNoRefresh(alice, app.grant.Refresh)
	if status := f.status(alice); status.BackupCodes != 0 {
		t.Errorf("%d backup codes are told of that work no more", status.BackupCodes)
	}
	f.advance(30 * time.Second)
	f.login(alice, factor.TypeTOTP, f.appProof(app.secret))
}

func TestWhoHasTheOldKeysMakesNoRefreshTokenOfANewSession(t *testing.T) {
	f := newFixture(t)
	n := f.alone()
	stolen := filepath.Join(t.TempDir(), "stolen.key")
	copyFile(t, f.keyPath, stolen)
	app := f.enrolApp(alice)
	f.advance(time.Minute)
	n.rotate()
	f.advance(time.Minute)

	// The thief's service, over a copy of what was, makes tokens that differ
	// from ours in the key alone.
	keys, err := seal.Load(stolen)
	if err != nil {
		t.Fatal(err)
	}
	forge := func(token string) string {
		named := token[:strings.LastIndex(token, ".")]
		hash, err := keys.Hash("caddy-mfa refresh token "+f.account(), []byte(named))
		if err != nil {
			t.Fatal(err)
		}
		return named + "." + base64.RawURLEncoding.EncodeToString(hash)
	}
	if forged := forge(app.grant.Refresh); forged != app.grant.Refresh {
		t.Fatalf("the thief makes %s, not %s", forged, app.grant.Refresh)
	}
	refreshed := f.refresh(alice, app.grant.Refresh) // of a session of before
	f.wantNoRefresh(alice, forge(refreshed.Refresh))
	fresh := f.login(alice, factor.TypeTOTP, f.appProof(app.secret))
	f.wantNoRefresh(alice, forge(fresh.Refresh))
	// Nor one that was just spent, for the sake of its grace.
	spent := refreshed
	refreshed = f.refresh(alice, spent.Refresh)
	f.wantNoRefresh(alice, forge(spent.Refresh))
	f.refresh(alice, refreshed.Refresh)
	f.refresh(alice, fresh.Refresh)
}

// account is the key of the only record.
func (f *fixture) account() string {
	f.t.Helper()
	found, err := f.store.List(f.t.Context(), "user/", "", 2)
	if err != nil || len(found) != 1 {
		f.t.Fatal(len(found), err)
	}
	return strings.TrimPrefix(found[0].Key, "user/")
}
