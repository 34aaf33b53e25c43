package caddymodule

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/store"
	"github.com/caddymfa/caddy-mfa/mfa/store/storeclock"
)

// clockRepeat is how often it is said again that clocks are apart.
const clockRepeat = time.Minute

// clockWatch measures the clock of a store, and says when that of this node
// is not in step with it.
type clockWatch struct {
	clock *storeclock.Clock
	skew  prometheus.Gauge
	log   *zap.Logger
	now   func() time.Time

	state clockState
	said  time.Time // when that was logged last
}

// clockState is what is to be said of the clocks.
type clockState int

const (
	clockInStep clockState = iota
	clockNoticed
	clockApart
	clockUnknown // the store tells no time
)

// measure measures once. The error is that of storeclock.Clock.Measure, nil for
// a store that tells no time.
func (w *clockWatch) measure(ctx context.Context) error {
	if !w.clock.Timed() {
		return nil
	}
	err := w.clock.Measure(ctx)
	if err != nil && !errors.Is(err, store.ErrNoTime) {
		return err
	}
	skew, known := w.clock.Skew()
	state, apart := clockInStep, w.clock.Err()
	switch {
	case !known:
		state = clockUnknown
	case apart != nil:
		state = clockApart
	case skew.Abs() > storeclock.NoticeSkew:
		state = clockNoticed
	}
	value := skew.Seconds()
	if !known {
		value = math.NaN()
	}
	w.skew.Set(value)
	before, now := w.state, w.now()
	since := now.Sub(w.said)
	if state == before && (state == clockInStep || state == clockUnknown || 0 <= since && since < clockRepeat) {
		return nil
	}
	w.state, w.said = state, now
	ahead := zap.Float64("seconds_ahead", math.Round(skew.Seconds()*10)/10)
	switch state {
	case clockApart:
		w.log.Error("this node's clock is too far from that of the store: it answers 503, and its gates are closed, until the clocks are set", ahead, zap.Error(apart))
	case clockNoticed:
		w.log.Warn("this node's clock differs from that of the store: have both set by NTP", ahead,
			zap.Duration("allowed", storeclock.MaxSkew))
	case clockUnknown:
		w.log.Warn("the store tells no time: the clocks of all nodes have to be kept within seconds of each other, and nothing here notices when they are not", zap.Error(err))
	case clockInStep:
		w.log.Info("this node's clock agrees with that of the store again", ahead)
	}
	return nil
}

// run measures until ctx ends.
func (w *clockWatch) run(ctx context.Context) {
	if !w.clock.Timed() {
		return
	}
	ticker := time.NewTicker(mfa.KeyPoll)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			// Where the store does not answer, requests say so.
			_ = w.measure(ctx)
		}
	}
}
