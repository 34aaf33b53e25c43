package loglimit_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddymfa/caddy-mfa/mfa/loglimit"
)

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newLimiter(t *testing.T) (*loglimit.Limiter, *zap.Logger, *observer.ObservedLogs, *clock) {
	t.Helper()
	c := &clock{now: time.Unix(1_700_000_000, 0)}
	core, logs := observer.New(zap.InfoLevel)
	limiter := loglimit.New(c.Now)
	return limiter, limiter.Wrap(zap.New(core)), logs, c
}

// lines are what was written since the last call.
func lines(logs *observer.ObservedLogs) []string {
	var all []string
	for _, entry := range logs.TakeAll() {
		line := entry.Message
		for _, name := range []string{"code", "reason", "n", "left_out"} {
			if value, ok := entry.ContextMap()[name]; ok {
				line += fmt.Sprintf(" %s=%v", name, value)
			}
		}
		all = append(all, line)
	}
	return all
}

func wantLines(t *testing.T, logs *observer.ObservedLogs, want ...string) {
	t.Helper()
	if got := lines(logs); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestOneLineOfAKindIsWrittenAMinuteAndTheOthersAreCounted(t *testing.T) {
	_, log, logs, c := newLimiter(t)
	for n := range 5 {
		log.Info("refused", zap.Int("n", n))
	}
	wantLines(t, logs, "refused n=0")
	c.Advance(loglimit.Period - 1)
	log.Info("refused", zap.Int("n", 5))
	wantLines(t, logs)
	c.Advance(1)
	log.Info("refused", zap.Int("n", 6))
	wantLines(t, logs, "refused n=6 left_out=5")
	c.Advance(loglimit.Period)
	log.Info("refused", zap.Int("n", 7))
	wantLines(t, logs, "refused n=7")
}

func TestTheLastOfTheLinesThatWereLeftOutIsWrittenWhenTheMinuteIsOver(t *testing.T) {
	limiter, log, logs, c := newLimiter(t)
	for n := range 4 {
		log.Info("refused", zap.Int("n", n))
	}
	limiter.Flush()
	wantLines(t, logs, "refused n=0")
	c.Advance(loglimit.Period)
	limiter.Flush()
	wantLines(t, logs, "refused n=3 left_out=2")
	// That was the line of this minute.
	log.Info("refused", zap.Int("n", 4))
	limiter.Flush()
	wantLines(t, logs)
	c.Advance(loglimit.Period)
	limiter.Flush()
	wantLines(t, logs, "refused n=4")
	c.Advance(loglimit.Period)
	limiter.Flush()
	wantLines(t, logs)
}

func TestMessagesCodesReasonsAndNamesMakeDifferentKinds(t *testing.T) {
	limiter, log, logs, _ := newLimiter(t)
	for range 2 {
		log.Info("refused", zap.String("code", "a"), zap.String("path", "/1"))
		log.Info("refused", zap.String("code", "a"), zap.String("path", "/2"))
		log.Info("refused", zap.String("code", "b"))
		log.Info("refused", zap.String("reason", "expired"))
		log.Info("other")
		log.Named("x").Warn("other")
		log.With(zap.String("site", "s")).Info("other")
		limiter.Wrap(log).Debug("below the level")
	}
	wantLines(t, logs, "refused code=a", "refused code=b", "refused reason=expired", "other", "other")
}

func TestLinesBeyondTheKindsThatAreKeptAreOneKind(t *testing.T) {
	limiter, log, logs, c := newLimiter(t)
	for n := range 10_000 {
		log.Info("refused", zap.String("reason", fmt.Sprint(n)))
	}
	if got := len(lines(logs)); got != 65 {
		t.Errorf("%d lines were written, want 65", got)
	}
	c.Advance(loglimit.Period)
	limiter.Flush()
	wantLines(t, logs, "refused reason=9999 left_out=9934")
	// What had no more lines is forgotten.
	c.Advance(loglimit.Period)
	limiter.Flush()
	for n := range 65 {
		log.Info("again", zap.String("reason", fmt.Sprint(n)))
	}
	if got := len(lines(logs)); got != 65 {
		t.Errorf("%d lines were written, want 65", got)
	}
}

func TestAClockThatWasSetBackHoldsNothingUp(t *testing.T) {
	_, log, logs, c := newLimiter(t)
	log.Info("refused", zap.Int("n", 0))
	c.Advance(-time.Hour)
	log.Info("refused", zap.Int("n", 1))
	wantLines(t, logs, "refused n=0", "refused n=1")
}

func TestWhatWasLeftOutIsWrittenAtTheEnd(t *testing.T) {
	limiter, log, logs, _ := newLimiter(t)
	for n := range 3 {
		log.Warn("refused", zap.Int("n", n))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	limiter.Run(ctx)
	wantLines(t, logs, "refused n=0", "refused n=2 left_out=1")
}

// nameless is a core that refuses lines of named loggers, as Caddy's do by
// include and exclude.
type nameless struct{ zapcore.Core }

func (c nameless) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if entry.LoggerName != "" {
		return checked
	}
	return checked.AddCore(entry, c)
}

func TestACoreIsAskedWhetherItTakesALine(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	log := loglimit.New(nil).Wrap(zap.New(nameless{core}))
	log.Named("x").Info("refused")
	log.Info("refused")
	wantLines(t, logs, "refused")
}

func TestLinesFromManyGoroutinesAreAllCounted(t *testing.T) {
	limiter, log, logs, c := newLimiter(t)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 100 {
				log.Info("refused")
				limiter.Flush()
			}
		})
	}
	group.Wait()
	c.Advance(loglimit.Period)
	limiter.Flush()
	wantLines(t, logs, "refused", "refused left_out=798")
}
