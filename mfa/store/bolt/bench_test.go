package bolt

import (
	"context"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// The size of a user with a passkey, an app and backup codes.
var benchDocument = make([]byte, 2000)

// benchKey spreads n over 10,000 users.
func benchKey(n int64) string {
	return "user/" + strconv.FormatInt(n*7919%10_000, 10)
}

// BenchmarkUpdate writes one document an operation: alone, and from 64
// goroutines, beside bbolt's own two ways to do so on the same disk.
func BenchmarkUpdate(b *testing.B) {
	ours := func(b *testing.B) func(key string) error {
		s := mustOpen(b, filepath.Join(b.TempDir(), "mfa.db"))
		return func(key string) error {
			return s.Update(context.Background(), func(tx store.Tx) error {
				return tx.Put(key, benchDocument)
			}, key)
		}
	}
	theirs := func(call func(*bbolt.DB, func(*bbolt.Tx) error) error) func(b *testing.B) func(key string) error {
		return func(b *testing.B) func(key string) error {
			db, err := bbolt.Open(filepath.Join(b.TempDir(), "bbolt.db"), 0o600, &bbolt.Options{FreelistType: bbolt.FreelistMapType})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { db.Close() })
			err = db.Update(func(tx *bbolt.Tx) error {
				_, err := tx.CreateBucket(bucket)
				return err
			})
			if err != nil {
				b.Fatal(err)
			}
			return func(key string) error {
				return call(db, func(tx *bbolt.Tx) error {
					return tx.Bucket(bucket).Put([]byte(key), benchDocument)
				})
			}
		}
	}
	for _, engine := range []struct {
		name string
		open func(b *testing.B) func(key string) error
	}{
		{"Store", ours},
		{"bbolt.Update", theirs((*bbolt.DB).Update)},
		{"bbolt.Batch", theirs((*bbolt.DB).Batch)},
	} {
		b.Run("Alone/"+engine.name, func(b *testing.B) {
			write := engine.open(b)
			b.ReportAllocs()
			n := int64(0)
			for b.Loop() {
				n++
				if err := write(benchKey(n)); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("64Clients/"+engine.name, func(b *testing.B) {
			write := engine.open(b)
			b.ReportAllocs()
			start := time.Now()
			var n, left atomic.Int64
			left.Store(int64(b.N))
			done := make(chan error, 64)
			for range 64 {
				go func() {
					for left.Add(-1) >= 0 {
						if err := write(benchKey(n.Add(1))); err != nil {
							done <- err
							return
						}
					}
					done <- nil
				}()
			}
			for range 64 {
				if err := <-done; err != nil {
					b.Error(err)
				}
			}
			b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "writes/s")
		})
	}
}

func BenchmarkGet(b *testing.B) {
	s := mustOpen(b, filepath.Join(b.TempDir(), "mfa.db"))
	if err := put(s, "user", benchDocument); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Get(context.Background(), "user"); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
