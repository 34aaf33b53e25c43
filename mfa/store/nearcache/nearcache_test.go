package nearcache_test

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/store"
	"github.com/caddymfa/caddy-mfa/mfa/store/nearcache"
)

func TestACopyOfAnExclusiveStoreCountsUntilItIsWritten(t *testing.T) {
	e := &exclusive{engine: newEngine()}
	r := newRig(t, e)
	r.want("a", "-")
	e.write("a", "1")
	r.want("a", "1")
	asked := e.engine.asked
	for range 10 {
		r.want("a", "1")
		r.Advance(99 * time.Millisecond)
	}
	if e.engine.asked != asked {
		t.Errorf("asked %d times for what had not changed", e.engine.asked-asked)
	}
	e.write("a", "2")
	r.want("a", "2")
	e.write("a", "")
	r.want("a", "-")
	asked = e.engine.asked
	r.Advance(time.Second)
	r.want("a", "-")
	if e.engine.asked != asked+1 {
		t.Error("a damaged file would not be noticed within the bound")
	}
}

func TestACopyOfASharedStoreIsNoOlderThanTheBound(t *testing.T) {
	e := newEngine()
	e.write("a", "1")
	r := newRig(t, shared{e})
	r.want("a", "1")
	e.write("a", "2")
	r.Advance(nearcache.DefaultBound - 1)
	r.want("a", "1")
	r.Advance(1)
	r.want("a", "2")
	r.Advance(-time.Hour)
	e.write("a", "3")
	r.want("a", "3") // a clock that was set back tells nothing
}

func TestARefreshKeepsCopiesFreshAndLetsGoOfWhatHasChanged(t *testing.T) {
	e := newEngine()
	e.write("a", "1")
	e.write("b", "1")
	r := newRig(t, shared{e})
	for _, key := range []string{"a", "b", "none"} {
		_, _ = r.Read(t.Context(), key)
	}
	asked := e.asked
	for range 5 {
		r.Advance(500 * time.Millisecond)
		if err := r.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.want("a", "1")
		r.want("b", "1")
		r.want("none", "-")
	}
	if e.asked != asked {
		t.Errorf("%d round trips by readers of fresh copies", e.asked-asked)
	}
	e.write("b", "2")
	e.write("none", "now")
	if err := r.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.want("a", "1")
	r.want("b", "2")
	r.want("none", "now")
	if e.asked != asked+2 {
		t.Errorf("%d round trips, want one for each that changed", e.asked-asked)
	}
}

func TestWhatNobodyReadsIsNotAskedAboutForEver(t *testing.T) {
	e := newEngine()
	r := newRig(t, shared{e})
	r.want("idle", "-")
	r.want("busy", "-")
	for range 100 {
		if err := r.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.want("busy", "-")
	}
	if e.compared >= 150 {
		t.Errorf("%d keys were compared in 100 rounds, one of two read", e.compared)
	}
	e.write("idle", "1")
	r.Advance(time.Second)
	r.want("idle", "1")
}

func TestOwnWritesAreSeenAtOnce(t *testing.T) {
	e := newEngine()
	e.write("a", "1")
	r := newRig(t, shared{e})
	r.want("a", "1")
	if err := r.Store().Update(t.Context(), nil, "a"); err != nil {
		t.Fatal(err)
	}
	r.want("a", "updated")
}

func TestAReadingThatAWriteOvertakesIsNotKept(t *testing.T) {
	e := newEngine()
	e.write("a", "1")
	r := newRig(t, shared{e})
	e.during = func() { _ = r.Store().Update(t.Context(), nil, "a") }
	r.want("a", "1")
	r.want("a", "updated")
}

