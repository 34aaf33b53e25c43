package bolt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// Store is a store.Store in one file. Open makes it.
type Store struct {
	path string
	db   *bbolt.DB
	file *os.File // db's own: closing it lets go of the lock

	// size is the shortest that the file may be: it never shrinks.
	size atomic.Int64
	// broken is set once the file cannot be trusted, or bbolt's own
	// locks not any more. Nothing touches db after that.
	broken atomic.Pointer[error]

	// epochs are advanced before an Update that wrote returns.
	epochs store.Epochs

	// lead is held by the one call of Update that is writing for itself
	// and for those in the queue.
	lead  chan struct{}
	queue chan *update

	// closing is held for reading by every Update, so that Close waits
	// for those under way.
	closing sync.RWMutex
	closed  atomic.Bool
	close   func() error
}

func newStore(db *bbolt.DB, file *os.File, path string) (*Store, error) {
	if err := checkBucket(db); err != nil {
		return nil, err
	}
	s := &Store{
		path:  path,
		db:    db,
		file:  file,
		lead:  make(chan struct{}, 1),
		queue: make(chan *update, groupUpdates),
	}
	s.close = sync.OnceValue(s.shut)
	if err := s.remeasure(); err != nil {
		return nil, err
	}
	return s, nil
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, key string) ([]byte, error) {
	if err := store.CheckKey(key); err != nil {
		return nil, err
	}
	var value []byte
	err := s.view(ctx, func(b *bbolt.Bucket) (err error) {
		value, err = read(b, key)
		return err
	})
	if err != nil {
		return nil, err
	}
	return value, nil
}

// List implements store.Store.
func (s *Store) List(ctx context.Context, prefix, after string, limit int) ([]store.Document, error) {
	if err := store.CheckPage(prefix, after, limit); err != nil {
		return nil, err
	}
	var page []store.Document
	err := s.view(ctx, func(b *bbolt.Bucket) (err error) {
		page, err = list(ctx, b, prefix, after, limit)
		return err
	})
	if err != nil {
		return nil, err
	}
	return page, nil
}

// Epoch implements store.Exclusive: the file is locked against others.
func (s *Store) Epoch(key string) uint64 { return s.epochs.Of(key) }

// Close implements store.Store.
func (s *Store) Close() error {
	return s.close()
}

func (s *Store) shut() error {
	s.closing.Lock()
	defer s.closing.Unlock()
	s.closed.Store(true)
	if s.broken.Load() != nil {
		// db.Close could wait for ever. The mapping stays, for reads
		// that may still be in it.
		return abandon(s.file)
	}
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("closing %s: %w", s.path, err)
	}
	return nil
}

// view calls f with the documents as they are now.
func (s *Store) view(ctx context.Context, f func(b *bbolt.Bucket) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	tx, err := s.begin(false)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	err = guard(func() error {
		b := tx.Bucket(bucket)
		if b == nil {
			return fmt.Errorf("%w: the documents are gone: restore it from a backup", store.ErrCorrupt)
		}
		return f(b)
	})
	if errors.Is(err, store.ErrCorrupt) {
		return fmt.Errorf("reading %s: %w", s.path, err)
	}
	return err
}

// begin starts a transaction, if the file is still the one it was.
func (s *Store) begin(writable bool) (tx *bbolt.Tx, err error) {
	if err := s.intact(); err != nil {
		return nil, err
	}
	err = guard(func() error {
		tx, err = s.db.Begin(writable)
		return err
	})
	switch {
	case err == nil:
		return tx, nil
	case errors.Is(err, berrors.ErrDatabaseNotOpen):
		return nil, store.ErrClosed
	case errors.Is(err, store.ErrCorrupt):
		return nil, s.fail(err) // it holds locks that nobody will release
	}
	return nil, unavailable(s.path, err)
}

// intact looks whether the file was cut short since the last look. A
// copy put over a database in use does that first; what follows must
// not meet the pages that bbolt remembers of the old one.
func (s *Store) intact() error {
	if err := s.broken.Load(); err != nil {
		if s.closed.Load() {
			return store.ErrClosed
		}
		return *err
	}
	least := s.size.Load() // before the look: a commit may be growing it
	switch info, err := s.file.Stat(); {
	case errors.Is(err, fs.ErrClosed):
		return store.ErrClosed
	case err != nil:
		return unavailable(s.path, err)
	case info.Size() < least:
		return s.fail(fmt.Errorf("%w: the file was cut short or replaced while in use: stop the process and restore it from a backup", store.ErrCorrupt))
	}
	return nil
}

// remeasure notes the size of the file after it may have grown.
func (s *Store) remeasure() error {
	info, err := s.file.Stat()
	if err != nil {
		return unavailable(s.path, err)
	}
	s.size.Store(info.Size())
	return nil
}

// inPlace makes sure that the file is still the one at its path: what is
// written to one that was removed or replaced is gone with the process.
func (s *Store) inPlace() error {
	own, err := s.file.Stat()
	if err != nil {
		return unavailable(s.path, err)
	}
	there, err := os.Stat(s.path)
	if err == nil && os.SameFile(own, there) {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return unavailable(s.path, err)
	}
	return s.fail(fmt.Errorf("%w: the file was removed or replaced while in use: stop the process and put it back", store.ErrCorrupt))
}

// fail puts the store out of use and returns the error that every call
// has from now on.
func (s *Store) fail(err error) error {
	err = fmt.Errorf("using %s: %w", s.path, err)
	s.broken.CompareAndSwap(nil, &err)
	return *s.broken.Load()
}
