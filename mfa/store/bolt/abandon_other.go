//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package bolt

import "os"

// abandon closes the file of a bbolt.DB that cannot be closed any more,
// which lets go of its lock.
func abandon(f *os.File) error {
	return f.Close()
}
