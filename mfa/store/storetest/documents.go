package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

func documents(t *testing.T, e Engine) {
	ctx := context.Background()

	t.Run("AKeyThatWasNeverWrittenIsNotFound", func(t *testing.T) {
		lacks(t, open(t, e), "nobody")
	})
	t.Run("APutIsThereUntilItIsReplacedOrDeleted", func(t *testing.T) {
		s := open(t, e)
		put(t, s, "a", "one")
		holds(t, s, "a", "one")
		put(t, s, "a", "two")
		holds(t, s, "a", "two")
		remove(t, s, "a")
		lacks(t, s, "a")
		put(t, s, "a", "three")
		holds(t, s, "a", "three")
	})
	t.Run("DeletingWhatIsNotThereIsNoError", func(t *testing.T) {
		remove(t, open(t, e), "nobody")
	})
	t.Run("AnEmptyDocumentIsNotNone", func(t *testing.T) {
		for name, value := range map[string][]byte{"Nil": nil, "Empty": {}} {
			t.Run(name, func(t *testing.T) {
				s := open(t, e)
				err := s.Update(ctx, func(tx store.Tx) error {
					if err := tx.Put("a", value); err != nil {
						return err
					}
					if got, err := tx.Get("a"); err != nil || len(got) != 0 {
						t.Errorf("in its update it is %q, %v", got, err)
					}
					return nil
				}, "a")
				if err != nil {
					t.Fatal(err)
				}
				holds(t, s, "a", "")
				err = s.Update(ctx, func(tx store.Tx) error {
					_, err := tx.Get("a")
					return err
				}, "a")
				if err != nil {
					t.Errorf("in a later update: %v", err)
				}
				page, err := s.List(ctx, "", "", 2)
				if err != nil || len(page) != 1 || page[0].Key != "a" || len(page[0].Value) != 0 {
					t.Errorf("listed as %v, %v", page, err)
				}
				s.reopen()
				holds(t, s, "a", "")
			})
		}
	})
	t.Run("KeysAreComparedByteByByte", func(t *testing.T) {
		s := open(t, e)
		// The same to a reader, a collation or a C string, not to us.
		keys := []string{"a", "A", "a ", " a", "a\x00", "a\x00b", "é", "e\u0301", "a/b", "a%2Fb", "'", "\\", "*", "_", "%"}
		for _, key := range keys {
			put(t, s, key, "of "+key)
		}
		for _, key := range keys {
			holds(t, s, key, "of "+key)
		}
		lacks(t, s, "á")
	})
	t.Run("AnyBytesComeBackAsTheyWere", func(t *testing.T) {
		s := open(t, e)
		all := make([]byte, 256)
		for i := range all {
			all[i] = byte(i)
		}
		put(t, s, "a", string(all))
		holds(t, s, "a", string(all))
	})
}

func ownership(t *testing.T, e Engine) {
	ctx := context.Background()

	t.Run("ChangingASliceAfterPutChangesNothing", func(t *testing.T) {
		s := open(t, e)
		value := []byte("value")
		err := s.Update(ctx, func(tx store.Tx) error {
			if err := tx.Put("a", value); err != nil {
				return err
			}
			value[0] = 'X'
			got, err := tx.Get("a")
			if err != nil || string(got) != "value" {
				t.Errorf("in the update: %q, %v", got, err)
			}
			value[0] = 'v' // for an engine that calls again
			return nil
		}, "a")
		if err != nil {
			t.Fatal(err)
		}
		value[1] = 'X'
		holds(t, s, "a", "value")
	})
	t.Run("ChangingWhatGetReturnedChangesNothing", func(t *testing.T) {
		s := open(t, e)
		put(t, s, "a", "value")
		got, err := s.Get(ctx, "a")
		if err != nil {
			t.Fatal(err)
		}
		scribble(got)
		holds(t, s, "a", "value")
	})
	t.Run("ChangingWhatTxGetReturnedChangesNothing", func(t *testing.T) {
		s := open(t, e)
		put(t, s, "a", "value")
		var kept []byte
		err := s.Update(ctx, func(tx store.Tx) error {
			for range 2 {
				got, err := tx.Get("a")
				if err != nil || string(got) != "value" {
					t.Errorf("got %q, %v", got, err)
				}
				scribble(got)
			}
			if err := tx.Put("a", []byte("value")); err != nil {
				return err
			}
			got, err := tx.Get("a")
			scribble(got)
			kept = got
			return err
		}, "a")
		if err != nil {
			t.Fatal(err)
		}
		scribble(kept)
		holds(t, s, "a", "value")
	})
	t.Run("ChangingWhatListReturnedChangesNothing", func(t *testing.T) {
		s := open(t, e)
		put(t, s, "a", "value")
		page, err := s.List(ctx, "", "", 1)
		if err != nil || len(page) != 1 {
			t.Fatalf("%v, %v", page, err)
		}
		scribble(page[0].Value)
		holds(t, s, "a", "value")
	})
	t.Run("WhatWasReturnedOutlivesLaterWrites", func(t *testing.T) {
		s := open(t, e)
		put(t, s, "a", "value")
		got, err := s.Get(ctx, "a")
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			put(t, s, "a", strings.Repeat("x", 10_000))
		}
		remove(t, s, "a")
		s.reopen()
		if string(got) != "value" {
			t.Errorf("it became %q", got)
		}
	})
}

