package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/store"
	"github.com/caddymfa/caddy-mfa/mfa/store/internal/draft"
)

const (
	// attempts is how often an Update that locks is made before it is given
	// up. On PostgreSQL it succeeds the first time, but where a document is
	// deleted just then.
	attempts = 20
	// firstPause is the longest that is waited after the first attempt;
	// it doubles with every further one, to lastPause.
	firstPause = 5 * time.Millisecond
	lastPause  = 500 * time.Millisecond
)

// transaction returns what begins a transaction that locks. The locks of a
// node that is cut off from the server end with its transaction.
func transaction(timeout time.Duration) []statement {
	limit := max(timeout.Milliseconds(), 1)
	return []statement{
		say("BEGIN ISOLATION LEVEL READ COMMITTED"),
		say(fmt.Sprintf("SET LOCAL lock_timeout = %d", limit)),
		say(fmt.Sprintf("SET LOCAL idle_in_transaction_session_timeout = %d", limit)),
	}
}

// updateLocked locks the documents under keys, lets fn decide, and writes
// what it has decided.
func (s *Store) updateLocked(ctx context.Context, fn func(tx store.Tx) error, keys []string) error {
	pause := firstPause
	for attempt := 1; ; attempt++ {
		err := s.connected(ctx, "writing to postgres", func(exchange context.Context, conn link) error {
			return s.tryLocked(ctx, exchange, conn, fn, keys)
		})
		if !errors.Is(err, errConflict) {
			return err
		}
		if attempt == attempts {
			return tooOften(attempts, err)
		}
		// By chance, so that those who met do not meet again.
		timer := time.NewTimer(time.Duration(rand.Int64N(int64(pause))))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		pause = min(2*pause, lastPause)
	}
}

// tryLocked makes one attempt, in one transaction. errConflict is returned
// when it came to nothing because of others. What it returns that is no
// outcome is of a time when nothing had been written.
func (s *Store) tryLocked(ctx, exchange context.Context, conn link, fn func(tx store.Tx) error, keys []string) error {
	docs, err := s.lock(exchange, conn, keys)
	if err == nil && len(docs) != len(keys) {
		err = errConflict // one was deleted before it could be locked
	}
	if err != nil {
		s.rollBack(ctx, conn)
		if again(err) || errors.Is(err, errConflict) {
			err = &outcome{errConflict}
		}
		return err
	}
	writes, err := decide(ctx, docs, fn)
	if err != nil || len(writes) == 0 {
		s.rollBack(ctx, conn)
		if err != nil {
			err = &outcome{err}
		}
		return err
	}
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.timeout)
	defer cancel()
	err = conn.askAll(within, append(forLocked(docs, writes), say("COMMIT")), nil)
	switch {
	case again(err):
		s.rollBack(ctx, conn)
		return &outcome{errConflict}
	case err != nil:
		s.rollBack(ctx, conn)
		return &outcome{failure("writing to postgres", err)}
	}
	s.tell()
	return nil
}

// lock locks the rows of keys, and makes them where there are none. It
// returns what they hold, but for those that were deleted meanwhile.
func (s *Store) lock(ctx context.Context, conn link, keys []string) (docs []draft.Document, err error) {
	statements := append(slices.Clone(s.begin), say(sqlReserve).keys(keys), say(sqlLock).keys(keys))
	err = conn.askAll(ctx, statements, func(columns [][]byte) error {
		version, err := number(columns[2])
		docs = append(docs, draft.Document{
			Key: string(columns[0]), Value: append([]byte{}, columns[1]...), Version: version,
		})
		return err
	})
	return docs, err
}

// forLocked returns the statements that make writes of docs, which are
// locked, and take the rows away that were made to lock them.
func forLocked(docs []draft.Document, writes []draft.Write) []statement {
	var statements []statement
	for _, d := range docs {
		i := slices.IndexFunc(writes, func(w draft.Write) bool { return w.Key == d.Key })
		switch {
		case i >= 0 && !writes[i].Deleted:
			statements = append(statements, say(sqlUpdate).key(d.Key).bytes(writes[i].New).number(newVersion()).number(d.Version))
		case i >= 0 || d.Version == 0:
			statements = append(statements, say(sqlDelete).key(d.Key).number(d.Version))
		}
	}
	return statements
}

// rollBack ends the transaction that is under way. Where that fails the
// connection is not used again, and the server ends it.
func (s *Store) rollBack(ctx context.Context, conn link) {
	if conn.IsClosed() || conn.TxStatus() == 'I' {
		return
	}
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.timeout)
	defer cancel()
	_, _ = conn.ask(within, say("ROLLBACK"), nil)
}
