package storeclock_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/internal/testclock"
	"github.com/caddymfa/caddy-mfa/mfa/store"
	"github.com/caddymfa/caddy-mfa/mfa/store/storeclock"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// distant is a store that tells the time, rounded down to unit, after the
// answer has been under way for so long.
type distant struct {
	store.Store
	clock *testclock.Clock
	unit  time.Duration
	pass  func(time.Duration) // lets time pass, for everybody
	there time.Duration
	back  time.Duration
	err   error
}

func (d *distant) Time(context.Context) (time.Time, time.Duration, error) {
	d.pass(d.there)
	at := d.clock.Now().Truncate(d.unit)
	d.pass(d.back)
	return at.Add(d.unit / 2), d.unit / 2, d.err
}

// apart is a store whose clock a node's own is ahead of by skew.
func apart(skew time.Duration) (*distant, *testclock.Clock) {
	theirs, own := testclock.At(noon), testclock.At(noon.Add(skew))
	return &distant{clock: theirs, unit: time.Microsecond, pass: func(d time.Duration) {
		theirs.Advance(d)
		own.Advance(d)
	}}, own
}

func measure(t *testing.T, c *storeclock.Clock) {
	t.Helper()
	if err := c.Measure(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// wantWithin checks how far the clock is from the store's.
func wantWithin(t *testing.T, c *storeclock.Clock, d *distant, within time.Duration) {
	t.Helper()
	if off := c.Now().Sub(d.clock.Now()); off.Abs() > within {
		t.Errorf("the clock is off by %v", off)
	}
}

func TestTheClockShowsTheStoresTimeWhateverTheOwnClockShows(t *testing.T) {
	for _, skew := range []time.Duration{0, 5 * time.Second, -20 * time.Second, 2 * time.Minute, -10 * time.Minute, 1000 * time.Hour} {
		d, own := apart(skew)
		c := storeclock.New(d, own.Now)
		measure(t, c)
		wantWithin(t, c, d, time.Millisecond)
		d.pass(time.Hour)
		wantWithin(t, c, d, time.Millisecond)
		if got, known := c.Skew(); !known || (got-skew).Abs() > time.Millisecond {
			t.Errorf("a skew of %v is told as %v, %v", skew, got, known)
		}
		if err := c.Err(); errors.Is(err, storeclock.ErrApart) != (skew.Abs() > storeclock.MaxSkew) {
			t.Errorf("%v apart: %v", skew, err)
		}
	}
}

func TestASlowAnswerIsNotTakenForAWrongClock(t *testing.T) {
	d, own := apart(0)
	d.back = 3 * time.Minute
	c := storeclock.New(d, own.Now)
	measure(t, c)
	if err := c.Err(); err != nil {
		t.Error(err)
	}
	wantWithin(t, c, d, d.back/2)
	d.back = 0
	measure(t, c)
	wantWithin(t, c, d, time.Second)
	// Nor does another slow one spoil what is known.
	d.there, d.back = 0, 8*time.Second
	measure(t, c)
	wantWithin(t, c, d, 100*time.Millisecond)
}

func TestAClockThatIsToldInWholeSecondsIsNarrowedDown(t *testing.T) {
	d, own := apart(7 * time.Second)
	d.unit, d.there, d.back = time.Second, 3*time.Millisecond, 2*time.Millisecond
	c := storeclock.New(d, own.Now)
	for range 20 {
		measure(t, c)
		wantWithin(t, c, d, 510*time.Millisecond)
		d.pass(5*time.Second + 137*time.Millisecond)
	}
	wantWithin(t, c, d, 150*time.Millisecond)
}

func TestAClockThatIsSetIsNoticedAtTheNextMeasurement(t *testing.T) {
	for _, step := range []time.Duration{-10 * time.Minute, -20 * time.Second, 20 * time.Second, 10 * time.Minute} {
		d, own := apart(0)
		c := storeclock.New(d, own.Now)
		measure(t, c)
		own.Advance(step)
		measure(t, c)
		wantWithin(t, c, d, time.Millisecond)
		if err := c.Err(); errors.Is(err, storeclock.ErrApart) != (step.Abs() > storeclock.MaxSkew) {
			t.Errorf("set by %v: %v", step, err)
		}
		own.Advance(-step)
		measure(t, c)
		if err := c.Err(); err != nil {
			t.Errorf("set by %v and back: %v", step, err)
		}
	}
}

func TestWhatWasKnownStaysWhenTheStoreDoesNotAnswer(t *testing.T) {
	d, own := apart(20 * time.Second)
	c := storeclock.New(d, own.Now)
	d.err = store.ErrNoTime
	if err := c.Measure(t.Context()); !errors.Is(err, store.ErrNoTime) {
		t.Error(err)
	}
	if _, known := c.Skew(); known || !c.Now().Equal(own.Now()) {
		t.Error("something is known before the first answer")
	}
	d.err = nil
	measure(t, c)
	d.err = store.ErrUnavailable
	if err := c.Measure(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Error(err)
	}
	wantWithin(t, c, d, time.Millisecond)
}

func TestAStoreWithoutAClockIsNeverApart(t *testing.T) {
	c := storeclock.New(nil, nil)
	measure(t, c)
	if c.Timed() || c.Err() != nil || time.Since(c.Now()).Abs() > time.Minute {
		t.Error("it is")
	}
	var none *storeclock.Clock
	if none.Err() != nil {
		t.Error("nor is none")
	}
}

func TestARealClockThatIsReadTwiceAgrees(t *testing.T) {
	d := &distant{clock: testclock.At(time.Now().Add(-30 * time.Second)), unit: time.Microsecond, pass: func(time.Duration) {}}
	c := storeclock.New(d, nil) // with a monotonic reading
	measure(t, c)
	d.clock = testclock.At(time.Now().Add(-30 * time.Second))
	measure(t, c)
	if skew, known := c.Skew(); !known || (skew-30*time.Second).Abs() > 10*time.Second {
		t.Errorf("skew %v", skew)
	}
}
