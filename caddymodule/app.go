// Package caddymodule makes caddy-mfa a Caddy plugin: the app "mfa", which
// holds the configuration and the open store, the handler "mfa", which
// serves the product's routes and passes everything else on, the handler
// "mfa_require", which guards routes, the handler "mfa_demo", which is a
// backend to try them with, their Caddyfile syntax, the admin API and the
// "caddy mfa" command. What they do is decided in the packages below mfa/,
// which know nothing of Caddy.
package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/api"
	"github.com/caddymfa/caddy-mfa/mfa/bearer"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/store"
	"github.com/caddymfa/caddy-mfa/mfa/web"
)

func init() {
	caddy.RegisterModule(new(App))
}

const (
	defaultKeyFile = "./data/mfa.key"
	defaultPrefix  = "/mfa"
)

// App adds multi-factor authentication to the sites that have the `mfa`
// handler. All of them share its users, keys and settings.
type App struct {
	// Bearer says how the caller's access token is checked. Required.
	Bearer *Bearer `json:"bearer,omitempty"`

	// StoreRaw is the engine that keeps the users' factors: a module of the
	// namespace `mfa.stores`. Default: bolt, at ./data/mfa.db.
	StoreRaw json.RawMessage `json:"store,omitempty" caddy:"namespace=mfa.stores inline_key=engine"`

	// KeyFile is the path of the keys that seal what is stored. It is made, with
	// mode 0600, for a store that is new. Every node needs the same one. Back
	// it up apart from the store: neither is of use without the other.
	// Default: ./data/mfa.key.
	KeyFile string `json:"key_file,omitempty"`

	// PublicURLs are the origins at which people reach the site, such as
	// https://example.com. Links in mails begin with the first. Required.
	PublicURLs []string `json:"public_urls,omitempty"`

	// Issuer is the name that authenticator apps, passkey dialogues and
	// mails show, 64 bytes at most. Default: the host of the first public URL.
	Issuer string `json:"issuer,omitempty"`

	// MagicLink offers links by e-mail. Default: not offered.
	MagicLink *MagicLink `json:"magic_link,omitempty"`

	// Passkey sets the relying party. Default: derived from the public
	// URLs; passkeys are not offered when these do not allow them.
	Passkey *Passkey `json:"passkey,omitempty"`

	// TOTP sets what authenticator apps are granted.
	TOTP *TOTP `json:"totp,omitempty"`

	// BackupCodes is the number of codes in a set, 1 to 50. Default: 10.
	BackupCodes int `json:"backup_codes,omitempty"`

	// CORSOrigins are other origins whose pages may call the API, such as
	// https://app.example.com. Default: none.
	CORSOrigins []string `json:"cors_origins,omitempty"`

	// EnrollmentMaxAuthAge is how long ago a person may have signed in to
	// enrol a first factor, by the access token's auth_time, else its iat.
	// Default: 0, any time.
	EnrollmentMaxAuthAge caddy.Duration `json:"enrollment_max_auth_age,omitempty"`

	// Lockout sets how wrong codes are answered.
	Lockout *Lockout `json:"lockout,omitempty"`

	// TokenLifetime is how long an assertion is good. Default: 1h.
	TokenLifetime caddy.Duration `json:"token_lifetime,omitempty"`

	// SessionLifetime is how long a person can go on refreshing it without
	// showing a factor again. Default: 12h, or token_lifetime where that is
	// longer.
	SessionLifetime caddy.Duration `json:"session_lifetime,omitempty"`

	// AdminRoles are the roles, by the roles claim, whose holders act on the
	// other people of their organization. Default: OWNER, ADMINISTRATOR.
	AdminRoles []string `json:"admin_roles,omitempty"`

	// Page sets what people meet in a browser.
	Page *Page `json:"page,omitempty"`

	// Prefix is the path under which the routes stand, in lower case.
	// Default: /mfa.
	Prefix string `json:"prefix,omitempty"`

	ctx      caddy.Context
	log      *zap.Logger
	engine   Store
	verifier *bearer.Verifier
	kinds    []factor.Kind
	routes   *api.Routes
	site     *web.Site

	served  bool     // some site has the handler
	demo    bool     // some site is the demo
	keep    []string // claims that gates ask for
	metrics *metrics
	service *mfa.Service                // set before handler is
	keys    *mfa.KeyFile                // set before handler is
	store   store.Store                 // the open one, set before handler is
	handler atomic.Pointer[api.Handler] // nil where Start failed, and while it awaits its store
	started chan struct{}               // closed when Start is done

	release func() // releases what Start acquired; nil when there is nothing
}

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "mfa",
		New: func() caddy.Module { return new(App) },
	}
}

