package postgres

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/caddymfa/caddy-mfa/mfa/panics"
	"github.com/caddymfa/caddy-mfa/mfa/store"
	"github.com/caddymfa/caddy-mfa/mfa/store/internal/turns"
)

// Store is a store.Shared in a database. Open makes it.
type Store struct {
	pool    *pgxpool.Pool
	timeout time.Duration
	begin   []statement // of a transaction that locks
	turns   turns.Turns
	bell    *bell // nil where nothing is told

	prepared atomic.Bool  // whether statements are, which needs the tables
	basic    atomic.Bool  // whether the server cannot tell all of its state
	broke    atomic.Int64 // when a connection last did, as Unix time in nanoseconds
	history  history
	compared atomic.Int64 // the round of history that Changed has told of last
	report   store.Report

	mu      sync.Mutex
	closed  bool
	unsafe  string         // the settings that were last reported, guarded by mu
	passing string         // likewise, the tables
	calls   sync.WaitGroup // grows only under mu, while closed is not set
	close   func() error
}

// enter begins a call, which leave ends.
func (s *Store) enter(ctx context.Context) (leave func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, store.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.calls.Add(1)
	return s.calls.Done, nil
}

// Close implements store.Store.
func (s *Store) Close() error { return s.close() }

func (s *Store) shut() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.calls.Wait()
	if s.bell != nil {
		s.bell.stop()
	}
	s.pool.Close()
	return nil
}

// grace is how long the server has to answer a caller who no longer waits
// for it: a connection that is dropped in the middle of an answer must be
// made again, which anybody could have it do by hanging up.
const grace = 500 * time.Millisecond

// outlive returns a context for exchanges with the server that lasts as long
// as within, and goes on for a moment when ctx ends.
func outlive(ctx context.Context, within time.Duration) (context.Context, context.CancelFunc) {
	own, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
	stop := context.AfterFunc(ctx, panics.Func(panics.StoreCall, func() {
		time.AfterFunc(grace, panics.Func(panics.StoreCall, cancel))
	}))
	return own, func() {
		stop()
		cancel()
	}
}

// connected calls f with a connection. When it turns out that the server has
// given the connection up, all others that wait to be used are dropped and f
// is called once more with a new one, as it is when others were in the way:
// f must have changed nothing when it returns such an error, or return an
// outcome. A server that is not the primary is treated like one that was
// lost. The error is that of ctx once this has ended.
func (s *Store) connected(ctx context.Context, doing string, f func(ctx context.Context, conn link) error) error {
	waiting, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	for attempt := 1; ; attempt++ {
		err := s.once(ctx, waiting, f)
		var decided *outcome
		switch {
		case err == nil:
			return nil
		case errors.As(err, &decided):
			return decided.err
		case ctx.Err() != nil:
			return ctx.Err()
		case attempt <= 3 && lost(err):
			s.pool.Reset()
		case attempt <= 3 && again(err):
		default:
			s.sayRefused(err)
			return failure(doing, err)
		}
	}
}

// outcome is an error that connected is to return as it is.
type outcome struct{ err error }

func (o *outcome) Error() string { return o.err.Error() }

// once calls f with a connection, for which it waits no longer than waiting
// lasts.
func (s *Store) once(ctx, waiting context.Context, f func(ctx context.Context, conn link) error) error {
	conn, err := s.pool.Acquire(waiting)
	if err != nil {
		return err
	}
	// One in the middle of a transaction is not kept: a panic of a caller's
	// function passes here.
	defer conn.Release()
	exchange, cancel := outlive(ctx, s.timeout)
	defer cancel()
	err = f(exchange, s.link(exchange, conn.Conn().PgConn()))
	if conn.Conn().IsClosed() {
		s.broke.Store(time.Now().UnixNano())
	}
	var refused *refusal
	if code(err) == codeReadOnly || errors.As(err, &refused) {
		// A standby, or a primary no longer: new connections may lead to
		// another.
		s.pool.Reset()
	}
	return err
}

// suspect reports whether a connection that was idle for so long was already
// when another one broke. What ended that one, such as a restart, may have
// ended this one too, so that it is tried before it is used.
func (s *Store) suspect(idle time.Duration) bool {
	return time.Now().Add(-idle).UnixNano() <= s.broke.Load()
}

// sayRefused reports that a server was reached and is not used.
func (s *Store) sayRefused(err error) {
	var refused *refusal
	switch {
	case !errors.As(err, &refused):
	case refused == errForgetful:
		s.report.Found(store.FindingDurability, refused.text)
	default:
		s.report.Found(store.FindingReplica, oneLine(err))
	}
}
