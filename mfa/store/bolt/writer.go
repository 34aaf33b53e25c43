package bolt

import (
	"errors"
	"fmt"

	"github.com/caddymfa/caddy-mfa/mfa/store"
	"go.etcd.io/bbolt"
)

// What one commit takes along at most: beyond that, waiting for the
// commit would cost the first more than it saves the last.
const (
	groupUpdates = 256
	groupBytes   = 4 << 20
)

// write is the writer: the only goroutine that changes the file.
func (s *Store) write() {
	defer close(s.stopped)
	for u := range s.queue {
		if u.take() {
			s.commit(u)
		}
	}
}

// group is the updates that share a commit.
type group struct {
	tx      *bbolt.Tx
	bucket  *bbolt.Bucket
	waiting []*update // for the outcome of the commit
	updates int
	writes  int
	bytes   int
}

// commit runs first and whatever else is queued, in order, writes it all
// at once and then answers.
func (s *Store) commit(first *update) {
	g, err := s.newGroup()
	if err != nil {
		first.end <- err
		return
	}
	for u := first; u != nil; u = s.another(g) {
		if err = g.run(u); err != nil {
			err = s.writeError(err)
			break
		}
	}
	if err == nil && g.writes > 0 {
		err = s.commitTx(g.tx)
	} else if e := guard(g.tx.Rollback); e != nil {
		err = s.fail(e)
	}
	for _, u := range g.waiting {
		// Also those whose fn refused: it may have seen writes of the
		// others, which now never were.
		if err != nil {
			u.err = err
		}
		u.end <- u.err
	}
}

func (s *Store) newGroup() (*group, error) {
	tx, err := s.begin(true)
	if err != nil {
		return nil, err
	}
	g := &group{tx: tx}
	err = guard(func() error {
		if g.bucket = tx.Bucket(bucket); g.bucket == nil {
			return fmt.Errorf("%w: the documents are gone: restore it from a backup", store.ErrCorrupt)
		}
		return nil
	})
	if err != nil {
		return nil, s.fail(err)
	}
	return g, nil
}

// another returns the next update that is waiting, or nil.
func (s *Store) another(g *group) *update {
	for g.updates < groupUpdates && g.bytes < groupBytes {
		select {
		case u, open := <-s.queue:
			if !open {
				return nil
			}
			if u.take() {
				return u
			}
		default:
			return nil
		}
	}
	return nil
}

// run lets u have its turn and takes over its writes. An error is one of
// the whole group.
func (g *group) run(u *update) error {
	g.updates++
	u.tx.bucket = g.bucket
	u.turn <- struct{}{}
	if returned := <-u.ran; !returned {
		return nil // its caller is gone
	}
	if u.err != nil && g.writes == 0 {
		u.end <- u.err
		return nil
	}
	g.waiting = append(g.waiting, u)
	if u.err != nil {
		return nil
	}
	return guard(func() error {
		writes, size, err := u.tx.apply(g.bucket)
		g.writes += writes
		g.bytes += size
		return err
	})
}

// commitTx makes a transaction durable.
func (s *Store) commitTx(tx *bbolt.Tx) error {
	switch err := guard(tx.Commit); {
	case errors.Is(err, store.ErrCorrupt):
		return s.fail(err) // it still holds the lock of the writer
	case err != nil:
		return s.writeError(err)
	}
	// A failure to see how long the file is now does not undo the
	// commit; the old size still holds as the shortest it may be.
	_ = s.remeasure()
	return nil
}

// writeError says whether it was damage or the disk that kept the store
// from writing.
func (s *Store) writeError(err error) error {
	if errors.Is(err, store.ErrCorrupt) {
		return fmt.Errorf("writing %s: %w", s.path, err)
	}
	return unavailable(s.path, err)
}
