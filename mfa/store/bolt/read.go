package bolt

import (
	"bytes"
	"context"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// read returns a copy of the document under key.
func read(b *bbolt.Bucket, key string) ([]byte, error) {
	value := b.Get([]byte(key))
	if value == nil {
		return nil, store.ErrNotFound
	}
	return owned(value)
}

// list returns copies of one page of documents.
func list(ctx context.Context, b *bbolt.Bucket, prefix, after string, limit int) ([]store.Document, error) {
	var page []store.Document
	c := b.Cursor()
	key, value := c.Seek([]byte(max(prefix, after)))
	if after != "" && string(key) == after {
		key, value = c.Next()
	}
	for ; len(page) < limit && bytes.HasPrefix(key, []byte(prefix)) && key != nil; key, value = c.Next() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if len(key) > store.MaxKey {
			return nil, fmt.Errorf("%w: it has a key of %d bytes: restore it from a backup", store.ErrCorrupt, len(key))
		}
		mine, err := owned(value)
		if err != nil {
			return nil, err
		}
		page = append(page, store.Document{Key: string(key), Value: mine})
	}
	return page, nil
}

// owned copies a value out of the mapped file. A length that was never
// written comes from damage, and is not worth its memory.
func owned(value []byte) ([]byte, error) {
	if len(value) > store.MaxValue {
		return nil, fmt.Errorf("%w: it has a document of %d bytes: restore it from a backup", store.ErrCorrupt, len(value))
	}
	return append([]byte{}, value...), nil
}