// Provision checks the configuration. It opens no store, makes no file and
// asks no other host, so that `caddy validate` can run beside a server.
func (a *App) Provision(ctx caddy.Context) error {
	a.ctx = ctx
	a.log = ctx.Logger()
	a.started = make(chan struct{})
	if err := a.expandPlaceholders(); err != nil {
		return err
	}
	if a.KeyFile == "" {
		a.KeyFile = defaultKeyFile
	}
	if a.Prefix == "" {
		a.Prefix = defaultPrefix
	}
	var err error
	if a.routes, err = api.NewRoutes(a.Prefix); err != nil {
		return fmt.Errorf("prefix: %q: %w", a.Prefix, err)
	}
	if err := a.provisionURLs(); err != nil {
		return err
	}
	if err := a.provisionStore(ctx); err != nil {
		return err
	}
	if a.Bearer == nil {
		return errors.New("bearer: missing: say how access tokens are checked, for instance with bearer { jwks_url … }")
	}
	if a.verifier, err = a.Bearer.verifier(a.devIssuerFile(), nil, a.log); err != nil {
		return fmt.Errorf("bearer: %w", err)
	}
	if a.BackupCodes != 0 && (a.BackupCodes < mfa.MinBackupCodes || a.BackupCodes > mfa.MaxBackupCodes) {
		return fmt.Errorf("backup_codes: must be from %d to %d, not %d", mfa.MinBackupCodes, mfa.MaxBackupCodes, a.BackupCodes)
	}
	if err := a.checkLimits(); err != nil {
		return err
	}
	if a.metrics, err = newMetrics(ctx.GetMetricsRegistry()); err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	if a.EnrollmentMaxAuthAge < 0 {
		return errors.New("enrollment_max_auth_age: must not be negative")
	}
	if a.kinds, err = a.provisionKinds(); err != nil {
		return err
	}
	return a.provisionPage()
}

// devIssuerFile is where `bearer dev` keeps its key pair: beside the
// product's own keys.
func (a *App) devIssuerFile() string {
	return devIssuerFile(a.KeyFile)
}

func devIssuerFile(keyFile string) string {
	return filepath.Join(filepath.Dir(keyFile), "dev-issuer.json")
}

// Start opens the store and begins to serve requests, which wait for it.
// Where the store is on another machine and out of reach, requests are
// refused until it is there: a node that is started anew during an outage
// comes back with the store.
func (a *App) Start() error {
	defer close(a.started)
	if a.Bearer.Dev {
		if err := a.startDevIssuer(); err != nil {
			return err
		}
	}
	release, err := a.serve(a.ctx)
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
	st, closeStore, err := openStore(ctx, a.engine)
	if err != nil {
		return nil, fmt.Errorf("opening store: %w", err)
	}
	defer func() {
		if err != nil {
			closeStore()
		}
	}()
	keys, made, err := mfa.LoadKeys(ctx, st, a.KeyFile)
	if err != nil {
		return nil, keyError(err)
	}
	a.warn(made)
	journal := newJournal(a.ctx, a.log, a.metrics)
	notifier, err := a.notifier()
	if err != nil {
		return nil, fmt.Errorf("magic_link: %w", err)
	}
	service, err := mfa.New(a.serviceConfig(a.metrics.measure(st), keys, journal, notifier))
	if err != nil {
		return nil, fmt.Errorf("making service: %w", err)
	}
	keyFile, err := a.newKeyFile(st, keys, journal)
	if err != nil {
		return nil, fmt.Errorf("key_file: %w", err)
	}
	// Gates, which have been provisioned by now, may want further claims.
	if a.verifier, err = a.Bearer.verifier(a.devIssuerFile(), a.keep, a.log); err != nil {
		return nil, fmt.Errorf("bearer: %w", err)
	}
	handler, err := api.New(api.Config{
		Service:    service,
		Verifier:   bearer.NewCached(a.verifier),
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
		Log:        a.log,
	})
	if err != nil {
		return nil, fmt.Errorf("making API: %w", err)
	}
	a.service, a.store, a.keys = service, st, keyFile
	a.handler.Store(handler)

	ctx, cancel := context.WithCancel(a.ctx)
	var background sync.WaitGroup
	background.Go(func() { a.sweep(ctx) })
	background.Go(func() { service.Run(ctx) })
	background.Go(func() { a.followKeys(ctx, keyFile) })
	background.Go(func() { a.verifier.Prefetch(ctx) })
	journal.emit(ctx)
	if notifier != nil {
		background.Go(func() { notifier.run(ctx) })
	}
	if a.Bearer.Dev {
		background.Go(func() { a.announce(ctx) })
	}
	return func() {
		cancel()
		background.Wait()
		closeStore()
	}, nil
}

// Stop leaves the store open: the servers may still be finishing requests.
func (a *App) Stop() error { return nil }

// Cleanup releases what Start acquired. Caddy calls it after all apps have
// stopped, and also when Provision or Start failed and nothing, or not
// everything, was acquired.
func (a *App) Cleanup() error {
	if a.release != nil {
		a.release()
		a.release = nil
	}
	return nil
}

// Records that say nothing any more do no harm but for their room. They
// are looked for soon after a start, also where reloads come often, and
// then now and again.
const (
	firstSweep    = time.Minute
	sweepInterval = time.Hour
)

func (a *App) sweep(ctx context.Context) {
	timer := time.NewTimer(firstSweep)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			err := a.service.Sweep(ctx)
			if err == nil {
				_, err = a.keys.ResealAll(ctx) // where a rotation was broken off
			}
			if err != nil && ctx.Err() == nil {
				a.log.Warn("sweeping store", zap.Error(err))
			}
			timer.Reset(sweepInterval)
		}
	}
}

// warn logs what works and is probably not meant.
func (a *App) warn(made mfa.Made) {
	switch {
	case made.Keys:
		a.log.Info("made key file: back it up, the store cannot be read without it", zap.String("key_file", a.KeyFile))
	case made.Store:
		a.log.Warn("the store is new though the key file is not: nobody has a factor; "+
			"if there should be some, stop and put the store back before anyone enrols again",
			zap.String("key_file", a.KeyFile))
	}
	if open, err := readableByOthers(a.KeyFile); err == nil && open {
		a.log.Warn("others may read the key file: make it 0600", zap.String("key_file", a.KeyFile))
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

// Interface guards
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
