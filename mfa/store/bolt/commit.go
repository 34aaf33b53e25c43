package bolt

import (
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/caddymfa/caddy-mfa/mfa/panics"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// What one commit takes along at most: beyond that, waiting for the
// commit would cost the first more than it saves the last.
const (
	groupUpdates = 256
	groupBytes   = 4 << 20
)

// group is the updates that share a commit.
type group struct {
	tx      *bbolt.Tx
	bucket  *bbolt.Bucket
	waiting []*update // for the outcome of the commit
	written []string  // the keys of the writes
	updates int
	bytes   int
}

// leadWith runs the update of its caller and whatever else is queued, in
// order, writes it all at once and then answers. The caller holds the
// lead; leadWith lets go of it.
func (s *Store) leadWith(own *update) error {
	defer func() { <-s.lead }()
	g, err := s.newGroup()
	if err != nil {
		return err
	}
	ended := false
	defer func() {
		if !ended {
			s.abandonGroup(g)
		}
	}()
	// Its own comes first: should fn panic, nobody else is on board.
	own.tx.bucket = g.bucket
	own.call()
	if own.err == nil {
		err = g.apply(own)
	}
	if err == nil && len(g.written) == 0 {
		ended = true
		_ = s.rollback(g) // a failure is the next one's to see
		return own.err
	}
	for err == nil {
		u := s.another(g)
		if u == nil {
			break
		}
		err = g.run(u)
	}
	err = s.finish(g, err)
	ended = true
	return err
}

// abandonGroup ends a group whose leader panics: nothing of it is written,
// and those who wait are told so. The panic goes on to the leader's caller.
func (s *Store) abandonGroup(g *group) {
	if err := guard(g.tx.Rollback); err != nil && !errors.Is(err, berrors.ErrTxClosed) {
		_ = s.fail(err) // the next one sees it
	}
	for _, key := range g.written {
		s.epochs.Advance(key)
	}
	for _, u := range g.waiting {
		select {
		case u.end <- unavailable(s.path, panics.ErrPanicked):
		default: // it has been told already
		}
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
		case u := <-s.queue:
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
	u.tx.bucket = g.bucket
	u.turn <- struct{}{}
	if returned := <-u.ran; !returned {
		return nil // its caller is gone
	}
	g.waiting = append(g.waiting, u)
	if u.err != nil {
		return nil
	}
	return g.apply(u)
}

// apply makes the writes of u in the transaction.
func (g *group) apply(u *update) error {
	return guard(func() error {
		written, err := u.tx.apply(g.bucket)
		g.updates++
		g.written = append(g.written, written...)
		g.bytes += u.tx.size()
		return err
	})
}

// finish commits the group, unless err says that it is spoilt, and tells
// everybody the outcome.
func (s *Store) finish(g *group, err error) error {
	if err != nil {
		err = errors.Join(s.writeError(err), s.rollback(g))
	} else {
		err = s.commit(g)
	}
	// Also after a failure: what became of the write may not be known.
	for _, key := range g.written {
		s.epochs.Advance(key)
	}
	for _, u := range g.waiting {
		// Also those whose fn refused: it may have seen writes of the
		// others, which now never were.
		if err != nil {
			u.err = err
		}
		u.end <- u.err
	}
	return err
}

func (s *Store) commit(g *group) error {
	err := guard(func() error {
		if _, err := g.bucket.NextSequence(); err != nil { // the revision
			return err
		}
		return g.tx.Commit()
	})
	switch {
	case errors.Is(err, store.ErrCorrupt):
		return s.fail(err) // bbolt still holds the lock of its writer
	case err != nil:
		return s.writeError(err)
	}
	// A failure to see how long the file is now does not undo the
	// commit; the old size still holds as the shortest it may be.
	_ = s.remeasure()
	return s.inPlace()
}

func (s *Store) rollback(g *group) error {
	if err := guard(g.tx.Rollback); err != nil {
		return s.fail(err)
	}
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
