package bolt

import (
	"context"
	"errors"
	"fmt"
	"io"

	"go.etcd.io/bbolt"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// restoredFill is how full the pages of restored documents are: those
// come in order, and leave no halves behind as documents that come
// anyhow do.
const restoredFill = 0.9

// Restore implements store.Snapshotter. The snapshot is first read into
// a file beside the database. Its documents then become part of the
// database in one transaction, which until its end takes memory of about
// their size, and in the file as much room again; later updates use the
// room that the old documents leave.
func (s *Store) Restore(ctx context.Context, r io.Reader, check func(live, snapshot store.Content) error) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	c, err := newCopy(s.path)
	if err != nil {
		return unavailable(s.path, err)
	}
	defer c.remove()
	if err := c.receive(readerUntil{ctx, r}); err != nil {
		return err
	}
	if err := c.check(); err != nil {
		return badCopy(c, err)
	}
	db, err := c.open()
	if err != nil {
		return badCopy(c, err)
	}
	defer db.Close()
	tx, err := db.Begin(false)
	if err != nil {
		return badCopy(c, err)
	}
	defer tx.Rollback()
	snapshot, err := documents(ctx, tx)
	if errors.Is(err, store.ErrCorrupt) {
		return badCopy(c, err)
	} else if err != nil {
		return err
	}
	return s.replace(ctx, snapshot, check)
}

// badCopy says whether it is the snapshot or the disk that was found bad.
func badCopy(c *workCopy, err error) error {
	if errors.Is(err, store.ErrCorrupt) || errors.Is(err, ErrNotDatabase) {
		return fmt.Errorf("%w: %v", store.ErrBadSnapshot, err)
	}
	return unavailable(c.file.Name(), err)
}

// documents returns the bucket of a snapshot, after it has held all that
// is there against what an Update could have put there.
func documents(ctx context.Context, tx *bbolt.Tx) (b *bbolt.Bucket, err error) {
	err = guard(func() error {
		if b = tx.Bucket(bucket); b == nil {
			return fmt.Errorf("%w: it is the bolt file of another program", store.ErrBadSnapshot)
		}
		return b.ForEach(func(key, value []byte) error {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("reading snapshot: %w", err)
			}
			if value == nil {
				return fmt.Errorf("%w: it holds something else than documents", store.ErrBadSnapshot)
			}
			if err := errors.Join(store.CheckKey(string(key)), store.CheckValue(value)); err != nil {
				return fmt.Errorf("%w: %v", store.ErrBadSnapshot, err)
			}
			return nil
		})
	})
	return b, err
}

// replace lets check decide, and puts the documents of snapshot in the
// place of all others, in a commit of its own.
func (s *Store) replace(ctx context.Context, snapshot *bbolt.Bucket, check func(live, snapshot store.Content) error) error {
	s.closing.RLock()
	defer s.closing.RUnlock()
	if s.closed.Load() {
		return store.ErrClosed
	}
	select {
	case s.lead <- struct{}{}:
		defer func() { <-s.lead }()
	case <-ctx.Done():
		return ctx.Err()
	}
	g, err := s.newGroup()
	if err != nil {
		return err
	}
	finished := false
	defer func() { // also should check panic
		if !finished {
			_ = s.rollback(g)
		}
	}()
	if err := check(content{g.bucket}, content{snapshot}); err != nil {
		return err
	}
	err = guard(func() error { return g.fill(ctx, snapshot) })
	if ctx.Err() != nil {
		return ctx.Err()
	}
	finished = true
	defer s.epochs.AdvanceAll()
	return s.finish(g, err)
}

// fill replaces all documents by those of snapshot. bbolt refers to
// their values where they are until the commit.
func (g *group) fill(ctx context.Context, snapshot *bbolt.Bucket) error {
	// The commit adds one.
	revision := max(g.bucket.Sequence(), snapshot.Sequence())
	if err := g.tx.DeleteBucket(bucket); err != nil {
		return err
	}
	var err error
	if g.bucket, err = g.tx.CreateBucket(bucket); err != nil {
		return err
	}
	g.bucket.FillPercent = restoredFill
	if err := g.bucket.SetSequence(revision); err != nil {
		return err
	}
	return snapshot.ForEach(func(key, value []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return g.bucket.Put(key, value)
	})
}
