package bolt

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// update is one call of Update on its way to the disk. fn always runs in
// the goroutine of its caller, so that a panic is the caller's from the
// start, with its stack, and nothing that fn does to its goroutine
// touches the others.
type update struct {
	ctx   context.Context
	fn    func(tx store.Tx) error
	tx    tx
	taken atomic.Bool   // by a leader, or back by the caller
	turn  chan struct{} // the leader: the transaction is yours
	ran   chan bool     // the caller: I am done with it; false when fn never returned
	end   chan error    // the leader: the outcome
	err   error         // of fn
}

// Update implements store.Store. fn is called once, in the goroutine of
// the caller. It must not call Update or Close of the same Store: they
// wait for fn, and would wait for ever.
func (s *Store) Update(ctx context.Context, fn func(tx store.Tx) error, keys ...string) error {
	keys, err := store.Names(keys)
	if err != nil {
		return err
	}
	s.closing.RLock()
	defer s.closing.RUnlock()
	if s.closed.Load() {
		return store.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	u := &update{ctx: ctx, fn: fn, tx: newTx(keys)}
	select {
	case s.lead <- struct{}{}:
		return s.leadWith(u)
	default:
	}
	u.turn, u.ran, u.end = make(chan struct{}, 1), make(chan bool, 1), make(chan error, 1)
	return s.follow(u)
}

// follow queues u and waits for a leader to take it along, or to find
// the lead free and take it.
func (s *Store) follow(u *update) error {
	queue, lead, cancelled := s.queue, s.lead, u.ctx.Done()
	for {
		select {
		case queue <- u:
			queue = nil
		case lead <- struct{}{}:
			if u.take() {
				return s.leadWith(u)
			}
			<-s.lead
			lead = nil // u is under way already
		case <-u.turn:
			u.run()
			return <-u.end
		case err := <-u.end:
			return err
		case <-cancelled:
			if u.take() {
				return u.ctx.Err()
			}
			cancelled = nil // too late, it is under way
		}
	}
}

// take makes the update a leader's, or the caller's again, for the first
// of them to ask.
func (u *update) take() bool {
	return u.taken.CompareAndSwap(false, true)
}

// run calls fn in the turn that a leader has given, and gives the
// transaction back, also when fn panics or ends its goroutine.
func (u *update) run() {
	returned := false
	defer func() { u.ran <- returned }()
	u.call()
	returned = true
}

func (u *update) call() {
	defer func() { u.tx.bucket = nil }()
	if u.err = u.ctx.Err(); u.err == nil {
		u.err = u.fn(&u.tx)
	}
	if u.err == nil && u.tx.failed != nil {
		u.err = fmt.Errorf("reading in update: %w", u.tx.failed)
	}
	if u.err == nil {
		u.err = store.CheckUpdate(u.tx.size())
	}
}
