package bolt

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"

	"github.com/caddymfa/caddy-mfa/mfa/internal/newfile"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// lockWait is how long Open waits for another process to let go, which
// is enough for one that is just being stopped.
const lockWait = time.Second

// bucket holds the documents. Its name also says whose file this is, and
// in which layout.
var bucket = []byte("caddy-mfa documents 1")

// Open opens the database at path and makes it, with mode 0600, when
// there is none; a missing directory is made with mode 0700. The caller
// closes the Store.
//
// An empty file is not taken for a new database: it is what a failed
// copy leaves, and starting from nothing would quietly take everybody's
// second factor away.
//
// ErrLocked, ErrNotWritable, ErrNotDatabase, ErrDiskFull and
// store.ErrCorrupt are returned, wrapped, for what their comments say.
func Open(path string) (*Store, error) {
	if path == "" {
		return nil, errors.New("opening database: the path is empty")
	}
	switch info, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
		if err := create(path); err != nil {
			return nil, openError(path, err)
		}
	case err != nil:
		return nil, openError(path, err)
	case info.IsDir():
		return nil, openError(path, fmt.Errorf("%w: it is a directory: name a file in it", ErrNotDatabase))
	case !info.Mode().IsRegular():
		return nil, openError(path, fmt.Errorf("%w: it is no regular file", ErrNotDatabase))
	case info.Size() == 0:
		return nil, openError(path, fmt.Errorf("%w: it is empty: restore it from a backup, or remove it to start without any enrolment", ErrNotDatabase))
	}
	db, file, err := openFile(path)
	if err != nil {
		return nil, openError(path, err)
	}
	s, err := newStore(db, file, path)
	if errors.Is(err, store.ErrCorrupt) {
		_ = abandon(file) // bbolt panicked, and may hold its own locks
	} else if err != nil {
		_ = db.Close()
	}
	if err != nil {
		return nil, openError(path, err)
	}
	removeCopies(path)
	return s, nil
}

// openFile opens a file that exists, after a look at what is in it.
func openFile(path string) (db *bbolt.DB, file *os.File, err error) {
	options := &bbolt.Options{
		Timeout:      lockWait,
		FreelistType: bbolt.FreelistMapType,
		NoStatistics: true, // they cost every read a shared lock
		OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
			f, err := os.OpenFile(name, flag&^os.O_CREATE, mode)
			if err != nil {
				return nil, err
			}
			// The lock comes later. A writer that holds it now may
			// change what is read here, but not so that a sound file
			// looks damaged: one of the two meta pages always holds,
			// and the file is made longer before a page says so.
			if err := checkFile(f); err != nil {
				_ = f.Close()
				return nil, err
			}
			file = f
			return f, nil
		},
	}
	err = guard(func() error {
		db, err = bbolt.Open(path, 0o600, options)
		return err
	})
	if err != nil {
		if file != nil {
			_ = abandon(file) // bbolt has closed it, unless it panicked
		}
		return nil, nil, err
	}
	if err := checkPages(file); err != nil {
		_ = db.Close()
		return nil, nil, err
	}
	return db, file, nil
}

// create makes the database under another name and then gives it its
// own, so that a process that dies meanwhile leaves no half of one.
func create(path string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making directory: %w", err)
	}
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".new-*")
	if err != nil {
		return err
	}
	fresh := f.Name()
	defer os.Remove(fresh)
	if err := f.Close(); err != nil {
		return err
	}
	db, err := bbolt.Open(fresh, 0o600, &bbolt.Options{Timeout: lockWait})
	if err != nil {
		return fmt.Errorf("making database: %w", err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket(bucket)
		return err
	})
	if err := errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("making database: %w", err)
	}
	// A link, unlike a rename, never takes the place of a database that
	// another process has made in the same moment.
	switch err := os.Link(fresh, path); {
	case err == nil:
	case errors.Is(err, fs.ErrExist):
		return nil
	default: // a file system without links
		if err := os.Rename(fresh, path); err != nil {
			return fmt.Errorf("making database: %w", err)
		}
	}
	// The directory may be as new as the file.
	return errors.Join(newfile.SyncDir(dir), newfile.SyncDir(filepath.Dir(dir)))
}

// checkBucket makes sure that the documents are there.
func checkBucket(db *bbolt.DB) error {
	return guard(func() error {
		return db.View(func(tx *bbolt.Tx) error {
			if tx.Bucket(bucket) == nil {
				return fmt.Errorf("%w: it is the bolt file of another program", ErrNotDatabase)
			}
			return nil
		})
	})
}

var _ store.Store = (*Store)(nil)
