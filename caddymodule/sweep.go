package caddymodule

import (
	"context"
	"time"

	"go.uber.org/zap"
)

// Records that say nothing any more do no harm but for their room. They
// are looked for soon after a start, also where reloads come often, and
// then now and again.
const (
	firstSweep    = time.Minute
	sweepInterval = time.Hour
)

func (in *instance) sweep(ctx context.Context) {
	timer := time.NewTimer(firstSweep)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			err := in.service.Sweep(ctx)
			if err == nil {
				_, err = in.keys.ResealAll(ctx) // where a rotation was broken off
			}
			if err != nil && ctx.Err() == nil {
				in.app.log.Warn("sweeping store", zap.Error(err))
			}
			timer.Reset(sweepInterval)
		}
	}
}