// scribble fills b, and the room behind it, which is the caller's too.
func scribble(b []byte) {
	b = b[:cap(b)]
	for i := range b {
		b[i] = 'X'
	}
}

func limits(t *testing.T, e Engine) {
	ctx := context.Background()

	t.Run("TheLongestKeyAndTheLargestDocumentFit", func(t *testing.T) {
		s := open(t, e)
		key, value := strings.Repeat("k", store.MaxKey), strings.Repeat("v", store.MaxValue)
		put(t, s, key, value)
		holds(t, s, key, value)
		s.reopen()
		holds(t, s, key, value)
	})
	t.Run("AKeyBeyondTheLimitsIsRefused", func(t *testing.T) {
		s := open(t, e)
		for name, key := range map[string]string{
			"empty":    "",
			"too long": strings.Repeat("k", store.MaxKey+1),
			"no UTF-8": "a\xff",
		} {
			err := s.Update(ctx, func(store.Tx) error {
				t.Errorf("%s: the function was called", name)
				return nil
			}, "a", key)
			if !errors.Is(err, store.ErrTooLarge) {
				t.Errorf("%s: Update returned %v", name, err)
			}
			if _, err := s.Get(ctx, key); !errors.Is(err, store.ErrTooLarge) {
				t.Errorf("%s: Get returned %v", name, err)
			}
		}
	})
	t.Run("ADocumentBeyondTheLimitIsRefusedAndTheUpdateMayGoOn", func(t *testing.T) {
		s := open(t, e)
		put(t, s, "a", "before")
		large := make([]byte, store.MaxValue+1)
		err := s.Update(ctx, func(tx store.Tx) error {
			if err := tx.Put("a", large); !errors.Is(err, store.ErrTooLarge) {
				t.Errorf("Put returned %v", err)
			}
			if got, err := tx.Get("a"); err != nil || string(got) != "before" {
				t.Errorf("it is now %.20q, %v", got, err)
			}
			return tx.Put("b", []byte("small"))
		}, "a", "b")
		if err != nil {
			t.Fatal(err)
		}
		holds(t, s, "a", "before")
		holds(t, s, "b", "small")
		err = s.Update(ctx, func(tx store.Tx) error { return tx.Put("a", large) }, "a")
		if !errors.Is(err, store.ErrTooLarge) {
			t.Errorf("Update returned %v", err)
		}
	})
	t.Run("AnUpdateOfAsManyKeysAsAreAllowedIsMadeWhole", func(t *testing.T) {
		s := open(t, e)
		long := func(i int) string { return fmt.Sprintf("%s%03d", strings.Repeat("k", store.MaxKey-3), i) }
		var keys []string
		for i := range store.MaxKeys {
			keys = append(keys, long(i))
		}
		each := strings.Repeat("v", store.MaxUpdate/store.MaxKeys-store.MaxKey)
		fill := func(tx store.Tx) error {
			for _, key := range keys {
				if err := tx.Put(key, []byte(each)); err != nil {
					return err
				}
			}
			return nil
		}
		if err := s.Update(ctx, fill, keys...); err != nil {
			t.Fatal(err)
		}
		holds(t, s, keys[0], each)
		holds(t, s, keys[len(keys)-1], each)

		err := s.Update(ctx, func(store.Tx) error {
			t.Error("the function was called")
			return nil
		}, append(keys, "one more")...)
		if !errors.Is(err, store.ErrTooLarge) {
			t.Errorf("one more key: %v", err)
		}
		err = s.Update(ctx, func(tx store.Tx) error {
			return errors.Join(fill(tx), tx.Put(keys[0], []byte(each+strings.Repeat("v", store.MaxKeys))))
		}, keys...)
		if !errors.Is(err, store.ErrTooLarge) {
			t.Errorf("writing more than is allowed: %v", err)
		}
		holds(t, s, keys[0], each)
	})
	t.Run("APageBeyondTheLimitsIsRefused", func(t *testing.T) {
		s := open(t, e)
		for _, limit := range []int{-1, 0, store.MaxPage + 1} {
			if _, err := s.List(ctx, "", "", limit); !errors.Is(err, store.ErrTooLarge) {
				t.Errorf("limit %d: %v", limit, err)
			}
		}
	})
}
