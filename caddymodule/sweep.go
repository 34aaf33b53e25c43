package caddymodule

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/caddymfa/caddy-mfa/mfa"
)

// Records that say nothing any more do no harm but for their room. They
// are looked for soon after a start, also where reloads come often, and
// then now and again.
const (
	firstSweep    = time.Minute
	sweepInterval = time.Hour
)

// sweep looks for them, by the service of the configuration in force: that a
// configuration goes does not put it off.
func (s *state) sweep(ctx context.Context) {
	timer := time.NewTimer(firstSweep)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			err := s.sweepOnce(ctx)
			if err == nil {
				_, err = s.keyFile.ResealAll(ctx) // where a rotation was broken off
			}
			if err != nil && ctx.Err() == nil {
				activeLog.Warn("sweeping store", zap.Error(err))
			}
			timer.Reset(sweepInterval)
		}
	}
}

// sweepOnce does so once, unless another store serves.
func (s *state) sweepOnce(ctx context.Context) error {
	app := activeApp()
	if app == nil {
		return nil
	}
	running := app.serving()
	if running == nil || running.state != s {
		return nil
	}
	if err := running.service.Sweep(ctx); err != nil {
		return err
	}
	// A node of an older version may have made some meanwhile.
	return joinAddressSubjects(ctx, running.service, activeLog)
}

// joinAddressSubjects has records of people whose subject is an e-mail address
// where they are looked for, whatever case it was written in.
func joinAddressSubjects(ctx context.Context, service *mfa.Service, log *zap.Logger) error {
	joined, err := service.JoinAddressSubjects(ctx)
	for _, j := range joined {
		if j.Dropped {
			log.Warn("somebody had two records, under an e-mail address in two cases: the one in lower case is kept, the factors of the other are gone",
				zap.String("issuer", j.Issuer), zap.String("subject", j.Subject))
		}
	}
	if len(joined) > 0 {
		log.Info("records of e-mail addresses with capital letters were moved to lower case", zap.Int("records", len(joined)))
	}
	return err
}
