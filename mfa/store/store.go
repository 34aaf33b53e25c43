// Package store states the contract between the product and the place
// where its state is kept: documents by key, changed atomically and
// durably. Engines live in the packages below it; storetest holds the
// one conformance suite that each of them passes.
//
// The contract is small on purpose. Everything about one user is one
// document, so most decisions touch one key, and every engine, from an
// embedded file to a replicated cluster, can offer the same guarantee.
package store

import (
	"context"
	"errors"
)

// Limits that every engine accepts. A call that goes beyond them returns
// ErrTooLarge and does nothing.
const (
	// MaxKey is the length of the longest key, in bytes.
	MaxKey = 256
	// MaxValue is the size of the largest document, in bytes.
	MaxValue = 1 << 20
	// MaxPage is the number of documents that one List returns at most.
	MaxPage = 1000
	// MaxKeys is the number of different keys that one Update may name.
	MaxKeys = 100
	// MaxUpdate is the size of all that one Update may write, keys and
	// documents together, in bytes.
	MaxUpdate = MaxValue + MaxValue/4
)

// Store keeps documents by key.
//
// Keys are non-empty UTF-8 strings of at most MaxKey bytes, ordered by
// their bytes. Values are opaque; an empty value is a document like any
// other, and distinct from none.
//
// All methods may be called concurrently. Reads see every Update that
// returned nil before they began, whoever made it.
//
// Byte slices handed to a Store, and those it returns, belong to the
// receiver: neither side changes or keeps the other's.
type Store interface {
	// Get returns the document under key. ErrNotFound is returned when
	// there is none.
	Get(ctx context.Context, key string) ([]byte, error)

	// Update decides and writes in one step. It calls fn with a view of
	// the named keys and, when fn returns nil, makes all that fn wrote
	// durable, all or nothing, before it returns nil. When fn returns an
	// error, nothing is written and that error is returned as it is.
	//
	// Updates that share a key happen one after the other: whatever fn
	// reads through Tx is still true when its writes take effect. An
	// engine may have to call fn more than once to get there; fn must
	// therefore set everything it reports afresh on each call, keep to
	// tx, never call the Store itself, and be brief, since others may be
	// waiting behind it. A panic in fn comes back as a panic to the caller
	// of Update, with nothing written.
	//
	// When ctx ends before the write has begun, Update returns ctx's
	// error and nothing is written. Once the write has begun, an engine that can
	// still learn its outcome waits for it. ErrUnavailable is returned
	// when the engine cannot be reached or cannot say whether the write
	// took effect: a caller must then assume neither. It may also replace
	// an error of fn, when what fn had read turned out not to be written.
	Update(ctx context.Context, fn func(tx Tx) error, keys ...string) error

	// List returns the documents whose keys begin with prefix and come
	// after the key after ("" for the first page), in key order, at most
	// limit of them (1 to MaxPage, else ErrTooLarge is returned). Fewer than
	// limit means the end. Each page is consistent in itself; the pages
	// together need not be.
	List(ctx context.Context, prefix, after string, limit int) ([]Document, error)

	// Close releases what the store holds, after the Updates under way.
	// ErrClosed is returned by every call that comes later, except Close
	// itself, which may be repeated.
	Close() error
}

// Tx is the view that one Update has of the keys it named. It is valid
// only during the call it was handed to, and only in its goroutine.
type Tx interface {
	// Get returns the document under key, as changed by this Tx so far.
	// ErrNotFound is returned when there is none, ErrKeyNotNamed when key
	// was not among those given to Update.
	Get(key string) ([]byte, error)

	// Put sets the document under key. ErrKeyNotNamed is returned when key
	// was not among those given to Update, ErrTooLarge when the value is
	// beyond MaxValue.
	Put(key string, value []byte) error

	// Delete removes the document under key, if there is one.
	// ErrKeyNotNamed is returned when key was not among those given to
	// Update.
	Delete(key string) error
}

// Document is one entry of a List.
type Document struct {
	Key   string
	Value []byte
}

var (
	// ErrNotFound is returned when there is no document under a key.
	ErrNotFound = errors.New("no such document")

	// ErrKeyNotNamed is returned when a Tx is asked for a key that its
	// Update did not name.
	ErrKeyNotNamed = errors.New("key was not named to the update")

	// ErrTooLarge is returned when a key is empty, not UTF-8 or longer
	// than MaxKey, a value is larger than MaxValue, a page is to hold
	// fewer than one or more than MaxPage documents, or an Update names
	// more than MaxKeys keys or writes more than MaxUpdate.
	ErrTooLarge = errors.New("key or document beyond the store's limits")

	// ErrUnavailable is returned when the engine cannot be reached, or
	// cannot write (a full disk, a lost connection), or cannot tell what
	// became of a write.
	ErrUnavailable = errors.New("store unavailable")

	// ErrOther is returned, with ErrUnavailable, when what answers in the
	// engine's place is not what this store was opened on: another cluster,
	// say. It is there, so that nobody may take the engine for away.
	ErrOther = errors.New("another engine answers")

	// ErrClosed is returned when a call comes after Close.
	ErrClosed = errors.New("store closed")

	// ErrCorrupt is returned when what is stored cannot be what was
	// written.
	ErrCorrupt = errors.New("stored data is corrupt")
)
