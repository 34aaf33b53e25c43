package tokencache_test

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/internal/testclock"
	"github.com/caddymfa/caddy-mfa/mfa/internal/tokencache"
)

type clock = testclock.Clock

func newClock() *clock { return testclock.At(time.Unix(1_700_000_000, 0)) }

func wantHit[V comparable](t *testing.T, cache *tokencache.Cache[V], token string, want V) {
	t.Helper()
	if got, ok := cache.Get(token); !ok || got != want {
		t.Errorf("Get(%.20q) = %v, %v; want %v", token, got, ok, want)
	}
}

func wantMiss[V any](t *testing.T, cache *tokencache.Cache[V], token string) {
	t.Helper()
	if got, ok := cache.Get(token); ok {
		t.Errorf("Get(%.20q) = %v; want nothing", token, got)
	}
}

// oneShard are n tokens of the same shard, found from outside: each pushes
// the one before it out of a cache in which a shard has room for one.
func oneShard(t *testing.T, n int) []string {
	t.Helper()
	tokens := []string{"first"}
	for i := range 1000 {
		if len(tokens) == n {
			return tokens
		}
		cache := tokencache.New[bool](16*1000, newClock().Now)
		token := "token-" + strconv.Itoa(i)
		cache.Put(tokens[0], true, 500, newClock().Now().Add(time.Hour))
		cache.Put(token, true, 500, newClock().Now().Add(time.Hour))
		if _, kept := cache.Get(tokens[0]); !kept {
			tokens = append(tokens, token)
		}
	}
	t.Fatal("one in sixteen tokens should be of the same shard")
	return nil
}

func TestAnEntryCountsUpToTheInstantItExpires(t *testing.T) {
	c := newClock()
	cache := tokencache.New[int](1<<20, c.Now)
	cache.Put("token", 1, 0, c.Now().Add(time.Second))
	c.Advance(time.Second - 1)
	wantHit(t, cache, "token", 1)
	c.Advance(1)
	wantMiss(t, cache, "token")
	c.Advance(-1)
	wantMiss(t, cache, "token")
}

func TestAnEntryPutAfterItsExpiryDoesNotCount(t *testing.T) {
	c := newClock()
	cache := tokencache.New[int](1<<20, c.Now)
	cache.Put("token", 1, 0, c.Now().Add(time.Minute))
	cache.Put("token", 2, 0, c.Now())
	wantMiss(t, cache, "token")
}

func TestAnEntryDoesNotCountBeforeItWasPut(t *testing.T) {
	c := newClock()
	cache := tokencache.New[int](1<<20, c.Now)
	cache.Put("token", 1, 0, c.Now().Add(time.Minute))
	c.Advance(-1)
	wantMiss(t, cache, "token")
	c.Advance(1)
	wantHit(t, cache, "token", 1)
}

func TestAnEntryReplacesTheOneBefore(t *testing.T) {
	c := newClock()
	cache := tokencache.New[int](16*1000, c.Now)
	// Only as long as the room of the one before is given back.
	for i := range 100 {
		cache.Put("token", i, 500, c.Now().Add(time.Minute))
		wantHit(t, cache, "token", i)
	}
}

func TestTokensAreToldApart(t *testing.T) {
	c := newClock()
	cache := tokencache.New[string](1<<20, c.Now)
	long := strings.Repeat("a", 8<<10)
	tokens := []string{"", "\x00", "a", "b", "A", long, long[1:], long[1:] + "b", "b" + long[1:]}
	for i, token := range tokens {
		for _, later := range tokens[i:] {
			wantMiss(t, cache, later)
		}
		cache.Put(token, token, 0, c.Now().Add(time.Minute))
	}
	for _, token := range tokens {
		wantHit(t, cache, token, token)
	}
}

func TestWhatWasUsedLeastRecentlyMakesWay(t *testing.T) {
	for _, shard := range []struct {
		what  string
		bytes int64
		size  int
	}{
		{"places for four", 4 << 10, 500},
		{"memory for four", 16 << 10, 3000},
	} {
		t.Run(shard.what, func(t *testing.T) {
			c := newClock()
			tokens := oneShard(t, 6)
			cache := tokencache.New[int](16*shard.bytes, c.Now)
			put := func(i int) { cache.Put(tokens[i], i, shard.size, c.Now().Add(time.Minute)) }
			for i := range 4 {
				put(i)
			}
			wantHit(t, cache, tokens[0], 0)
			put(2)
			put(4)
			wantMiss(t, cache, tokens[1])
			put(5)
			wantMiss(t, cache, tokens[3])
			for _, i := range []int{0, 2, 4, 5} {
				wantHit(t, cache, tokens[i], i)
			}
		})
	}
}

