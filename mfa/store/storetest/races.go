package storetest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// parallel calls f(0) to f(n-1) at the same time.
func parallel(n int, f func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	wg.Wait()
}

// increment adds one to the decimal number under key, from 0 when there
// is none, in an Update that names keys.
func increment(ctx context.Context, s store.Store, key string, keys ...string) (n int, err error) {
	err = s.Update(ctx, func(tx store.Tx) error {
		n = 0
		old, err := tx.Get(key)
		if err == nil {
			n, err = strconv.Atoi(string(old))
		} else if errors.Is(err, store.ErrNotFound) {
			err = nil
		}
		if err != nil {
			return err
		}
		n++
		return tx.Put(key, strconv.AppendInt(nil, int64(n), 10))
	}, keys...)
	return n, err
}

func races(t *testing.T, e Engine) {
	ctx := context.Background()

	t.Run("OneOfAHundredSpendsACode", func(t *testing.T) {
		stores := openMany(t, e, 100) // as many connections
		put(t, stores[0], "code", "unspent")
		spent := errors.New("already spent")
		var won, lost atomic.Int32
		parallel(100, func(i int) {
			err := stores[i%len(stores)].Update(ctx, func(tx store.Tx) error {
				if _, err := tx.Get("code"); errors.Is(err, store.ErrNotFound) {
					return spent
				} else if err != nil {
					return err
				}
				return errors.Join(tx.Delete("code"), tx.Put("by", []byte(strconv.Itoa(i))))
			}, "code", "by")
			switch err {
			case nil:
				won.Add(1)
			case spent:
				lost.Add(1)
			default:
				t.Error(err)
			}
		})
		if won.Load() != 1 || lost.Load() != 99 {
			t.Errorf("%d spent it, %d were refused", won.Load(), lost.Load())
		}
		lacks(t, stores[1], "code")
	})
	t.Run("NoneOfAHundredCountsIsLost", func(t *testing.T) {
		stores := openMany(t, e, 4)
		var seen [101]atomic.Int32
		parallel(100, func(i int) {
			n, err := increment(ctx, stores[i%len(stores)], "count", "count")
			if err != nil {
				t.Error(err)
				return
			}
			seen[min(n, 100)].Add(1)
		})
		for n := 1; n <= 100; n++ {
			if got := seen[n].Load(); got != 1 {
				t.Errorf("%d was counted %d times", n, got)
			}
		}
		holds(t, stores[0], "count", "100")
	})
	t.Run("UpdatesOfDifferentKeysAllArrive", func(t *testing.T) {
		stores := openMany(t, e, 4)
		parallel(100, func(i int) {
			put(t, stores[i%len(stores)], fmt.Sprintf("user-%03d", i), strconv.Itoa(i))
		})
		for i := range 100 {
			holds(t, stores[(i+1)%len(stores)], fmt.Sprintf("user-%03d", i), strconv.Itoa(i))
		}
	})
	t.Run("OneOfTwoUpdatesThatReadEachOthersKeyGivesWay", func(t *testing.T) {
		// Each writes its own key only if the other is absent. Snapshots
		// alone would let both through.
		stores := openMany(t, e, 2)
		taken := errors.New("taken")
		for round := range 20 {
			keys := []string{fmt.Sprintf("left-%d", round), fmt.Sprintf("right-%d", round)}
			var won atomic.Int32
			parallel(2, func(i int) {
				err := stores[i].Update(ctx, func(tx store.Tx) error {
					if _, err := tx.Get(keys[1-i]); err == nil {
						return taken
					} else if !errors.Is(err, store.ErrNotFound) {
						return err
					}
					return tx.Put(keys[i], nil)
				}, keys...)
				switch err {
				case nil:
					won.Add(1)
				case taken:
				default:
					t.Error(err)
				}
			})
			if won.Load() != 1 {
				t.Fatalf("round %d: %d got through", round, won.Load())
			}
		}
	})
	t.Run("ReadsSeeUpdatesWhole", func(t *testing.T) {
		stores := openMany(t, e, 2)
		const rounds = 50
		write := func(n int) error {
			value := []byte(strconv.Itoa(n))
			return stores[0].Update(ctx, func(tx store.Tx) error {
				return errors.Join(tx.Put("pair-a", value), tx.Put("pair-b", value))
			}, "pair-a", "pair-b")
		}
		if err := write(0); err != nil {
			t.Fatal(err)
		}
		var known atomic.Int64 // the last write that has returned
		parallel(4, func(i int) {
			if i == 0 {
				for n := 1; n <= rounds; n++ {
					if err := write(n); err != nil {
						t.Error(err)
					}
					known.Store(int64(n))
				}
				return
			}
			for known.Load() < rounds && !t.Failed() {
				least := known.Load()
				page, err := stores[i%2].List(ctx, "pair-", "", 3)
				if err != nil || len(page) != 2 {
					t.Errorf("%v, %v", page, err)
					return
				}
				if string(page[0].Value) != string(page[1].Value) {
					t.Errorf("half of an update: %s and %s", page[0].Value, page[1].Value)
				}
				if n, _ := strconv.ParseInt(string(page[0].Value), 10, 64); n < least {
					t.Errorf("read %d after %d was written", n, least)
				}
			}
		})
	})
}
