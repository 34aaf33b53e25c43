package bolt

import (
	"bytes"

	"go.etcd.io/bbolt"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// content is the store.Content of one transaction.
type content struct{ bucket *bbolt.Bucket }

// Get implements store.Content.
func (c content) Get(key string) (value []byte, err error) {
	if err := store.CheckKey(key); err != nil {
		return nil, err
	}
	err = guard(func() error {
		value, err = read(c.bucket, key)
		return err
	})
	return value, err
}

// Count implements store.Content.
func (c content) Count(prefix string, limit int) (n int, err error) {
	err = guard(func() error {
		at := c.bucket.Cursor()
		key, _ := at.Seek([]byte(prefix))
		for ; n < limit && key != nil && bytes.HasPrefix(key, []byte(prefix)); n++ {
			key, _ = at.Next()
		}
		return nil
	})
	return n, err
}

// Each implements store.Content.
func (c content) Each(fn func(key string, value []byte) error) error {
	return guard(func() error {
		return c.bucket.ForEach(func(key, value []byte) error { return fn(string(key), value) })
	})
}

// Revision implements store.Content. The sequence number that bbolt keeps
// for a bucket counts the commits: it is part of every copy, whoever
// makes it, and unlike the number of a transaction can be set.
func (c content) Revision() uint64 {
	return c.bucket.Sequence()
}
