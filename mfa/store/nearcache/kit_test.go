package nearcache_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/internal/testclock"
	"github.com/caddymfa/caddy-mfa/mfa/store"
	"github.com/caddymfa/caddy-mfa/mfa/store/nearcache"
)

type clock = testclock.Clock

// engine is a store in memory that counts how often it is asked.
type engine struct {
	store.Store // what the cache never calls

	mu       sync.Mutex
	values   map[string]string
	versions map[string]int64
	last     int64
	down     bool
	asked    int // Get and GetVersion
	compared int // keys given to Changed
	// during, when set, is called in the middle of a reading.
	during func()
	// failure, when set, is what the next reading fails with.
	failure error
}

func newEngine() *engine {
	return &engine{values: make(map[string]string), versions: make(map[string]int64)}
}

// write is a write by another process.
func (e *engine) write(key, value string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.last++
	if value == "" {
		delete(e.values, key)
		delete(e.versions, key)
		return
	}
	e.values[key], e.versions[key] = value, e.last
}

func (e *engine) fail(down bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.down = down
}

func (e *engine) GetVersion(_ context.Context, key string) ([]byte, int64, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.asked++
	if e.down {
		return nil, 0, store.ErrUnavailable
	}
	value, ok := e.values[key]
	version := e.versions[key]
	failure := e.failure
	e.failure = nil
	if e.during != nil {
		during := e.during
		e.during = nil
		e.mu.Unlock()
		during()
		e.mu.Lock()
	}
	if failure != nil {
		return nil, 0, failure
	}
	if !ok {
		return nil, 0, store.ErrNotFound
	}
	return []byte(value), version, nil
}

func (e *engine) Get(ctx context.Context, key string) ([]byte, error) {
	value, _, err := e.GetVersion(ctx, key)
	return value, err
}

func (e *engine) Changed(_ context.Context, seen map[string]int64) ([]string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.down {
		return nil, store.ErrUnavailable
	}
	e.compared += len(seen)
	var changed []string
	for key, version := range seen {
		if e.versions[key] != version {
			changed = append(changed, key)
		}
	}
	return changed, nil
}

func (e *engine) Written() <-chan struct{} { return nil }

// Update is the write of one key by this process.
func (e *engine) Update(_ context.Context, _ func(store.Tx) error, keys ...string) error {
	e.write(keys[0], "updated")
	return nil
}

// shared is an engine that others write.
type shared struct{ *engine }

// exclusive is an engine that nobody else writes.
type exclusive struct {
	store.Store
	engine *engine
	epochs store.Epochs
}

func (e *exclusive) Get(ctx context.Context, key string) ([]byte, error) {
	return e.engine.Get(ctx, key)
}
func (e *exclusive) Epoch(key string) uint64 { return e.epochs.Of(key) }

func (e *exclusive) write(key, value string) {
	e.engine.write(key, value)
	e.epochs.Advance(key)
}

// text reads documents as texts, "-" for none, and fails on "bad".
func text(_ string, document []byte) (string, int, error) {
	switch {
	case document == nil:
		return "-", 0, nil
	case string(document) == "bad":
		return "", 0, errBad
	}
	return string(document), len(document), nil
}

var errBad = errors.New("bad document")

// rig is a cache with the clock that it goes by.
type rig struct {
	*nearcache.Cache
	nearcache.View[string]
	*clock
	t *testing.T
}

func newRig(t *testing.T, st store.Store, change ...func(*nearcache.Config)) rig {
	c := testclock.At(time.Unix(1_800_000_000, 0))
	config := nearcache.Config{Store: st, Stale: time.Minute, MaxBytes: 1 << 20, Now: c.Now}
	for _, change := range change {
		change(&config)
	}
	cache := nearcache.New(config)
	return rig{cache, nearcache.NewView(cache, text), c, t}
}

func (r rig) want(key, want string) {
	r.t.Helper()
	if got, err := r.Read(r.t.Context(), key); got != want || err != nil {
		r.t.Errorf("Read(%q) = %q, %v; want %q", key, got, err, want)
	}
}

// plain is an engine that is neither exclusive nor shared.
type plain struct{ engine *engine }

func (p plain) Get(ctx context.Context, key string) ([]byte, error) { return p.engine.Get(ctx, key) }
func (p plain) Update(context.Context, func(store.Tx) error, ...string) error {
	return errors.ErrUnsupported
}
func (p plain) List(context.Context, string, string, int) ([]store.Document, error) {
	return nil, errors.ErrUnsupported
}
func (p plain) Close() error { return nil }
