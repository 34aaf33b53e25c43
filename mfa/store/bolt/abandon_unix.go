//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package bolt

import (
	"errors"
	"os"
	"syscall"
)

// abandon closes the file of a bbolt.DB that cannot be closed any more.
// The file stays mapped, and a mapping holds on to the lock as the file
// itself does, so that is let go by name.
func abandon(f *os.File) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var unlockErr error
	err = c.Control(func(fd uintptr) {
		unlockErr = syscall.Flock(int(fd), syscall.LOCK_UN)
	})
	return errors.Join(err, unlockErr, f.Close())
}
