package caddymodule

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/caddymfa/caddy-mfa/mfa/panics"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// Times between two attempts to open a store that is out of reach.
const (
	firstRetry = time.Second
	lastRetry  = 15 * time.Second
)

// mayAwaitStore reports whether the app may start without its store. A
// configuration that is to replace one that serves is refused instead: the
// old one goes on, with what its gates remember, and a wrong address is found
// out.
func (a *App) mayAwaitStore() bool {
	if _, remote := a.engine.(Remote); !remote {
		return false
	}
	active := activeApp()
	return active == nil || active.serving() == nil
}

// awaitStore tries to open the store until it is there. What it returns ends
// that, and releases what was acquired.
func (a *App) awaitStore() (release func()) {
	ctx, cancel := context.WithCancel(a.ctx)
	done := make(chan struct{})
	var acquired func()
	panics.Go(panics.StoreOpen, func() {
		defer close(done)
		for retry := firstRetry; ; retry = min(2*retry, lastRetry) {
			select {
			case <-ctx.Done():
				return
			case <-time.After(retry):
			}
			err := panics.Try(panics.StoreOpen, func() (err error) {
				acquired, err = a.serve(ctx)
				return err
			})
			if err == nil {
				a.log.Info("the store is there: requests are served")
				return
			}
			if ctx.Err() != nil {
				return
			}
			if errors.Is(err, store.ErrUnavailable) {
				a.log.Warn("the store cannot be reached yet: requests are refused", zap.Error(err))
			} else {
				a.log.Error("the store cannot be used: requests are refused until this is mended", zap.Error(err))
			}
		}
	})
	return func() {
		cancel()
		<-done
		if acquired != nil {
			acquired()
		}
	}
}
