package panics

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

func TestACallThatPanicsIsAnError(t *testing.T) {
	before := Count(Request)
	err := Try(Request, func() error { panic("on purpose") })
	if !errors.Is(err, ErrPanicked) || strings.Contains(err.Error(), "purpose") {
		t.Errorf("error is %v", err)
	}
	set := func(m map[string]int) { m["x"] = 1 }
	if Do(Request, func() { set(nil) }) {
		t.Error("a panic counts as a return")
	}
	if want := errors.New("as it is"); !errors.Is(Try(Request, func() error { return want }), want) || !Do(Request, func() {}) {
		t.Error("what does not panic is changed")
	}
	if err := TryFunc(Request, func() error { panic(errors.New("x")) })(); !errors.Is(err, ErrPanicked) {
		t.Errorf("error is %v", err)
	}
	Func(Request, func() { panic(nil) })()
	if got := Count(Request) - before; got != 4 {
		t.Errorf("%d panics are counted, want 4", got)
	}
}

func TestAHandlerMayStillEndItsConnection(t *testing.T) {
	before := Count(Admin)
	func() {
		defer func() {
			if r := recover(); r != http.ErrAbortHandler {
				t.Errorf("the connection goes on: %v", r)
			}
		}()
		_ = Try(Admin, func() error { panic(http.ErrAbortHandler) })
	}()
	if Count(Admin) != before {
		t.Error("it is counted as a bug")
	}
	if Do(Sweep, func() { panic(http.ErrAbortHandler) }) { // which nobody else would recover
		t.Error("a panic counts as a return")
	}
}

func TestAGroupWaitsForGoroutinesThatPanic(t *testing.T) {
	var group Group
	for range 10 {
		group.Go(Events, func() { panic("on purpose") })
	}
	done := make(chan struct{})
	Go(Events, func() { defer close(done); panic("on purpose") })
	group.Wait()
	<-done
}

func TestALoopGoesOnAfterAPanicInAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun, calls := time.Now(), 0
		Keep(t.Context(), Sweep, func(context.Context) {
			if calls++; calls < 10 {
				panic("on purpose")
			}
		})
		// 1, 2, 4, 8, 16, 32, 60, 60, 60 seconds.
		if waited := time.Since(begun); calls != 10 || waited != 243*time.Second {
			t.Errorf("%d calls within %v", calls, waited)
		}
	})
}

func TestALoopThatPanicsEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		var group Group
		calls := 0
		group.Keep(ctx, Sweep, func(context.Context) { calls++; panic("on purpose") })
		group.Wait()
		if calls < 60 || calls > 70 {
			t.Errorf("%d calls within an hour", calls)
		}
	})
}

// badError is an error that cannot be printed.
type badError struct{}

func (badError) Error() string { panic("again") }

func TestAPanicIsLoggedOnceAMinuteWithItsStack(t *testing.T) {
	core, logs := observer.New(zapcore.DebugLevel)
	now := time.Unix(0, 0)
	r := &reporter{now: func() time.Time { return now }, log: func() *zap.Logger { return zap.New(core) }}
	for range 100 {
		r.report(Gate, strings.Repeat("é", 1000))
	}
	r.report(Notices, badError{})
	now = now.Add(time.Minute)
	r.report(Gate, "again")
	now = now.Add(-time.Hour) // a clock that was set back
	r.report(Gate, "and again")
	entries := logs.All()
	if len(entries) != 4 {
		t.Fatalf("%d lines", len(entries))
	}
	first, third := entries[0].ContextMap(), entries[2].ContextMap()
	if first["place"] != "gate" || !strings.Contains(first["stack"].(string), "TestAPanicIsLogged") || len(first["panic"].(string)) > maxText+3 {
		t.Errorf("the line is %v", first)
	}
	if third["left_out"] != uint64(99) || third["panic"] != "again" {
		t.Errorf("the line after a minute is %v", third)
	}
	if r.places[Gate].count != 102 {
		t.Errorf("%d are counted", r.places[Gate].count)
	}
}
