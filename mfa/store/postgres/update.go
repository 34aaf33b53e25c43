package postgres

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/caddymfa/caddy-mfa/mfa/store"
	"github.com/caddymfa/caddy-mfa/mfa/store/internal/draft"
)

// errConflict is returned when a document was changed between its being read
// and being written, and nothing was.
var errConflict = errors.New("changed by another node meanwhile")

// Update implements store.Store. fn is called in the goroutine of the
// caller, more than once where other nodes change the same documents.
// Updates of one Store that share a key wait for each other before they take
// a connection, so that however many there are of one key, they leave the
// others to the rest.
func (s *Store) Update(ctx context.Context, fn func(tx store.Tx) error, keys ...string) error {
	keys, err := store.Names(keys)
	if err != nil {
		return err
	}
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if len(keys) == 0 {
		return draft.New(nil).Call(fn)
	}
	release, err := s.take(ctx, keys)
	if err != nil {
		return err
	}
	defer release()
	if len(keys) == 1 {
		err = s.updateIfSame(ctx, fn, keys[0])
	}
	if len(keys) > 1 || errors.Is(err, errConflict) {
		err = s.updateLocked(ctx, fn, keys)
	}
	return err
}

// take waits for the turn of keys.
func (s *Store) take(ctx context.Context, keys []string) (release func(), err error) {
	waiting, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	release, err = s.turns.Take(waiting, keys)
	if err != nil && ctx.Err() == nil {
		return nil, failure("writing to postgres", errors.New("others are waiting to write the same documents"))
	}
	return release, err
}

// updateIfSame reads the document, lets fn decide, and writes what it has
// decided if the document is still the one it was. errConflict is returned
// when it is not.
func (s *Store) updateIfSame(ctx context.Context, fn func(tx store.Tx) error, key string) error {
	return s.connected(ctx, "writing to postgres", func(exchange context.Context, conn link) error {
		found, err := readOne(exchange, conn, key)
		if err != nil {
			return err
		}
		writes, err := decide(ctx, []draft.Document{found}, fn)
		if err != nil {
			return &outcome{err}
		}
		if len(writes) == 0 {
			return nil
		}
		return s.write(ctx, conn, writes[0])
	})
}

// decide lets fn decide over docs. The error is for the caller.
func decide(ctx context.Context, docs []draft.Document, fn func(tx store.Tx) error) ([]draft.Write, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	tx := draft.New(docs)
	if err := tx.Call(fn); err != nil {
		return nil, err
	}
	writes, err := tx.Writes()
	if err == nil && len(writes) > 0 {
		err = ctx.Err()
	}
	return writes, err
}

// write makes one write. It waits for what became of it, also when ctx ends.
func (s *Store) write(ctx context.Context, conn link, w draft.Write) error {
	exchange, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.timeout)
	defer cancel()
	written, err := conn.ask(exchange, ifSame(w), nil)
	switch {
	case again(err), err == nil && written == 0:
		return &outcome{errConflict}
	case err != nil:
		return &outcome{failure("writing to postgres", err)}
	}
	s.tell()
	return nil
}

// ifSame is the statement that makes a write of a document that has not
// changed.
func ifSame(w draft.Write) statement {
	switch {
	case w.Deleted:
		return say(sqlDelete).key(w.Key).number(w.Version)
	case w.Version == 0:
		return say(sqlInsert).key(w.Key).bytes(w.New).number(newVersion())
	default:
		return say(sqlUpdate).key(w.Key).bytes(w.New).number(newVersion()).number(w.Version)
	}
}

// newVersion draws a version. Two that are the same would have to be drawn
// for one key out of 2^63, so nothing has to be counted or kept.
func newVersion() int64 { return 1 + rand.Int64N(math.MaxInt64) }

// tell lets other nodes know, soon, that something was written.
func (s *Store) tell() {
	if s.bell != nil {
		s.bell.ring()
	}
}

// tooOften is the error of an Update that never got through.
func tooOften(times int, err error) error {
	return failure("writing to postgres", fmt.Errorf("others came first %d times: %w", times, err))
}
