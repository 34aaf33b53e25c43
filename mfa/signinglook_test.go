package mfa_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// watched is a way to a store that counts what is read, and can hang.
type watched struct {
	*remote
	reads  atomic.Int32
	writes atomic.Int32
	hang   atomic.Pointer[chan struct{}]
}

func (w *watched) GetVersion(ctx context.Context, key string) ([]byte, int64, error) {
	w.reads.Add(1)
	if hang := w.hang.Load(); hang != nil {
		select {
		case <-*hang:
		case <-ctx.Done():
			return nil, 0, store.ErrUnavailable
		}
	}
	return w.remote.GetVersion(ctx, key)
}

func (w *watched) Get(ctx context.Context, key string) ([]byte, error) {
	w.reads.Add(1)
	return w.remote.Get(ctx, key)
}

func (w *watched) Update(ctx context.Context, fn func(store.Tx) error, keys ...string) error {
	w.writes.Add(1)
	return w.remote.Update(ctx, fn, keys...)
}

func (f *fixture) watchedNode() (*mfa.Service, *watched) {
	f.t.Helper()
	w := &watched{remote: &remote{inner: f.store}}
	config := f.config
	config.Store = w
	s, err := mfa.New(config)
	if err != nil {
		f.t.Fatal(err)
	}
	return s, w
}

// ofUnknownKey is an assertion whose key nobody has made.
func ofUnknownKey(n int) string {
	header := fmt.Sprintf(`{"typ":"mfa+jwt","alg":"ES256","kid":"stranger-%d"}`, n)
	return base64.RawURLEncoding.EncodeToString([]byte(header)) + ".e30." + strings.Repeat("A", 86)
}

func TestStrangersHaveTheSigningKeysReadOnceInTwoSeconds(t *testing.T) {
	f := newFixture(t)
	good := f.enrolApp(alice).grant.Assertion
	node, way := f.watchedNode()
	if _, err := node.OpenAssertion(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	for round := range 3 {
		before := way.reads.Load()
		for n := range 500 {
			_, err := node.OpenAssertion(t.Context(), ofUnknownKey(n))
			wantError(t, err, mfa.ErrInvalidAssertion)
			if _, err := node.JWKS(t.Context()); err != nil {
				t.Fatal(err)
			}
			_, err = node.OpenAssertion(t.Context(), good[:len(good)-4]+"AAAA")
			wantError(t, err, mfa.ErrInvalidAssertion)
		}
		if reads := way.reads.Load() - before; reads != 1 {
			t.Errorf("round %d: 1,500 requests read the store %d times", round, reads)
		}
		f.advance(2 * time.Second)
	}
	if _, err := node.OpenAssertion(t.Context(), good); err != nil {
		t.Error(err)
	}
}

func TestWhileTheStoreIsAwayAnUnknownKeyIsAnsweredAtOnce(t *testing.T) {
	f := newFixture(t)
	good := f.enrolApp(alice).grant.Assertion
	for _, cold := range []bool{false, true} {
		node, way := f.watchedNode()
		if _, err := node.OpenAssertion(t.Context(), good); !cold && err != nil {
			t.Fatal(err)
		}
		if cold {
			node, way = f.watchedNode()
		}
		way.away.Store(true)
		before := way.reads.Load()
		for n := range 500 {
			_, err := node.OpenAssertion(t.Context(), ofUnknownKey(n))
			wantError(t, err, store.ErrUnavailable)
		}
		if reads := way.reads.Load() - before; reads != 1 {
			t.Errorf("cold %v: the store was asked %d times", cold, reads)
		}
		if _, err := node.OpenAssertion(t.Context(), good); !cold && err != nil {
			t.Error(err)
		}
		if _, err := node.JWKS(t.Context()); !cold && err != nil {
			t.Error(err)
		}
		way.away.Store(false)
		f.advance(2 * time.Second)
		if _, err := node.OpenAssertion(t.Context(), good); err != nil {
			t.Errorf("cold %v: when it is back: %v", cold, err)
		}
	}
}

// The store accepts questions and answers none.
func TestNobodyWaitsForAStoreThatHangsOverAnUnknownKey(t *testing.T) {
	f := newFixture(t)
	good := f.enrolApp(alice).grant.Assertion
	node, way := f.watchedNode()
	if _, err := node.OpenAssertion(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	hang := make(chan struct{})
	way.hang.Store(&hang)
	before := way.reads.Load()
	_, err := node.OpenAssertion(t.Context(), ofUnknownKey(0))
	wantError(t, err, store.ErrUnavailable) // and it is still not answered
	f.advance(500 * time.Millisecond)       // within which what was read is fresh
	for n := range 500 {
		_, err := node.OpenAssertion(t.Context(), ofUnknownKey(n))
		wantError(t, err, store.ErrUnavailable)
	}
	if _, err := node.OpenAssertion(t.Context(), good); err != nil {
		t.Errorf("a good one meanwhile: %v", err)
	}
	if reads := way.reads.Load() - before; reads != 1 {
		t.Errorf("the store was asked %d times", reads)
	}
	way.hang.Store(nil)
	close(hang)
}

func TestAnotherNodesNewKeyIsFoundWhileStrangersSendUnknownOnes(t *testing.T) {
	f := newFixture(t)
	app := f.enrolApp(alice)
	here, _ := f.remoteNode()
	there, _ := f.watchedNode()
	if _, err := there.OpenAssertion(t.Context(), app.grant.Assertion); err != nil {
		t.Fatal(err)
	}
	_, err := there.OpenAssertion(t.Context(), ofUnknownKey(1))
	wantError(t, err, mfa.ErrInvalidAssertion)
	if err := here.RotateSigningKey(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	renewed, err := here.Refresh(t.Context(), alice, app.grant.Refresh)
	if err != nil {
		t.Fatal(err)
	}
	_, err = there.OpenAssertion(t.Context(), renewed.Assertion)
	wantError(t, err, mfa.ErrUndecidedAssertion)
	f.advance(2 * time.Second)
	if _, err := there.OpenAssertion(t.Context(), renewed.Assertion); err != nil {
		t.Error(err)
	}
	// An ordinary rotation publishes the key long before it signs.
	if err := here.RotateSigningKey(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	_, err = there.OpenAssertion(t.Context(), ofUnknownKey(2))
	wantError(t, err, mfa.ErrInvalidAssertion)
	f.advance(mfa.SigningOverlap)
	if renewed, err = here.Refresh(t.Context(), alice, renewed.Refresh); err != nil {
		t.Fatal(err)
	}
	if _, err := there.OpenAssertion(t.Context(), renewed.Assertion); err != nil {
		t.Error(err)
	}
}
