// Package caddymodule makes caddy-mfa a Caddy plugin: the app "mfa", which
// holds the configuration and the open store, the handler "mfa", which
// serves the product's routes and passes everything else on, the handler
// "mfa_require", which guards routes, the handler "mfa_demo", which is a
// backend to try them with, their Caddyfile syntax, the admin API and the
// "caddy mfa" command. What they do is decided in the packages below mfa/,
// which know nothing of Caddy.
package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddymfa/caddy-mfa/caddymodule/internal/option"
	"github.com/caddymfa/caddy-mfa/caddymodule/internal/routecheck"
	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/api"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/gate"
	"github.com/caddymfa/caddy-mfa/mfa/legible"
	"github.com/caddymfa/caddy-mfa/mfa/loglimit"
	"github.com/caddymfa/caddy-mfa/mfa/panics"
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

	// StepUp says which second factor a person must have shown, within 15
	// minutes, to change their own factors and backup codes, or to act on
	// others: "strongest", one at the level of the strongest factor that they
	// have in use, or "any". Default: strongest.
	StepUp mfa.StepUp `json:"step_up,omitempty"`

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

	// Upgrades are protocols, beside websocket, to which clients may have a
	// backend switch by the Upgrade header, such as tcp or SPDY/3.1. No gate sees
	// what is sent after the switch: a backend that reads requests there serves
	// them to anybody, with any X-MFA-*. Protocols that carry HTTP, such as h2c,
	// are refused. Default: none.
	Upgrades []string `json:"upgrades,omitempty"`

	// Prefix is the path under which the routes stand, in lower case.
	// Default: /mfa.
	Prefix string `json:"prefix,omitempty"`

	ctx      caddy.Context
	log      *zap.Logger
	limiter  *loglimit.Limiter
	limited  *zap.Logger // log, for lines that strangers can cause
	engine   Store
	kinds    []factor.Kind
	routes   *api.Routes
	upgrades gate.Upgrades
	site     *web.Site

	served  bool     // some site has the handler
	demo    bool     // some site is the demo
	keep    []string // claims that gates ask for
	report  *routecheck.Report
	gates   map[*caddyhttp.Server][]*Gate
	metrics *metrics
	started chan struct{} // closed when Start is done

	// instance is what serves requests: nil where Start failed, while it
	// awaits its store, and from Cleanup on.
	instance atomic.Pointer[instance]

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
	panics.LogTo(func() *zap.Logger { return caddy.Log().Named("mfa") })
	a.ctx = ctx
	a.log = legible.Log(ctx.Logger())
	a.limiter = loglimit.New(nil)
	a.limited = a.limiter.Wrap(a.log)
	a.started = make(chan struct{})
	if err := a.expandPlaceholders(); err != nil {
		return err
	}
	if err := option.Check(a); err != nil {
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
	if a.upgrades, err = gate.NewUpgrades(a.Upgrades); err != nil {
		return fmt.Errorf("upgrades: %w", err)
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
	if _, err = a.Bearer.verifier(a.devIssuerFile(), nil, a.log); err != nil {
		return fmt.Errorf("bearer: %w", err)
	}
	if a.BackupCodes != 0 && (a.BackupCodes < mfa.MinBackupCodes || a.BackupCodes > mfa.MaxBackupCodes) {
		return fmt.Errorf("backup_codes: must be from %d to %d, not %d", mfa.MinBackupCodes, mfa.MaxBackupCodes, a.BackupCodes)
	}
	if err := a.checkLimits(); err != nil {
		return err
	}
	// Where the admin endpoint is off, a site may have the handler metrics.
	a.metrics = processMetrics
	if err := a.metrics.register(ctx.GetMetricsRegistry()); err != nil {
		return err
	}
	if a.EnrollmentMaxAuthAge < 0 {
		return errors.New("enrollment_max_auth_age: must not be negative")
	}
	if err := a.StepUp.Check(); err != nil {
		return fmt.Errorf("step_up: %w", err)
	}
	if a.kinds, err = a.provisionKinds(); err != nil {
		return err
	}
	if err := a.provisionPage(); err != nil {
		return err
	}
	a.adviseAudience()
	return nil
}

// devIssuerFile is where `bearer dev` keeps its key pair: beside the
// product's own keys.
func (a *App) devIssuerFile() string {
	return devIssuerFile(a.KeyFile)
}

func devIssuerFile(keyFile string) string {
	return filepath.Join(filepath.Dir(keyFile), "dev-issuer.json")
}

// Interface guards
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
