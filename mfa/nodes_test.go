package mfa_test

import (
	"context"
	"errors"
	"hash/fnv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// remote is a node's way to a store on another machine: one that other
// nodes write, too, and that can be out of reach.
type remote struct {
	inner store.Store
	away  atomic.Bool
}

func (r *remote) reach() error {
	if r.away.Load() {
		return store.ErrUnavailable
	}
	return nil
}

func (r *remote) Get(ctx context.Context, key string) ([]byte, error) {
	if err := r.reach(); err != nil {
		return nil, err
	}
	return r.inner.Get(ctx, key)
}

func (r *remote) Update(ctx context.Context, fn func(store.Tx) error, keys ...string) error {
	if err := r.reach(); err != nil {
		return err
	}
	return r.inner.Update(ctx, fn, keys...)
}

func (r *remote) List(ctx context.Context, prefix, after string, limit int) ([]store.Document, error) {
	if err := r.reach(); err != nil {
		return nil, err
	}
	return r.inner.List(ctx, prefix, after, limit)
}

func (r *remote) Close() error { return nil }

// GetVersion takes a hash for the version: what is sealed is never the same
// twice.
func (r *remote) GetVersion(ctx context.Context, key string) ([]byte, int64, error) {
	value, err := r.Get(ctx, key)
	if err != nil {
		return nil, 0, err
	}
	h := fnv.New64a()
	h.Write(value)
	return value, int64(h.Sum64() | 1), nil
}

func (r *remote) Changed(ctx context.Context, seen map[string]int64) ([]string, error) {
	var changed []string
	for key, version := range seen {
		_, now, err := r.GetVersion(ctx, key)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		if now != version {
			changed = append(changed, key)
		}
	}
	return changed, nil
}

func (r *remote) Written() <-chan struct{} { return nil }

// remoteNode is a Service that reaches the store over a way of its own.
func (f *fixture) remoteNode() (*mfa.Service, *remote) {
	f.t.Helper()
	r := &remote{inner: f.store}
	config := f.config
	config.Store = r
	s, err := mfa.New(config)
	if err != nil {
		f.t.Fatal(err)
	}
	return s, r
}

// wantLive checks what a node says of an assertion.
func wantLive(t *testing.T, node *mfa.Service, shown *mfa.Shown, want bool) {
	t.Helper()
	if live, err := node.Live(t.Context(), shown); live != want || err != nil {
		t.Errorf("live: %v, %v; want %v", live, err, want)
	}
}

func TestASignOutOnOneNodeCountsOnTheOthersWithinASecond(t *testing.T) {
	f := newFixture(t)
	here, _ := f.remoteNode()
	there, _ := f.remoteNode()
	app := f.enrolApp(alice)
	shown := f.open(app.grant.Assertion)
	wantLive(t, here, shown, true)
	wantLive(t, there, shown, true)
	if _, err := here.SignOut(t.Context(), app.caller, false); err != nil {
		t.Fatal(err)
	}
	wantLive(t, here, shown, false)
	f.advance(mfa.DefaultFresh)
	wantLive(t, there, shown, false)
}

func TestAnAssertionOfANewKeyIsGoodOnEveryNodeAtOnce(t *testing.T) {
	f := newFixture(t)
	here, _ := f.remoteNode()
	there, _ := f.remoteNode()
	app := f.enrolApp(alice)
	for _, node := range []*mfa.Service{here, there} {
		if _, err := node.OpenAssertion(t.Context(), app.grant.Assertion); err != nil {
			t.Fatal(err)
		}
	}
	if err := here.RotateSigningKey(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	renewed, err := here.Refresh(t.Context(), alice, app.grant.Refresh)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := there.OpenAssertion(t.Context(), renewed.Assertion); err != nil {
		t.Error(err)
	}
	f.advance(mfa.DefaultFresh)
	_, err = there.OpenAssertion(t.Context(), app.grant.Assertion)
	wantError(t, err, mfa.ErrInvalidAssertion)
}

func TestWhileTheStoreIsAwayWhatWasShownCountsForAMinuteAndNothingNewDoes(t *testing.T) {
	f := newFixture(t)
	node, way := f.remoteNode()
	app := f.enrolApp(alice)
	bobs := f.enrolApp(bob)
	shown := f.open(app.grant.Assertion)
	wantLive(t, node, shown, true)
	if _, err := node.OpenAssertion(t.Context(), app.grant.Assertion); err != nil {
		t.Fatal(err)
	}
	way.away.Store(true)
	for range 59 {
		f.advance(time.Second)
		wantLive(t, node, shown, true)
		if _, err := node.OpenAssertion(t.Context(), app.grant.Assertion); err != nil {
			t.Fatal(err)
		}
	}
	_, err := node.VerifyLogin(t.Context(), alice, factor.TypeTOTP, f.appProof(app.secret))
	wantError(t, err, store.ErrUnavailable)
	_, err = node.Setup(t.Context(), mfa.Caller{Issuer: alice.Issuer, Subject: "new"}, mfa.SetupRequest{Type: factor.TypeTOTP})
	wantError(t, err, store.ErrUnavailable)
	_, err = node.Standing(t.Context(), alice)
	wantError(t, err, store.ErrUnavailable)
	_, err = node.Live(t.Context(), f.open(bobs.grant.Assertion)) // nobody has asked this node about bob
	wantError(t, err, store.ErrUnavailable)

	f.advance(time.Second)
	_, err = node.Live(t.Context(), shown)
	wantError(t, err, store.ErrUnavailable)
	_, err = node.OpenAssertion(t.Context(), app.grant.Assertion)
	wantError(t, err, store.ErrUnavailable)

	way.away.Store(false)
	wantLive(t, node, shown, true)
}
