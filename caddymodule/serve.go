package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"

	"go.uber.org/zap"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/api"
	"github.com/caddymfa/caddy-mfa/mfa/panics"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// Start opens the store and begins to serve requests, which wait for it.
// Where the store is on another machine and out of reach, requests are
// refused until it is there: a node that is started anew during an outage
// comes back with the store.
func (a *App) Start() error {
	defer close(a.started)
	a.metrics.used.Store(true)
	if a.Bearer.Dev {
		if err := a.startDevIssuer(); err != nil {
			return err
		}
	}
	var release func()
	err := panics.Try(panics.Start, func() (err error) {
		release, err = a.serve(a.ctx)
		return err
	})
	if errors.Is(err, store.ErrUnavailable) && a.mayAwaitStore() {
		a.log.Error("the store cannot be reached: requests are refused until it can", zap.Error(err))
		a.release = a.awaitStore()
		return nil
	}
	a.release = release
	return err
}

// serve opens the store and sets what serves requests. The caller must call
// release, once, when there was no error.
func (a *App) serve(ctx context.Context) (release func(), err error) {
	state, stateIsNew, closeState, err := a.openState(ctx)
	if err != nil {
		return nil, err
	}
	releases := []func(){closeState}
	served := false
	defer func() {
		if !served { // also after a panic
			releaseAll(releases)
		}
	}()
	a.warn()
	journal := newJournal(a.ctx, a.log, a.limited, a.metrics)
	notifier, err := a.notifier()
	if err != nil {
		return nil, fmt.Errorf("magic_link: %w", err)
	}
	// Gates, which have been provisioned by now, may want further claims.
	verifier, verifierIsNew, closeVerifier, err := a.openVerifier()
	if err != nil {
		return nil, fmt.Errorf("bearer: %w", err)
	}
	releases = append(releases, closeVerifier)
	service, err := mfa.New(a.serviceConfig(state, verifier, journal, notifier))
	if err != nil {
		return nil, fmt.Errorf("making service: %w", err)
	}
	// It goes through all records, which a reload need not do again.
	if verifier.AddressSubjects() && (stateIsNew || verifierIsNew) {
		if err := joinAddressSubjects(ctx, service, a.log); err != nil {
			return nil, fmt.Errorf("store: %w", err)
		}
	}
	handler, err := api.New(api.Config{
		Service:    service,
		Verifier:   verifier,
		Assertions: state.assertions,
		Cookie:     a.Bearer.Cookie,
		PublicURLs: a.PublicURLs,
		Origins:    a.CORSOrigins,
		Site:       a.site,
		MagicLink:  a.MagicLink != nil,
		Page:       a.Page == nil || !a.Page.Off,
		Prefix:     a.Prefix,
		AdminRoles: a.AdminRoles,
		LoginURL:   a.loginURL(),
		ClientIP:   clientIP,
		Log:        a.limited,
		Now:        state.clock.Now,
	})
	if err != nil {
		return nil, fmt.Errorf("making API: %w", err)
	}
	a.instance.Store(&instance{app: a, handler: handler, service: service, journal: journal, state: state})

	ctx, cancel := context.WithCancel(a.ctx)
	var background panics.Group
	background.Keep(ctx, panics.Log, a.limiter.Run)
	if a.Bearer.Dev {
		background.Go(panics.Start, func() { a.announce(ctx) })
	}
	releases = append(releases, func() {
		cancel()
		background.Wait()
	})
	served = true
	return func() { releaseAll(releases) }, nil
}

// releaseAll calls releases, the last first.
func releaseAll(releases []func()) {
	for _, release := range slices.Backward(releases) {
		release()
	}
}

// Stop leaves the store open: the servers may still be finishing requests.
func (a *App) Stop() error { return nil }

// Cleanup releases what Start acquired. Caddy calls it after all apps have
// stopped, and also when Provision or Start failed and nothing, or not
// everything, was acquired.
func (a *App) Cleanup() error {
	release := a.release
	a.release = nil
	err := panics.Try(panics.Stop, func() error {
		a.instance.Store(nil)
		if release != nil {
			release()
		}
		return nil
	})
	// Connections of old servers may hold the app for as long as they last: it
	// must hold nothing of weight. Waiting for a store may have ended in between.
	a.instance.Store(nil)
	a.site = nil
	return err
}

// warnOfNew logs what was made because it was not there.
func (a *App) warnOfNew(made mfa.Made) {
	switch {
	case made.Keys:
		a.log.Info("made key file: back it up, the store cannot be read without it", zap.String("key_file", a.KeyFile))
	case made.Store:
		a.log.Warn("the store is new though the key file is not: nobody has a factor; "+
			"if there should be some, stop and put the store back before anyone enrols again",
			zap.String("key_file", a.KeyFile))
	}
}

// warn logs what works and is probably not meant.
func (a *App) warn() {
	if open, err := readableByOthers(a.KeyFile); err == nil && open {
		a.log.Warn("others may read the key file: make it 0600", zap.String("key_file", a.KeyFile))
	}
	if len(a.upgrades) > 0 {
		a.log.Warn("clients may have backends switch to other protocols: no gate sees what is sent after the switch, so make sure that no backend takes requests by them",
			zap.Strings("upgrades", a.upgrades))
	}
	if !a.served {
		a.log.Warn("no site has the directive mfa: its routes are served nowhere")
	}
}

// readableByOthers reports whether the file at path is readable beyond its
// owner and group. A group may be how a secret is handed to a service.
func readableByOthers(path string) (bool, error) {
	info, err := os.Stat(path)
	if err != nil {
		return false, err
	}
	return runtime.GOOS != "windows" && info.Mode().Perm()&0o004 != 0, nil
}