func TestTheRoomOfWhatExpiredIsGivenBack(t *testing.T) {
	c := newClock()
	tokens := oneShard(t, 3)
	cache := tokencache.New[int](16*2<<10, c.Now)
	cache.Put(tokens[0], 0, 500, c.Now().Add(time.Hour))
	cache.Put(tokens[1], 1, 500, c.Now().Add(time.Second))
	c.Advance(time.Second)
	wantMiss(t, cache, tokens[1])
	cache.Put(tokens[2], 2, 500, c.Now().Add(time.Hour))
	wantHit(t, cache, tokens[0], 0)
}

func TestDistinctTokensDoNotOutgrowTheBound(t *testing.T) {
	const bound = 1 << 20
	for _, size := range []int{0, 500, 1000, 10_000, bound/16 - 64*200} {
		t.Run(fmt.Sprintf("entries of %d bytes", size), func(t *testing.T) {
			c := newClock()
			cache := tokencache.New[int](bound, c.Now)
			const tokens = 20_000
			for i := range tokens {
				cache.Put(strconv.Itoa(i), i, size, c.Now().Add(time.Hour))
			}
			kept := 0
			for i := range tokens {
				if _, ok := cache.Get(strconv.Itoa(i)); ok {
					kept++
				}
			}
			// There is place for an entry to each KiB, which takes some 170
			// bytes whether it is in use or not.
			const places = bound >> 10
			taken := kept*(size+len("19999")) + places*170
			if taken > bound || taken < bound/2 && kept < places*3/4 {
				t.Errorf("%d entries are kept, some %d bytes; the bound is %d", kept, taken, bound)
			}
		})
	}
}

func TestWhatIsLargerThanAShardIsNotKept(t *testing.T) {
	c := newClock()
	cache := tokencache.New[int](16*1000, c.Now)
	tokens := oneShard(t, 2)
	cache.Put(tokens[0], 1, 100, c.Now().Add(time.Minute))
	cache.Put(tokens[1], 2, 1000, c.Now().Add(time.Minute))
	wantMiss(t, cache, tokens[1])
	wantHit(t, cache, tokens[0], 1)
}

func TestManyCallersShareACache(t *testing.T) {
	c := newClock()
	cache := tokencache.New[string](16*2000, c.Now)
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for i := range 5000 {
				token := strconv.Itoa(i % 97)
				if got, ok := cache.Get(token); ok && got != token {
					t.Errorf("Get(%q) = %q", token, got)
				}
				cache.Put(token, token, i%500, c.Now().Add(time.Duration(i%3)*time.Millisecond))
				if i%50 == 0 {
					c.Advance(time.Millisecond)
				}
			}
		})
	}
	callers.Wait()
}

func TestGetAllocatesNothing(t *testing.T) {
	c := newClock()
	cache := tokencache.New[[4]string](1<<20, c.Now)
	token := strings.Repeat("a", 1<<10)
	cache.Put(token, [4]string{"a"}, 0, c.Now().Add(time.Minute))
	if n := testing.AllocsPerRun(100, func() { cache.Get(token); cache.Get("other") }); n != 0 {
		t.Errorf("Get allocates %v times", n)
	}
}

// allocated is how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestACacheTakesMemoryAsItIsUsed(t *testing.T) {
	c := newClock()
	var cache *tokencache.Cache[[20]string]
	if taken := allocated(func() { cache = tokencache.New[[20]string](32<<20, c.Now) }); taken > 16<<10 {
		t.Errorf("an empty cache takes %d bytes", taken)
	}
	tokens := make([]string, 2000)
	for i := range tokens {
		tokens[i] = strconv.Itoa(i)
	}
	fill := func() {
		for _, token := range tokens {
			cache.Put(token, [20]string{}, 0, c.Now().Add(time.Hour))
		}
	}
	// An entry of this type takes some 430 bytes; its doubled places and the
	// map that grows come on top.
	if taken := allocated(fill); taken > uint64(len(tokens))*1500 {
		t.Errorf("%d entries take %d bytes", len(tokens), taken)
	}
	// Then they are used again, and only the copies of the tokens are new.
	if taken := allocated(fill); taken > uint64(len(tokens))*32 {
		t.Errorf("the same entries again take %d bytes", taken)
	}
}
