package bolt

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	berrors "go.etcd.io/bbolt/errors"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

var (
	// ErrLocked is returned by Open when another process, or another
	// Store of this one, has the database open.
	ErrLocked = errors.New("database is in use")

	// ErrNotWritable is returned by Open when the file or its directory
	// may not be read and written: permissions, a read-only file system,
	// an immutable file.
	ErrNotWritable = errors.New("database is not writable")

	// ErrNotDatabase is returned by Open when there is something at the
	// path that is no database of this package: a directory, an empty
	// file, a file of another program.
	ErrNotDatabase = errors.New("not a caddy-mfa database")

	// ErrDiskFull is returned when the disk, a quota or a limit on the
	// size of files leaves no room. From Update it comes together with
	// store.ErrUnavailable; updates succeed again when there is room.
	ErrDiskFull = errors.New("no space left for the database")
)

// openError says what kept path from being opened, and the mend.
func openError(path string, err error) error {
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return fmt.Errorf("opening %s: %w by another process: stop that one, or give this one a path of its own", path, ErrLocked)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("opening %s: %w: let the user of this process read and write the file and its directory: %w", path, ErrNotWritable, err)
	case noSpace(err):
		return fmt.Errorf("opening %s: %w: %w", path, ErrDiskFull, err)
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		return fmt.Errorf("opening %s: %w: restore it from a backup: %w", path, store.ErrCorrupt, err)
	}
	return fmt.Errorf("opening %s: %w", path, err)
}

// unavailable says that path could not be written.
func unavailable(path string, err error) error {
	if noSpace(err) {
		return fmt.Errorf("writing %s: %w: %w: %w", path, store.ErrUnavailable, ErrDiskFull, err)
	}
	return fmt.Errorf("writing %s: %w: %w", path, store.ErrUnavailable, err)
}

// noSpace reports whether err is about room. bbolt wraps some of the
// system's errors as text only, hence the second look.
func noSpace(err error) bool {
	for _, e := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG} {
		if errors.Is(err, e) || strings.Contains(err.Error(), e.Error()) {
			return true
		}
	}
	return false
}
