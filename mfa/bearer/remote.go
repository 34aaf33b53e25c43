package bearer

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/caddymfa/caddy-mfa/mfa/panics"
)

const (
	// refreshAge is the age from which keys are fetched anew, while they
	// go on being used.
	refreshAge = 15 * time.Minute

	// maxKeyAge is how long keys are honoured while the issuer cannot be
	// reached.
	maxKeyAge = 24 * time.Hour

	// fetchInterval is the least time from the end of one fetch to the
	// start of the next, whatever tokens come.
	fetchInterval = 30 * time.Second

	// firstBackoff is what fetchInterval starts from, doubling with each
	// failure, as long as there have never been any keys: an issuer that
	// starts more slowly than we do must not cost half a minute.
	firstBackoff = time.Second

	// fetchTimeout bounds one fetch, discovery included.
	fetchTimeout = 5 * time.Second

	// fetchPatience is how long a request waits for a fetch.
	fetchPatience = 3 * time.Second
)

// remoteSource keeps keys that are fetched over the network. Fetches are
// started by lookups alone, one at a time; each runs in a goroutine of
// its own, free of the request that happened to start it, and ends within
// fetchTimeout. So there is nothing to close.
type remoteSource struct {
	iss   string
	fetch func(ctx context.Context) (*keySet, error)
	log   *zap.Logger

	mu       sync.Mutex
	set      *keySet       // the last good keys
	fetched  time.Time     // when the fetch of set was started
	ended    time.Time     // when the last fetch ended, zero before the first
	failures int           // fetches that failed since the last good one
	failure  error         // of the last fetch
	running  chan struct{} // closed when the running fetch ends; nil: none runs
}

func (r *remoteSource) issuer() string { return r.iss }

func (r *remoteSource) lookup(ctx context.Context, q query) ([]key, error) {
	keys, running, err := r.current(q, true)
	if running == nil {
		return keys, err
	}
	if err := wait(ctx, running); err != nil {
		return nil, err
	}
	keys, _, err = r.current(q, false)
	return keys, err
}

// newer has the keys fetched, unless the last fetch is too recent. A fetch
// that fails or takes too long is no reason for another answer: the keys at
// hand count as long as lookup returns them, and they have decided.
func (r *remoteSource) newer(ctx context.Context, q query, tried []key) []key {
	untried := func(mayWait bool) (keys []key, running <-chan struct{}) {
		r.mu.Lock()
		defer r.mu.Unlock()
		// Somebody else's fetch may have ended since tried were looked up.
		if keys = q.untried(r.set, tried); len(keys) == 0 && mayWait {
			r.start(q.now)
			running = r.running
		}
		return keys, running
	}
	keys, running := untried(true)
	if running != nil && wait(ctx, running) == nil {
		keys, _ = untried(false)
	}
	return keys
}

// wait waits for the end of a fetch.
func wait(ctx context.Context, running <-chan struct{}) error {
	patience := time.NewTimer(fetchPatience)
	defer patience.Stop()
	select {
	case <-running:
		return nil
	case <-patience.C:
		return unavailable(errors.New("the issuer has not answered yet"))
	case <-ctx.Done():
		return unavailable(ctx.Err())
	}
}

// current answers from the keys at hand. When these do not do and mayWait
// is set, it returns a running fetch to wait for, if there is or may be
// one.
func (r *remoteSource) current(q query, mayWait bool) (keys []key, running <-chan struct{}, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := q.now()
	age := now.Sub(r.fetched)
	usable := r.set != nil && age <= maxKeyAge
	if usable {
		if age > refreshAge {
			r.start(q.now)
		}
		if fitting := r.set.find(q.keyID, q.algorithm); len(fitting) > 0 {
			return fitting, nil, nil
		}
	}
	if mayWait {
		r.start(q.now)
		if r.running != nil {
			return nil, r.running, nil
		}
	}
	switch {
	case r.failure != nil:
		return nil, nil, unavailable(r.failure)
	case !usable:
		return nil, nil, unavailable(errors.New("the keys are too old"))
	default:
		return nil, nil, errUnknownKey
	}
}

// start starts a fetch, unless one runs or the last one is too recent.
// The caller holds the lock.
func (r *remoteSource) start(now func() time.Time) {
	began := now()
	if r.running != nil || !r.due(began) {
		return
	}
	running := make(chan struct{})
	r.running = running
	panics.Go(panics.KeyFetch, func() {
		set, err := r.fetchOnce()
		r.mu.Lock()
		defer r.mu.Unlock()
		r.running = nil
		defer close(running)
		r.ended = now()
		if r.failure = err; err != nil {
			r.failures++
			r.log.Warn("fetching keys failed", zap.Error(err), zap.Int("failures", r.failures))
			return
		}
		r.set, r.fetched, r.failures = set, began, 0
	})
}

// fetchOnce fetches the keys. A panic is a failure like others: somebody
// waits for the end of the fetch, and the next one must be able to start.
func (r *remoteSource) fetchOnce() (set *keySet, err error) {
	defer panics.Recover(panics.KeyFetch, func(panicked error) { err = panicked })
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	return r.fetch(ctx)
}

// due reports whether the last fetch is long enough ago. A clock that was
// set back is no reason to wait.
func (r *remoteSource) due(now time.Time) bool {
	interval := fetchInterval
	if r.set == nil {
		interval = min(fetchInterval, firstBackoff<<min(max(r.failures-1, 0), 8))
	}
	since := now.Sub(r.ended)
	return r.ended.IsZero() || since < 0 || since >= interval
}
