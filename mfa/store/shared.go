package store

import "context"

// Shared is implemented by engines that other processes write to as well.
// It lets copies of documents be held near and, all of them at once, be
// compared with what the engine has, so that a decision that may rest on
// what was true a moment ago needs no round trip of its own.
type Shared interface {
	Store

	// GetVersion is Get with the version of the document. A version is not
	// 0, and no two documents that ever stood under one key have the same.
	GetVersion(ctx context.Context, key string) (value []byte, version int64, err error)

	// Changed returns the keys of those documents that are not, or perhaps
	// not, of the version in seen any more; 0 stands there for no document. The
	// answer is of a moment not before the call: an Update that returned nil
	// before it, in whatever process, is seen. It costs few round
	// trips, however many keys there are, and may be called with none.
	//
	// ErrUnavailable is returned when the engine cannot be asked.
	Changed(ctx context.Context, seen map[string]int64) ([]string, error)

	// Written returns a channel that gets a value, now and again, soon after
	// others have written something, or nil when the engine has no way of
	// telling. Nothing may rest on it but speed. It is not closed.
	Written() <-chan struct{}
}
