package tokencache_test

import (
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/internal/tokencache"
)

// claims is as large as a small identity.
type claims struct {
	_    [200]byte
	text *[300]byte
}

const claimsSize = 208 + 300

func BenchmarkGet(b *testing.B) {
	cache := tokencache.New[claims](16<<20, time.Now)
	token := strings.Repeat("a", 1<<10)
	cache.Put(token, claims{}, claimsSize, time.Now().Add(time.Hour))
	get := func(b *testing.B) {
		if _, ok := cache.Get(token); !ok {
			b.Error("not there")
		}
	}
	b.Run("lone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			get(b)
		}
	})
	// The worst case: one token, so one shard.
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				get(b)
			}
		})
	})
}

// BenchmarkFlood puts distinct tokens, many times as many as fit, and tells
// how much of the heap the cache then takes.
func BenchmarkFlood(b *testing.B) {
	const tokens = 500_000
	for b.Loop() {
		before := heap()
		cache := tokencache.New[claims](16<<20, time.Now)
		until := time.Now().Add(time.Hour)
		for i := range tokens {
			cache.Put(strconv.Itoa(i), claims{text: new([300]byte)}, claimsSize, until)
		}
		b.ReportMetric(float64(heap()-before)/(1<<20), "MiB-heap")
		runtime.KeepAlive(cache)
	}
}

// heap returns how many bytes are in use.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
