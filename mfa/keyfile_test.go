package mfa_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/seal"
)

// keyNode is a node with a key file of its own.
type keyNode struct {
	*mfa.Service
	*mfa.KeyFile
	f    *fixture
	keys *seal.Keys
	path string
}

// keyNode starts a node that has the key file of path, over the store of f.
func (f *fixture) keyNode(name, path string, shared bool) *keyNode {
	f.t.Helper()
	n := &keyNode{f: f, path: path}
	var err error
	if n.keys, _, err = mfa.LoadKeys(f.t.Context(), f.store, path); err != nil {
		f.t.Fatal(err)
	}
	config := f.config
	config.Keys = n.keys
	if n.Service, err = mfa.New(config); err != nil {
		f.t.Fatal(err)
	}
	n.KeyFile, err = mfa.NewKeyFile(mfa.KeyFileConfig{
		Store: f.store, Keys: n.keys, Path: path, Node: name, Shared: shared, Journal: f.events, Now: config.Now,
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return n
}

// alone is a node that has the store for itself, and is where the fixture's
// own requests go from now on.
func (f *fixture) alone() *keyNode {
	f.t.Helper()
	n := f.keyNode("a", f.keyPath, false)
	f.Service = n.Service
	return n
}

// pair are two nodes over one store, each with its own copy of the key file.
func (f *fixture) pair() (a, b *keyNode) {
	f.t.Helper()
	other := filepath.Join(f.t.TempDir(), "mfa.key")
	copyFile(f.t, f.keyPath, other)
	a, b = f.keyNode("a", f.keyPath, true), f.keyNode("b", other, true)
	f.Service = a.Service
	return a, b
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (n *keyNode) follow() {
	n.f.t.Helper()
	if _, err := n.Follow(n.f.t.Context()); err != nil {
		n.f.t.Fatal(err)
	}
}

func (n *keyNode) stage() mfa.Rotation {
	n.f.t.Helper()
	r, err := n.Stage(n.f.t.Context())
	if err != nil {
		n.f.t.Fatal(err)
	}
	return r
}

func (n *keyNode) promote() {
	n.f.t.Helper()
	if _, err := n.Promote(n.f.t.Context()); err != nil {
		n.f.t.Fatal(err)
	}
}

func (n *keyNode) resealAll() int {
	n.f.t.Helper()
	resealed, err := n.ResealAll(n.f.t.Context())
	if err != nil {
		n.f.t.Fatal(err)
	}
	return resealed
}

// rotate goes through all steps but the last.
func (n *keyNode) rotate() {
	n.f.t.Helper()
	n.stage()
	n.promote()
	n.resealAll()
}

func (n *keyNode) retire(all bool) mfa.Retired {
	n.f.t.Helper()
	retired, err := n.Retire(n.f.t.Context(), all)
	if err != nil {
		n.f.t.Fatal(err)
	}
	return retired
}

// sealedBy counts the documents that are sealed with each key.
func (f *fixture) sealedBy() map[seal.KeyID]int {
	f.t.Helper()
	documents, err := f.store.List(f.t.Context(), "", "", 1000)
	if err != nil {
		f.t.Fatal(err)
	}
	counts := make(map[seal.KeyID]int)
	for _, d := range documents {
		id, ok := seal.KeyOf(d.Value)
		if !ok {
			f.t.Fatalf("%s is not sealed", d.Key)
		}
		counts[id]++
	}
	return counts
}

func TestEverythingGoesOnWorkingWhileTheSealingKeyIsRotated(t *testing.T) {
	f := newFixture(t)
	n := f.alone()
	app := f.enrolApp(alice)
	device := newDevice(t)
	f.advance(time.Hour)
	bobby := f.enrolPasskey(bob, device)
	carol, dave := mfa.Caller{Subject: "carol"}, mfa.Caller{Subject: "dave"}
	begun := f.setupApp(carol)
	mailed := mfa.Caller{Subject: "erin"}
	f.enrolLink(mailed, "erin@example.com")
	pair := f.login(alice, factor.TypeTOTP, f.appProof(app.secret))
	used := 0
	works := func(when string) {
		t.Helper()
		f.advance(30 * time.Second)
		f.login(alice, factor.TypeTOTP, f.appProof(app.secret))
		f.login(alice, factor.TypeTOTP, mfa.LoginProof{Code: app.backupCodes[used]})
		if err := f.tryCode(alice, app.backupCodes[used]); !errors.Is(err, mfa.ErrWrongProof) {
			t.Errorf("%s a spent backup code gives %v", when, err)
		}
		used++
		f.login(bob, factor.TypePasskey, device.answer(t, f.challenge(bobby), origin))
		if !f.live(pair.Assertion) {
			t.Errorf("%s the assertion ended", when)
		}
		pair = f.refresh(alice, pair.Refresh)
		sent := f.sendLink(mailed)
		if err := f.approve(f.mails.Token(t), sent.Number); err != nil {
			t.Errorf("%s a link: %v", when, err)
		}
	}
	works("before")
	old := n.keys.InUse()
	if r := n.stage(); r.InUse || r.Pair == old || len(r.Missing()) > 0 || r.Wait != 0 {
		t.Fatalf("staged: %+v", r)
	}
	works("staged")
	if got := f.sealedBy(); len(got) != 1 {
		t.Fatalf("a key that is only staged seals: %v", got)
	}
	n.promote()
	works("in use")
	if err := f.confirmApp(carol, begun); err != nil {
		t.Errorf("a setup that was pending: %v", err)
	}
	begun = f.setupApp(dave)
	if n.resealAll() == 0 {
		t.Error("nothing was sealed anew")
	}
	if got := f.sealedBy(); len(got) != 1 || got[old.Sealing] != 0 {
		t.Fatalf("after sealing anew: %v", got)
	}
	works("sealed anew")
	if err := f.confirmApp(dave, begun); err != nil {
		t.Errorf("a setup that was pending: %v", err)
	}

	// Assertions carry access tokens under the old key for an hour, refresh
	// tokens last for longer, backup codes for ever.
	if retired, err := n.Retire(t.Context(), false); err != nil || len(retired.Removed) != 0 || len(retired.Kept) != 2 {
		t.Errorf("retired at once: %+v, %v", retired, err)
	}
	f.advance(mfa.DefaultTokenLifetime + time.Minute)
	pair = f.refresh(alice, pair.Refresh)
	retired := n.retire(false)
	if len(retired.Removed) != 1 || retired.Removed[0].ID != old.Sealing || len(retired.Kept) != 1 || retired.Kept[0].ID != old.Hashing || retired.Kept[0].People == 0 {
		t.Errorf("retired: %+v", retired)
	}
	works("retired")
}

func TestARotationGoesOnFromWhereverItWasBrokenOff(t *testing.T) {
	for name, crash := range map[string]func(n *keyNode){
		"after the file got the key": func(n *keyNode) {
			if _, err := seal.AddKeys(n.path); err != nil {
				n.f.t.Fatal(err)
			}
		},
		"after it was staged": func(n *keyNode) { n.stage() },
		"after it came into use": func(n *keyNode) {
			n.stage()
			n.promote()
		},
		"while documents were sealed anew": func(n *keyNode) {
			n.stage()
			n.promote()
			if r, err := n.Reseal(n.f.t.Context(), "", 2); err != nil || r.Next == "" || r.Resealed == 0 {
				n.f.t.Fatal(r, err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			app := f.enrolApp(alice)
			f.enrolApp(bob)
			first := f.keyNode("a", f.keyPath, false)
			old := first.keys.InUse()
			crash(first)

			// Another process, with the same file.
			n := f.alone()
			f.advance(30 * time.Second)
			f.login(alice, factor.TypeTOTP, f.appProof(app.secret))
			if r := n.stage(); !r.InUse {
				n.promote()
			}
			n.resealAll()
			if got := f.sealedBy(); len(got) != 1 || got[old.Sealing] != 0 {
				t.Errorf("sealed by %v", got)
			}
			if got := n.keys.Sealing(); len(got) != 2 {
				t.Errorf("the file has %v: one key should have been added", got)
			}
			f.advance(2 * time.Hour)
			n.retire(true)
			f.login(alice, factor.TypeTOTP, f.appProof(app.secret))
		})
	}
}

func TestAFileThatCannotBeUsedIsNotTakenOver(t *testing.T) {
	f := newFixture(t)
	n := f.alone()
	app := f.enrolApp(alice)
	whole, err := os.ReadFile(f.keyPath)
	if err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(t.TempDir(), "foreign.key")
	if _, _, err := seal.LoadOrCreate(foreign); err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(foreign)
	if err != nil {
		t.Fatal(err)
	}
	for want, content := range map[error][]byte{seal.ErrBadKeyFile: whole[:100], seal.ErrUnknownKey: other} {
		if err := os.WriteFile(f.keyPath, content, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := n.Follow(t.Context())
		wantError(t, err, want)
		f.advance(30 * time.Second)
		f.login(alice, factor.TypeTOTP, f.appProof(app.secret))
	}
	if err := os.WriteFile(f.keyPath, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	n.follow()
}

func TestMailIsLimitedAcrossARotation(t *testing.T) {
	f := newFixture(t)
	n := f.alone()
	send := func(i int) error {
		_, err := f.Setup(t.Context(), mfa.Caller{Subject: string(rune('a' + i))}, mfa.SetupRequest{Type: factor.TypeMagicLink, Email: "victim@example.com"})
		return err
	}
	for i := range 5 {
		if i == 3 {
			n.rotate()
		}
		if err := send(i); err != nil {
			t.Fatal(err)
		}
	}
	var limited *mfa.RateLimitError
	if err := send(5); !errors.As(err, &limited) {
		t.Errorf("the sixth mail to an address gives %v", err)
	}
}
