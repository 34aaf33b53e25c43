package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/internal/pgtest"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// benchDocument is the size of a user with an app and backup codes.
var benchDocument = make([]byte, 1000)

// BenchmarkSetup makes, from 64 goroutines, what the setup of somebody new
// makes of the store. `go run ./bench store postgres` holds it against
// pgbench.
func BenchmarkSetup(b *testing.B) {
	server := pgtest.New(b)
	s := mustOpen(b, Config{DSN: server.DSN(pgtest.Superuser, server.Database())})
	ctx, cancel := context.WithCancel(context.Background()) // as a request's
	defer cancel()
	var n, left atomic.Int64
	left.Store(int64(b.N))
	b.ReportAllocs()
	b.ResetTimer()
	start := time.Now()
	done := make(chan error, 64)
	for range cap(done) {
		go func() {
			for left.Add(-1) >= 0 {
				key := fmt.Sprintf("user/%d-%d", os.Getpid(), n.Add(1))
				if _, err := s.Get(ctx, key); !errors.Is(err, store.ErrNotFound) {
					done <- err
					return
				}
				if err := s.Update(ctx, func(tx store.Tx) error { return tx.Put(key, benchDocument) }, key); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range cap(done) {
		if err := <-done; err != nil {
			b.Error(err)
		}
	}
	b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "setups/s")
}

// BenchmarkChanged compares what a node with 5,000 people at its gates keeps
// near, none of which has changed.
func BenchmarkChanged(b *testing.B) {
	server := pgtest.New(b)
	s := mustOpen(b, Config{DSN: server.DSN(pgtest.Superuser, server.Database())})
	ctx := context.Background()
	seen := make(map[string]int64)
	for n := range 50 {
		var keys []string
		for i := range store.MaxKeys {
			keys = append(keys, fmt.Sprintf("user/%05d", n*store.MaxKeys+i))
		}
		err := s.Update(ctx, func(tx store.Tx) error {
			for _, key := range keys {
				if err := tx.Put(key, benchDocument); err != nil {
					return err
				}
			}
			return nil
		}, keys...)
		if err != nil {
			b.Fatal(err)
		}
		for _, key := range keys {
			if _, seen[key], err = s.GetVersion(ctx, key); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ResetTimer()
	for b.Loop() {
		if changed, err := s.Changed(ctx, seen); err != nil || len(changed) > 0 {
			b.Fatal(changed, err)
		}
	}
}
