package nearcache_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/panics"
)

// panicky is an engine that panics at the first comparisons.
type panicky struct {
	shared
	panics int
}

func (p *panicky) Changed(ctx context.Context, seen map[string]int64) ([]string, error) {
	if p.panics--; p.panics >= 0 {
		panic("on purpose")
	}
	return p.shared.Changed(ctx, seen)
}

func TestWhoKeepsCopiesFreshGoesOnAfterAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine()
		e.write("a", "1")
		r := newRig(t, &panicky{shared: shared{e}, panics: 3})
		r.want("a", "1")
		ctx, cancel := context.WithCancel(t.Context())
		var group panics.Group
		group.Keep(ctx, panics.StoreCache, r.Run)
		time.Sleep(time.Minute)
		cancel()
		group.Wait()
		if e.compared == 0 {
			t.Error("copies are compared no more")
		}
	})
}
