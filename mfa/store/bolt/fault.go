package bolt

import (
	"fmt"
	"runtime/debug"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// guard calls f, which reads the mapped file, and turns what a damaged
// one does to it into an error that wraps store.ErrCorrupt: bbolt panics
// on pages that contradict each other, and a read beyond the end of the
// file is a fault that would end the process.
func guard(f func() error) (err error) {
	old := debug.SetPanicOnFault(true)
	defer func() {
		debug.SetPanicOnFault(old)
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: restore it from a backup: %v", store.ErrCorrupt, r)
		}
	}()
	return f()
}
