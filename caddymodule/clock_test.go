package caddymodule

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddymfa/caddy-mfa/internal/testclock"
	"github.com/caddymfa/caddy-mfa/mfa/store"
	"github.com/caddymfa/caddy-mfa/mfa/store/storeclock"
)

// timed is a store that tells the time of a test.
type timed struct {
	store.Store
	clock *testclock.Clock
	err   error
}

func (t *timed) Time(context.Context) (time.Time, time.Duration, error) {
	return t.clock.Now(), 0, t.err
}

func TestANodeSaysWhenItsClockIsNotThatOfTheStore(t *testing.T) {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	theirs, own := &timed{clock: testclock.At(noon)}, testclock.At(noon)
	core, logged := observer.New(zap.InfoLevel)
	w := &clockWatch{clock: storeclock.New(theirs, own.Now), skew: newMetrics().clockSkew, log: zap.New(core), now: own.Now}
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(w.skew)
	for _, step := range []struct {
		name  string
		set   time.Duration // the node's clock
		pass  time.Duration
		err   error
		says  string // "" for nothing
		ahead float64
	}{
		{"no time is told", 0, 0, store.ErrNoTime, "warn: the store tells no time", math.NaN()},
		{"it still is not", 0, time.Hour, store.ErrNoTime, "", math.NaN()},
		{"it is", 0, 0, nil, "info: this node's clock agrees", 0},
		{"nothing is wrong", 0, time.Hour, nil, "", 0},
		{"a little", 3 * time.Second, 0, nil, "", 3},
		{"more", 17 * time.Second, 0, nil, "warn: this node's clock differs", 20},
		{"at once", 0, 5 * time.Second, nil, "", 20},
		{"a minute later", 0, time.Minute, nil, "warn: this node's clock differs", 20},
		{"too far", 100 * time.Second, 0, nil, "error: this node's clock is too far", 120},
		{"with the next look", 0, 5 * time.Second, nil, "", 120},
		{"while the store tells nothing", 0, 5 * time.Second, store.ErrNoTime, "", 120},
		{"a minute after", 0, time.Minute, nil, "error: this node's clock is too far", 120},
		{"set back", -120 * time.Second, 0, nil, "info: this node's clock agrees", 0},
		{"behind", -10 * time.Minute, 0, nil, "error: this node's clock is too far", -600},
	} {
		own.Advance(step.set)
		own.Advance(step.pass)
		theirs.clock.Advance(step.pass)
		theirs.err = step.err
		if err := w.measure(t.Context()); err != nil {
			t.Errorf("%s: %v", step.name, err)
		}
		said := ""
		for _, line := range logged.TakeAll() {
			said += line.Level.String() + ": " + line.Message
		}
		if step.says == "" && said != "" || !strings.HasPrefix(said, step.says) {
			t.Errorf("%s: it says %q, want %q", step.name, said, step.says)
		}
		families, err := metrics.Gather()
		if err != nil {
			t.Fatal(err)
		}
		got := families[0].GetMetric()[0].GetGauge().GetValue()
		if got != step.ahead && !(math.IsNaN(got) && math.IsNaN(step.ahead)) {
			t.Errorf("%s: the metric is %v, want %v", step.name, got, step.ahead)
		}
	}
	theirs.err = store.ErrUnavailable
	if err := w.measure(t.Context()); err == nil || len(logged.TakeAll()) > 0 {
		t.Errorf("a store that is away: %v", err)
	}
}
