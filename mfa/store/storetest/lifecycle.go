package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

func lifecycle(t *testing.T, e Engine) {
	ctx := context.Background()

	t.Run("WhatWasWrittenIsThereAfterReopening", func(t *testing.T) {
		s := open(t, e)
		for i := range 50 {
			put(t, s, fmt.Sprintf("key-%d", i), fmt.Sprint(i))
		}
		remove(t, s, "key-7")
		s.reopen()
		for i := range 50 {
			if i == 7 {
				lacks(t, s, "key-7")
				continue
			}
			holds(t, s, fmt.Sprintf("key-%d", i), fmt.Sprint(i))
		}
	})
	t.Run("EveryCallAfterCloseIsRefused", func(t *testing.T) {
		s := open(t, e)
		put(t, s, "a", "1")
		for range 2 {
			if err := s.Close(); err != nil {
				t.Fatalf("Close: %v", err)
			}
			if _, err := s.Get(ctx, "a"); !errors.Is(err, store.ErrClosed) {
				t.Errorf("Get: %v", err)
			}
			if _, err := s.List(ctx, "", "", 1); !errors.Is(err, store.ErrClosed) {
				t.Errorf("List: %v", err)
			}
			err := s.Update(ctx, func(store.Tx) error {
				t.Error("the function was called")
				return nil
			}, "a")
			if !errors.Is(err, store.ErrClosed) {
				t.Errorf("Update: %v", err)
			}
		}
	})
	t.Run("CloseLetsTheUpdatesUnderWayFinish", func(t *testing.T) {
		s := open(t, e)
		started, finish := make(chan struct{}), make(chan struct{})
		updated, closed := make(chan error, 1), make(chan error, 1)
		var once sync.Once
		go func() {
			updated <- s.Update(ctx, func(tx store.Tx) error {
				once.Do(func() { close(started) })
				<-finish
				return tx.Put("a", []byte("1"))
			}, "a")
		}()
		<-started
		go func() { closed <- s.Close() }()
		close(finish)
		if err := <-updated; err != nil {
			t.Errorf("Update: %v", err)
		}
		if err := <-closed; err != nil {
			t.Errorf("Close: %v", err)
		}
		s.reopen()
		holds(t, s, "a", "1")
	})
	t.Run("CloseInTheMiddleOfALoadLosesNothingThatWasAcknowledged", func(t *testing.T) {
		s := open(t, e)
		first := s.Store
		var mu sync.Mutex
		var written []string
		loaded := make(chan struct{}) // closed at the hundredth write
		parallel(33, func(i int) {
			if i == 0 {
				<-loaded
				if err := first.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
				return
			}
			for n := 0; ; n++ {
				key := fmt.Sprintf("%d-%d", i, n)
				err := first.Update(ctx, func(tx store.Tx) error { return tx.Put(key, nil) }, key)
				if errors.Is(err, store.ErrClosed) {
					return
				} else if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if written = append(written, key); len(written) == 100 {
					close(loaded)
				}
				mu.Unlock()
			}
		})
		s.reopen()
		for _, key := range written {
			holds(t, s, key, "")
		}
	})
}
