package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// alone makes what a setup makes of the store, and nothing else.
type alone struct {
	engine   engine
	store    store.Store
	document []byte
	clients  int
	people   atomic.Int64
}

func newAlone(ctx context.Context, e engine, clients int) (*alone, error) {
	st, err := e.open(ctx)
	if err != nil {
		return nil, err
	}
	return &alone{engine: e, store: st, document: e.document(), clients: clients}, nil
}

// block makes n of them, from all clients.
func (a *alone) block(ctx context.Context, n int) (setupCost, error) {
	before, err := usedBy(a.engine, nil)
	if err != nil {
		return setupCost{}, err
	}
	begun := time.Now()
	var left atomic.Int64
	left.Store(int64(n))
	err = together(a.clients, func(int) error {
		for left.Add(-1) >= 0 {
			if err := a.setup(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return setupCost{}, err
	}
	took := time.Since(begun)
	after, err := usedBy(a.engine, nil)
	return after.since(before, n, took), err
}

// setup reads the record of somebody new, as the check of a request does,
// and decides over it and writes it.
func (a *alone) setup(ctx context.Context) error {
	key := fmt.Sprintf("user/alone-%d-%08d", os.Getpid(), a.people.Add(1))
	if _, err := a.store.Get(ctx, key); !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("reading somebody new: %w", err)
	}
	return a.store.Update(ctx, func(tx store.Tx) error {
		if _, err := tx.Get(key); !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("reading somebody new: %w", err)
		}
		return tx.Put(key, a.document)
	}, key)
}
