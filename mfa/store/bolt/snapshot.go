package bolt

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// A snapshot is a bolt file, written out up to its last page, and behind
// that a seal: a fixed text and the SHA-256 of all that comes before it.
// bbolt never looks behind the last page, and writes over what is there
// when it needs more of them, so a snapshot is at the same time a
// database that Open takes as it is.
//
// The seal is against accidents. Whoever changes a snapshot on purpose
// can seal it anew.
const (
	sealText = "caddy-mfa snapshot 1, SHA-256: \n"
	sealLen  = len(sealText) + sha256.Size
)

var _ store.Snapshotter = (*Store)(nil)

// Snapshot implements store.Snapshotter. It first makes the copy in a
// file beside the database, which takes as much room again for as long
// as w reads: bbolt cannot let a database grow that is being read, so a
// copy straight to a slow w would hold up the updates.
//
// Besides the documents a copy holds, in its unused pages, remains of
// older ones, as the database itself does.
func (s *Store) Snapshot(ctx context.Context, w io.Writer) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	c, err := newCopy(s.path)
	if err != nil {
		return unavailable(s.path, err)
	}
	defer c.remove()
	if err := s.writeCopy(ctx, c); err != nil {
		return err
	}
	// Nobody is to take home what could not be restored.
	if err := c.check(); err != nil {
		return fmt.Errorf("copying %s: %w", s.path, err)
	}
	if _, err := c.file.Seek(0, io.SeekStart); err != nil {
		return unavailable(c.file.Name(), err)
	}
	if _, err := io.Copy(w, readerUntil{ctx, c.file}); err != nil {
		return fmt.Errorf("writing snapshot: %w", err)
	}
	return nil
}

// ready reports why a snapshot need not be begun.
func (s *Store) ready(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.intact()
}

// writeCopy makes a snapshot in c.
func (s *Store) writeCopy(ctx context.Context, c *workCopy) error {
	tx, err := s.begin(false)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	sum := sha256.New()
	err = guard(func() error {
		_, err := tx.WriteTo(writerUntil{ctx, io.MultiWriter(c, sum)})
		return err
	})
	if err == nil {
		_, err = c.Write(sum.Sum([]byte(sealText)))
	}
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("copying %s: %w", s.path, ctx.Err())
	case c.failed != nil:
		return unavailable(c.file.Name(), c.failed)
	case err != nil:
		return s.writeError(err)
	}
	return nil
}

// readerUntil reads from r until ctx ends.
type readerUntil struct {
	ctx context.Context
	r   io.Reader
}

func (u readerUntil) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(p)
}

// writerUntil writes to w until ctx ends.
type writerUntil struct {
	ctx context.Context
	w   io.Writer
}

func (u writerUntil) Write(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.w.Write(p)
}
