package store

import (
	"context"
	"errors"
	"io"
)

// ErrBadSnapshot is returned by Restore when what it read is no snapshot
// of this kind of store, or not the whole of one, or was changed.
var ErrBadSnapshot = errors.New("not an intact snapshot")

// Snapshotter is implemented by engines that can write all they hold to
// one file and read it back. An engine that has tools of its own for
// backups need not.
type Snapshotter interface {
	// Snapshot writes a copy of all documents to w, as they were at one
	// moment, while the store goes on serving. However slowly w takes
	// it, no Update waits for it. When an error is returned, what w got
	// is not the whole of a snapshot, and Restore refuses it.
	//
	// ErrUnavailable is returned when there is no room to work in,
	// ErrCorrupt when a damaged store would have made a damaged copy.
	// Errors of w and of ctx come back wrapped.
	Snapshot(ctx context.Context, w io.Writer) error

	// Restore replaces all documents by those of the snapshot that it
	// reads from r up to its end, atomically and durably, while the store
	// goes on serving: readers see the old documents or the new ones, and
	// so does whoever opens the store after a crash. When an error is
	// returned nothing was replaced, except that with ErrUnavailable the
	// outcome may be unknown, as after an Update.
	//
	// Once the snapshot has been read and found intact, Restore calls
	// check, in which the caller decides: when it returns an error, that
	// error is returned as it is. No Update takes place between check and
	// the replacement, so what it saw of the live documents still holds;
	// it should be brief and must not call the Store.
	//
	// ErrBadSnapshot is returned for a snapshot that is empty, cut short,
	// damaged or of something else, before check is called. Errors of r
	// and of ctx come back wrapped.
	Restore(ctx context.Context, r io.Reader, check func(live, snapshot Content) error) error
}

// Content is a view of all documents of one place at one moment. It is
// valid only during the call it was handed to.
type Content interface {
	// Get returns the document under key. ErrNotFound is returned when
	// there is none.
	Get(key string) ([]byte, error)

	// Count returns how many documents have a key that begins with
	// prefix, or limit if there are more than that. A limit of 1 asks
	// whether there is any at all.
	Count(prefix string, limit int) (int, error)

	// Each calls fn with every document, in the order of their keys, up to
	// the first error, which it returns as it is. The value is valid, and
	// must not be changed, during the call.
	Each(fn func(key string, value []byte) error) error

	// Revision tells which of two contents of one store is the newer: it
	// grows with every change of the documents. A Restore makes it larger
	// than that of both the content it replaced and the snapshot: an
	// older content that was restored is the newest one from then on.
	// Revisions of stores that did not begin as copies of one another
	// say nothing about each other.
	Revision() uint64
}