func TestWhileTheStoreIsAwayOnlyStaleReadersAreServedAndNotForLong(t *testing.T) {
	e := newEngine()
	e.write("a", "1")
	r := newRig(t, shared{e})
	r.want("a", "1")
	e.fail(true)
	r.Advance(nearcache.DefaultBound)
	if got, err := r.Read(t.Context(), "a"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Read = %q, %v", got, err)
	}
	for range 60 - int(nearcache.DefaultBound/time.Second) {
		if got, err := r.ReadStale(t.Context(), "a"); got != "1" || err != nil {
			t.Fatalf("ReadStale = %q, %v", got, err)
		}
		_ = r.Refresh(t.Context())
		r.Advance(time.Second)
	}
	if got, err := r.ReadStale(t.Context(), "a"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("after a minute: %q, %v", got, err)
	}
	if got, err := r.ReadStale(t.Context(), "never read"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("what was never read: %q, %v", got, err)
	}
	e.write("a", "2")
	e.fail(false)
	if got, err := r.ReadStale(t.Context(), "a"); got != "2" || err != nil {
		t.Errorf("when it is back: %q, %v", got, err)
	}
}

func TestReadersDoNotWaitForAStoreThatIsKnownToBeAway(t *testing.T) {
	e := newEngine()
	e.write("a", "1")
	r := newRig(t, shared{e})
	r.want("a", "1")
	e.fail(true)
	r.Advance(2 * nearcache.DefaultBound)
	if err := r.Refresh(t.Context()); err == nil {
		t.Fatal("the refresh has not failed")
	}
	asked := e.asked
	for range 10 {
		if got, err := r.ReadStale(t.Context(), "a"); got != "1" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	}
	if e.asked != asked {
		t.Errorf("the store was asked %d times", e.asked-asked)
	}
	// What is known to have changed is not served, however fresh it was.
	e.fail(false)
	e.write("a", "2")
	if err := r.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.fail(true)
	if got, err := r.ReadStale(t.Context(), "a"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("what had changed: %q, %v", got, err)
	}
}

func TestADocumentThatDoesNotDecodeIsAnErrorEachTime(t *testing.T) {
	e := newEngine()
	e.write("a", "bad")
	r := newRig(t, shared{e})
	for range 2 {
		if _, err := r.Read(t.Context(), "a"); !errors.Is(err, errBad) {
			t.Errorf("got %v", err)
		}
	}
	e.write("a", "good")
	r.want("a", "good")
}

func TestOfAStoreThatTellsNothingNothingIsKept(t *testing.T) {
	e := newEngine()
	r := newRig(t, plain{e})
	r.want("a", "-")
	e.write("a", "1")
	r.want("a", "1")
}

func TestCopiesDoNotOutgrowTheBoundAndWhatIsReadOftenStays(t *testing.T) {
	e := newEngine()
	r := newRig(t, shared{e}, func(c *nearcache.Config) { c.MaxBytes = 100 << 10 })
	r.want("often", "-")
	for i := range 10_000 {
		r.want("key-"+strconv.Itoa(i), "-")
		r.want("often", "-")
	}
	if e.asked != 10_001 {
		t.Errorf("%d readings, want the often read one to stay", e.asked)
	}
	_ = r.Refresh(t.Context())
	// A copy takes some 260 bytes.
	if most := 100 << 10 / 256; e.compared > most || e.compared < most/4 {
		t.Errorf("%d copies are kept, at most %d fit", e.compared, most)
	}
}

func TestManyReadersAndWritersAgree(t *testing.T) {
	e := &exclusive{engine: newEngine()}
	r := newRig(t, e, func(c *nearcache.Config) { c.MaxBytes = 8 << 10 })
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			own := fmt.Sprint("own-", n)
			for i := range 500 {
				e.write(own, fmt.Sprint(i))
				if got, err := r.Read(t.Context(), own); got != fmt.Sprint(i) || err != nil {
					t.Errorf("%s: %q, %v; want %d", own, got, err, i)
				}
				_, _ = r.Read(t.Context(), fmt.Sprint("own-", i%8))
			}
		})
	}
	wg.Wait()
}
