package bolt

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// update is one call of Update on its way through the writer. fn runs in
// the goroutine of its caller, while the writer waits, so that a panic
// is the caller's from the start, with its stack, and nothing that fn
// does to its goroutine touches the writer's.
type update struct {
	ctx   context.Context
	tx    tx
	taken atomic.Bool   // by the writer, or back by the caller
	turn  chan struct{} // the writer: the transaction is yours
	ran   chan bool     // the caller: I am done with it; false when fn never returned
	end   chan error    // the writer: the outcome
	err   error         // of fn
}

// Update implements store.Store. fn is called once, in the goroutine of
// the caller. It must not call Update or Close of the same Store: the
// writer waits for fn, and would wait for ever.
func (s *Store) Update(ctx context.Context, fn func(tx store.Tx) error, keys ...string) error {
	for _, key := range keys {
		if err := checkKey(key); err != nil {
			return err
		}
	}
	u := &update{
		ctx:  ctx,
		tx:   newTx(keys),
		turn: make(chan struct{}, 1),
		ran:  make(chan bool, 1),
		end:  make(chan error, 1),
	}
	if err := s.enqueue(u); err != nil {
		return err
	}
	cancelled := ctx.Done()
	for {
		select {
		case <-u.turn:
			u.run(fn)
			return <-u.end
		case err := <-u.end:
			return err
		case <-cancelled:
			if u.take() {
				return ctx.Err()
			}
			cancelled = nil // too late, it is under way
		}
	}
}

func (s *Store) enqueue(u *update) error {
	s.closing.RLock()
	defer s.closing.RUnlock()
	if s.closed {
		return store.ErrClosed
	}
	if err := u.ctx.Err(); err != nil {
		return err
	}
	select {
	case s.queue <- u:
		return nil
	case <-u.ctx.Done():
		return u.ctx.Err()
	}
}

// take makes the update the writer's, or the caller's again, for the
// first of them to ask.
func (u *update) take() bool {
	return u.taken.CompareAndSwap(false, true)
}

// run calls fn in its turn and gives the transaction back, also when fn
// panics or ends its goroutine.
func (u *update) run(fn func(tx store.Tx) error) {
	returned := false
	defer func() {
		u.tx.bucket = nil
		u.ran <- returned
	}()
	if u.err = u.ctx.Err(); u.err == nil {
		u.err = fn(&u.tx)
	}
	if u.err == nil && u.tx.failed != nil {
		u.err = fmt.Errorf("reading in update: %w", u.tx.failed)
	}
	returned = true
}
