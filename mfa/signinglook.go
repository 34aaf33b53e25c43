package mfa

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/assertion"
	"github.com/caddymfa/caddy-mfa/mfa/panics"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// Anybody can send what looks like an assertion. These bound what such a
// request causes: the signing keys are answered from memory, and read anew for
// an unknown key at most once in lookEvery, whoever asks.
const (
	// lookEvery is the least time from one look at the stored keys to the next.
	lookEvery = 2 * time.Second
	// lookPatience is how long a request waits for a look, counted from its
	// beginning: who comes later does not wait.
	lookPatience = 250 * time.Millisecond
	// lookTimeout is how long the store may take.
	lookTimeout = 5 * time.Second
)

// errThrottled is returned for an assertion of an unknown key while the store
// is not asked again.
var errThrottled = fmt.Errorf("%w, and the store was asked a moment ago", assertion.ErrUnknownKey)

// looks are the looks at the stored keys, one at a time. Its zero value is
// ready.
type looks struct {
	mu      sync.Mutex
	begun   time.Time     // the last one, zero before the first
	running chan struct{} // closed when it ends; nil when none runs
	err     error         // of the last one
}

// look reads the keys from the store, unless that was done a moment ago, and
// returns those that were read last, nil for none. Own says that the store was
// asked since the call. store.ErrUnavailable is returned when the store does
// not answer, and at once until the next look.
func (s *signing) look(ctx context.Context) (keys *signingKeys, own bool, err error) {
	l := &s.looks
	l.mu.Lock()
	now := s.now()
	since := now.Sub(l.begun)
	own = l.running == nil && (l.begun.IsZero() || since < 0 || since >= lookEvery)
	if own {
		l.begun, since, l.running = now, 0, make(chan struct{})
		ended := l.running
		panics.Go(panics.StoreCall, func() { s.renew(ended) })
	}
	running, err := l.running, l.err
	l.mu.Unlock()
	if running == nil {
		return s.last.Load(), false, err
	}
	patience := time.NewTimer(lookPatience - since)
	defer patience.Stop()
	select {
	case <-running:
	case <-patience.C:
		return nil, false, fmt.Errorf("%w: the store has not answered yet", store.ErrUnavailable)
	case <-ctx.Done():
		return nil, false, ctx.Err()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return s.last.Load(), own, l.err
}

// renew is one look. It closes ended at its end.
func (s *signing) renew(ended chan struct{}) {
	cold := s.last.Load() == nil
	err := fmt.Errorf("%w: reading signing keys panicked", store.ErrUnavailable)
	defer func() {
		l := &s.looks
		l.mu.Lock()
		defer l.mu.Unlock()
		l.running, l.err = nil, err
		if cold && s.last.Load() != nil {
			l.begun = time.Time{} // this look was for any key: the first unknown one gets its own
		}
		close(ended)
	}()
	ctx, cancel := context.WithTimeout(context.Background(), lookTimeout)
	defer cancel()
	var keys *signingKeys
	if keys, err = s.near.Renew(ctx, signingKey); err != nil {
		err = fmt.Errorf("%w: %w", store.ErrUnavailable, err)
		return
	}
	s.last.Store(keys)
}

// verify opens an assertion. Another node may have signed it by a key that it
// made a moment ago. errThrottled is returned when its key is unknown and the
// store was not asked about it.
func (s *signing) verify(ctx context.Context, token string) (assertion.Claims, error) {
	keys := s.last.Load()
	claims, err := keys.verify(token, s.now())
	if errors.Is(err, assertion.ErrUnknownKey) {
		found, own, lookErr := s.look(ctx)
		if lookErr != nil {
			return assertion.Claims{}, fmt.Errorf("reading signing keys: %w", lookErr)
		}
		keys = found
		claims, err = keys.verify(token, s.now())
		if errors.Is(err, assertion.ErrUnknownKey) && !own {
			err = errThrottled
		}
	}
	if err != nil {
		// What is wrong by these keys is so by newer ones: nothing was read for
		// it, nor is.
		return assertion.Claims{}, err
	}
	// It was signed by us. Whether its key still counts, the store says.
	current, err := s.current(ctx)
	if err != nil {
		return assertion.Claims{}, err
	}
	if current == keys {
		return claims, nil
	}
	return current.verify(token, s.now())
}

// verify opens an assertion with the keys; nil knows none.
func (k *signingKeys) verify(token string, now time.Time) (assertion.Claims, error) {
	if k == nil {
		return assertion.Claims{}, assertion.ErrUnknownKey
	}
	return k.codec.Verify(token, now)
}

// published returns the keys for anybody who asks: from memory where they were
// read lately, or where the store is unavailable and they are no older than
// Config.Stale.
func (s *signing) published(ctx context.Context) (*signingKeys, error) {
	if keys, ok := s.near.Held(signingKey, false); ok && keys != nil {
		return keys, nil
	}
	keys, _, err := s.look(ctx)
	switch {
	case err == nil && keys != nil:
		return keys, nil
	case err == nil:
		return s.current(ctx) // there are none yet
	}
	if keys, ok := s.near.Held(signingKey, true); ok && keys != nil {
		return keys, nil
	}
	return nil, fmt.Errorf("reading signing keys: %w", err)
}
