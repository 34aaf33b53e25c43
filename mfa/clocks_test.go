package mfa_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/store"
	"github.com/caddymfa/caddy-mfa/mfa/store/storeclock"
)

// clocked is a store with a clock, which is that of the fixture.
type clocked struct {
	store.Store
	now func() time.Time
}

func (c clocked) Time(context.Context) (time.Time, time.Duration, error) {
	return c.now(), time.Millisecond, nil
}

// clockNode is a node whose own clock is not that of the fixture.
type clockNode struct {
	*keyNode
	clock *storeclock.Clock // nil where the store tells no time
	skew  atomic.Int64      // how far its own is ahead
}

// clockNode starts a node whose clock is ahead by skew. Timed says that the
// store tells the time.
func (f *fixture) clockNode(name string, skew time.Duration, timed bool) *clockNode {
	f.t.Helper()
	n := &clockNode{keyNode: &keyNode{f: f, path: filepath.Join(f.t.TempDir(), "mfa.key")}}
	n.skew.Store(int64(skew))
	copyFile(f.t, f.keyPath, n.path)
	var err error
	if n.keys, _, err = mfa.LoadKeys(f.t.Context(), f.store, n.path); err != nil {
		f.t.Fatal(err)
	}
	config := f.config
	config.Keys = n.keys
	config.Now = func() time.Time { return f.config.Now().Add(time.Duration(n.skew.Load())) }
	if timed {
		n.clock = storeclock.New(clocked{f.store, f.config.Now}, config.Now)
		config.Clock = n.clock
		n.measure()
	}
	if n.Service, err = mfa.New(config); err != nil {
		f.t.Fatal(err)
	}
	n.KeyFile, err = mfa.NewKeyFile(mfa.KeyFileConfig{
		Store: f.store, Keys: n.keys, Path: n.path, Node: name, Shared: true, Journal: f.events, Now: config.Now, Clock: n.clock,
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return n
}

// measure is the node's regular look at the store's clock.
func (n *clockNode) measure() {
	n.f.t.Helper()
	if err := n.clock.Measure(n.f.t.Context()); err != nil {
		n.f.t.Fatal(err)
	}
}

// begin begins a session at the node, by a backup code.
func (n *clockNode) begin(caller mfa.Caller, code string) *mfa.Grant {
	n.f.t.Helper()
	g, err := n.VerifyLogin(n.f.t.Context(), caller, factor.TypeTOTP, mfa.LoginProof{Code: code})
	if err != nil {
		n.f.t.Fatal(err)
	}
	return g
}

// renew refreshes at the node.
func (n *clockNode) renew(token string) *mfa.Grant {
	n.f.t.Helper()
	g, err := n.Service.Refresh(n.f.t.Context(), alice, token)
	if err != nil {
		n.f.t.Fatalf("%v apart: %v", time.Duration(n.skew.Load()), err)
	}
	return g
}

// skews are how far the clocks of two nodes are apart.
var skews = []time.Duration{
	5 * time.Second, -5 * time.Second, 20 * time.Second, -20 * time.Second, 59 * time.Second, -59 * time.Second,
}

func TestTheGraceOfARefreshTokenIsTenSecondsHoweverFarTheClocksOfNodesAreApart(t *testing.T) {
	for _, skew := range skews {
		t.Run(skew.String(), func(t *testing.T) {
			f := newFixture(t)
			app := f.enrolApp(alice)
			a, b := f.clockNode("a", 0, true), f.clockNode("b", skew, true)
			for i, nodes := range [][2]*clockNode{{a, b}, {b, a}} {
				first, second := nodes[0], nodes[1]
				spent := first.begin(alice, app.backupCodes[2*i]).Refresh
				first.renew(spent)
				second.renew(spent) // at once
				f.advance(9 * time.Second)
				second.renew(spent)
				first.renew(spent)
				f.advance(2 * time.Second)
				_, err := second.Service.Refresh(t.Context(), alice, spent)
				wantError(t, err, mfa.ErrSessionExpired)

				again := first.begin(alice, app.backupCodes[2*i+1])
				shown := f.open(again.Assertion)
				for _, n := range nodes {
					if live, err := n.Live(t.Context(), shown); err != nil || !live {
						t.Errorf("live: %v, %v", live, err)
					}
				}
			}
		})
	}
}

func TestSpansAreMeasuredByOneClockHoweverFarTheClocksOfNodesAreApart(t *testing.T) {
	for _, skew := range skews {
		t.Run(skew.String(), func(t *testing.T) {
			f := newFixture(t)
			app := f.enrolApp(alice)
			a, b := f.clockNode("a", 0, true), f.clockNode("b", skew, true)
			login := func(n *clockNode, code string) error {
				_, err := n.VerifyLogin(t.Context(), alice, factor.TypeTOTP, mfa.LoginProof{Code: code})
				return err
			}
			for range 5 {
				wantError(t, login(b, "AAAA-BBBB-CCCC"), mfa.ErrWrongProof)
			}
			wantLocked(t, login(a, app.backupCodes[0]), 15*time.Minute)
			wantLocked(t, login(b, app.backupCodes[0]), 15*time.Minute)
			f.advance(15*time.Minute - time.Second)
			wantLocked(t, login(a, app.backupCodes[0]), time.Second)
			f.advance(time.Second)
			g := b.begin(alice, app.backupCodes[0])
			if want := f.now.Add(mfa.DefaultTokenLifetime); !g.ExpiresAt.Equal(want) {
				t.Errorf("the assertion of b ends at %v, want %v", g.ExpiresAt, want)
			}
			shown := f.open(g.Assertion)
			f.advance(mfa.DefaultTokenLifetime - time.Second)
			for _, n := range []*clockNode{a, b} {
				if live, err := n.Live(t.Context(), shown); err != nil || !live {
					t.Errorf("live before its end: %v, %v", live, err)
				}
			}
			f.advance(time.Second)
			for _, n := range []*clockNode{a, b} {
				if live, err := n.Live(t.Context(), shown); err != nil || live {
					t.Errorf("live at its end: %v, %v", live, err)
				}
			}
		})
	}
}

func TestANodeWhoseClockIsTooFarOffClosesUntilItIsSet(t *testing.T) {
	for _, skew := range []time.Duration{2 * time.Minute, -2 * time.Minute, 10 * time.Minute, -10 * time.Minute} {
		t.Run(skew.String(), func(t *testing.T) {
			f := newFixture(t)
			app := f.enrolApp(alice)
			n := f.clockNode("b", 0, true)
			g := n.begin(alice, app.backupCodes[0])
			shown := f.open(g.Assertion)

			n.skew.Store(int64(skew))
			n.measure()
			before := dump(t, f.store)
			for name, ask := range map[string]func() error{
				"gate":      func() error { _, err := n.Live(t.Context(), shown); return err },
				"standing":  func() error { _, err := n.Standing(t.Context(), alice); return err },
				"assertion": func() error { _, err := n.OpenAssertion(t.Context(), g.Assertion); return err },
				"login": func() error {
					_, err := n.VerifyLogin(t.Context(), alice, factor.TypeTOTP, mfa.LoginProof{Code: app.backupCodes[1]})
					return err
				},
				"refresh": func() error { _, err := n.Service.Refresh(t.Context(), alice, g.Refresh); return err },
				"status":  func() error { _, err := n.Service.Status(t.Context(), alice); return err },
				"first setup": func() error {
					_, err := n.Setup(t.Context(), bob, mfa.SetupRequest{Type: factor.TypeTOTP})
					return err
				},
				"sign-out": func() error { _, err := n.SignOut(t.Context(), app.caller, false); return err },
				"keys":     func() error { return n.RotateSigningKey(t.Context(), false) },
				"codes":    func() error { _, err := n.ReplaceBackupCodes(t.Context(), app.caller); return err },
			} {
				if err := ask(); !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, storeclock.ErrApart) {
					t.Errorf("%s: %v", name, err)
				}
			}
			if dump(t, f.store) != before {
				t.Error("the store was changed")
			}
			n.skew.Store(0)
			n.measure()
			if live, err := n.Live(t.Context(), shown); err != nil || !live {
				t.Errorf("live: %v, %v", live, err)
			}
			n.renew(g.Refresh)
		})
	}
}

func TestKeysAreRotatedHoweverFarTheClocksOfNodesAreApart(t *testing.T) {
	for _, timed := range []bool{true, false} {
		for _, skew := range []time.Duration{-20 * time.Second, 20 * time.Second, -2 * time.Minute, 2 * time.Minute, -10 * time.Minute, 10 * time.Minute} {
			t.Run(fmt.Sprint(timed, skew), func(t *testing.T) {
				f := newFixture(t)
				a, b := f.clockNode("a", 0, timed), f.clockNode("b", skew, timed)
				for _, nodes := range [][2]*clockNode{{a, b}, {b, a}} {
					first, second := nodes[0], nodes[1]
					round := func() {
						for range 6 {
							f.advance(mfa.KeyPoll)
							first.follow()
							second.follow()
						}
					}
					if r := first.stage(); r.Wait <= 0 {
						t.Errorf("no other node was given the time to tell: %+v", r)
					}
					round()
					// The other node, which has not got the key, is not left out.
					_, err := first.Promote(t.Context())
					wantError(t, err, mfa.ErrNodesLackKeys)
					copyFile(t, first.path, second.path)
					round()
					if r := first.stage(); len(r.Missing()) != 0 || len(r.Nodes) != 2 || r.Wait != 0 {
						t.Errorf("both have the key: %+v", r)
					}
					first.promote()
					_, err = first.Retire(t.Context(), false)
					wantError(t, err, mfa.ErrKeysNeeded)
					second.follow()
					first.resealAll()
					round()
					first.retire(true)
					copyFile(t, first.path, second.path)
					second.follow()
				}
			})
		}
	}
}

func TestSessionsThatBeginWhileKeysAreRotatedElsewhereGoOn(t *testing.T) {
	for _, skew := range []time.Duration{-59 * time.Second, -20 * time.Second, 20 * time.Second, 59 * time.Second} {
		t.Run(skew.String(), func(t *testing.T) {
			f := newFixture(t)
			app := f.enrolApp(alice)
			a, b := f.clockNode("a", skew, true), f.clockNode("b", 0, true)
			a.stage()
			copyFile(t, a.path, b.path)
			for range 6 {
				f.advance(mfa.KeyPoll)
				a.follow()
				b.follow()
			}
			var grants []*mfa.Grant
			grants = append(grants, b.begin(alice, app.backupCodes[0]))
			a.promote()
			grants = append(grants, b.begin(alice, app.backupCodes[1])) // with the key of before
			f.advance(mfa.KeyPoll - time.Second)
			grants = append(grants, b.begin(alice, app.backupCodes[2]))
			b.follow()
			f.advance(20 * time.Second)
			grants = append(grants, b.begin(alice, app.backupCodes[3]))
			for i, g := range grants {
				next := a.renew(g.Refresh)
				if b.renew(next.Refresh); t.Failed() {
					t.Errorf("session %d", i)
				}
			}
		})
	}
}
