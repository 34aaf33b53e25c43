package caddymodule

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/api"
	"github.com/caddymfa/caddy-mfa/mfa/panics"
	"github.com/caddymfa/caddy-mfa/mfa/seal"
	"github.com/caddymfa/caddy-mfa/mfa/store"
	"github.com/caddymfa/caddy-mfa/mfa/store/nearcache"
	"github.com/caddymfa/caddy-mfa/mfa/store/storeclock"
)

// state is an open store with its keys and what is remembered of it. A reload
// that changes none of what stateKey names goes on with the same.
type state struct {
	store      store.Store
	measured   store.Store // the same, with its operations timed
	keys       *seal.Keys
	keyFile    *mfa.KeyFile
	near       *nearcache.Cache
	clock      *storeclock.Clock
	assertions *api.AssertionCache
}

// states are those in use.
var states = newShared()

// stateKey is all that a state depends on: what is remembered of assertions
// holds for one store, under the keys of one file, and for one issuer.
func (a *App) stateKey() (string, error) {
	keyFile, err := filepath.Abs(a.KeyFile)
	if err != nil {
		return "", err
	}
	var near Near
	if remote, ok := a.engine.(Remote); ok {
		near = remote.NearOptions()
	}
	key, err := json.Marshal(struct {
		Store, KeyFile, Issuer string
		TokenLifetime          caddy.Duration
		Near                   Near
	}{a.engine.PoolKey(), keyFile, a.PublicURLs[0], a.TokenLifetime, near})
	return string(key), err
}

// openState opens the store, or goes on with what is open; isNew tells which.
// Release must be called once, when there was no error.
func (a *App) openState(ctx context.Context) (s *state, isNew bool, release func(), err error) {
	key, err := a.stateKey()
	if err != nil {
		return nil, false, nil, fmt.Errorf("key_file: %w", err)
	}
	s, known, release, err := acquire(states, key, func() (*state, func(), error) { return a.newState(ctx) })
	if err != nil || !known {
		return s, true, release, err
	}
	checked := false
	defer func() {
		if !checked { // also after a panic
			release()
		}
	}()
	// The keys in use may have been lost from the file since: the reload is
	// the moment to say so.
	if _, _, err := mfa.LoadKeys(ctx, s.store, a.KeyFile); err != nil {
		return nil, false, nil, keyError(err)
	}
	if _, err := s.keyFile.Follow(ctx); err != nil {
		return nil, false, nil, keyError(err)
	}
	checked = true
	return s, false, release, nil
}

// newState opens the store.
func (a *App) newState(ctx context.Context) (_ *state, end func(), err error) {
	st, closeStore, err := openStore(ctx, a.engine)
	if err != nil {
		return nil, nil, fmt.Errorf("opening store: %w", err)
	}
	opened := false
	defer func() {
		if !opened { // also after a panic
			closeStore()
		}
	}()
	s := &state{store: st, measured: a.metrics.measure(st), clock: storeclock.New(st, nil)}
	s.assertions = api.NewAssertionCache(s.clock.Now)
	clock := &clockWatch{clock: s.clock, skew: a.metrics.clockSkew, log: activeLog, now: time.Now}
	if err := clock.measure(ctx); err != nil {
		return nil, nil, err
	}
	var made mfa.Made
	if s.keys, made, err = mfa.LoadKeys(ctx, st, a.KeyFile); err != nil {
		return nil, nil, keyError(err)
	}
	a.warnOfNew(made)
	if s.keyFile, err = a.newKeyFile(s); err != nil {
		return nil, nil, fmt.Errorf("key_file: %w", err)
	}
	near := mfa.Config{Store: s.measured, Unanswered: a.metrics.presence.refuse}
	if remote, ok := a.engine.(Remote); ok {
		remote.NearOptions().set(&near)
	}
	s.near = mfa.NewNear(near)

	// None of it may hold on to the configuration that came first.
	running, cancel := context.WithCancel(context.Background())
	path := a.KeyFile
	var background panics.Group
	background.Keep(running, panics.Sweep, s.sweep)
	background.Keep(running, panics.StoreCache, s.near.Run)
	over := a.metrics.presence.open(s)
	background.Keep(running, panics.Clock, clock.run)
	background.Keep(running, panics.Keys, func(ctx context.Context) { followKeys(ctx, s.keyFile, path, activeLog) })
	opened = true
	return s, func() {
		over()
		cancel()
		background.Wait()
		closeStore()
	}, nil
}

// newKeyFile makes what keeps the keys in step with their file and the
// store.
func (a *App) newKeyFile(s *state) (*mfa.KeyFile, error) {
	_, shared := s.store.(store.Shared)
	return mfa.NewKeyFile(mfa.KeyFileConfig{
		Store:         s.store,
		Keys:          s.keys,
		Clock:         s.clock,
		Path:          a.KeyFile,
		Node:          nodeName(),
		Shared:        shared,
		TokenLifetime: time.Duration(a.TokenLifetime),
		Journal:       activeJournal{},
	})
}
