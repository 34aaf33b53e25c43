package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddymfa/caddy-mfa/caddymodule/internal/option"
	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/bearer"
)

// Lockout sets how wrong codes are answered.
type Lockout struct {
	// Attempts is how many wrong codes lock code entry, 1 to 100. Default: 5.
	Attempts int `json:"attempts,omitempty"`

	// Duration is how long the first lockout lasts, 24h at most; each
	// further one lasts twice as long, up to 24h. Default: 15m.
	Duration caddy.Duration `json:"duration,omitempty"`
}

// parse reads
//
//	lockout {
//		attempts <number>
//		duration <duration>
//	}
func (l *Lockout) parse(d *caddyfile.Dispenser) error {
	if err := option.NoValue(d); err != nil {
		return err
	}
	return option.Block(d, "lockout", map[string]option.Parser{
		"attempts": option.Number(&l.Attempts, 1),
		"duration": option.PositiveDuration(&l.Duration),
	})
}

// checkLimits checks the options of this file.
func (a *App) checkLimits() error {
	if _, _, err := mfa.Lifetimes(time.Duration(a.TokenLifetime), time.Duration(a.SessionLifetime)); err != nil {
		return fmt.Errorf("token_lifetime, session_lifetime: %w", err)
	}
	if err := a.lockout().Check(); err != nil {
		return fmt.Errorf("lockout: %w", err)
	}
	if slices.Contains(a.AdminRoles, "") {
		return errors.New("admin_roles: a role is empty")
	}
	return nil
}

func (a *App) lockout() mfa.Lockout {
	if a.Lockout == nil {
		return mfa.Lockout{}
	}
	return mfa.Lockout{Attempts: a.Lockout.Attempts, Duration: time.Duration(a.Lockout.Duration)}
}

// serviceConfig puts together what the service is made of.
func (a *App) serviceConfig(state *state, verifier *bearer.Cached, journal mfa.Journal, notices *notices) mfa.Config {
	config := mfa.Config{
		Store:                state.measured,
		Near:                 state.near,
		Keys:                 state.keys,
		Clock:                state.clock,
		Kinds:                a.kinds,
		BackupCodes:          a.BackupCodes,
		EnrollmentMaxAuthAge: time.Duration(a.EnrollmentMaxAuthAge),
		StepUp:               a.StepUp,
		AssertionIssuer:      a.PublicURLs[0],
		Audience:             a.Bearer.Audience,
		TokenLifetime:        time.Duration(a.TokenLifetime),
		SessionLifetime:      time.Duration(a.SessionLifetime),
		AdminRoles:           a.AdminRoles,
		Lockout:              a.lockout(),
		Journal:              journal,
		AddressSubjects:      func(string) bool { return verifier.AddressSubjects() },
	}
	if notices != nil {
		config.Notifier = notices
	}
	return config
}

// keepClaim asks for a claim of access tokens, for a gate to look at.
func (a *App) keepClaim(name string) {
	if !slices.Contains(a.keep, name) {
		a.keep = append(a.keep, name)
	}
}

// clientIP is the client's address as Caddy trusts it (trusted_proxies).
func clientIP(r *http.Request) string {
	ip, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	return ip
}
