// Package postgres is the glue of the store postgres, a module for Caddy that
// is built in on demand:
//
//	xcaddy build --with github.com/caddymfa/caddy-mfa/caddymodule --with github.com/caddymfa/caddy-mfa/caddymodule/postgres
package postgres

import (
	"context"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddymfa/caddy-mfa/caddymodule"
	"github.com/caddymfa/caddy-mfa/caddymodule/internal/option"
	"github.com/caddymfa/caddy-mfa/mfa/store"
	"github.com/caddymfa/caddy-mfa/mfa/store/postgres"
)

func init() {
	caddy.RegisterModule(Store{})
}

// Store keeps the state of any number of nodes in a PostgreSQL database.
type Store struct {
	// DSN tells where the database is and who asks, as a URL
	// (postgres://user:password@host:port/database?sslmode=verify-full) or as
	// key=value pairs of libpq. It holds a password: take it from
	// {env.MFA_DSN} or {file./path}. Of several hosts the primary is used. It
	// may lead to PgBouncer that pools sessions or transactions. Required.
	DSN string `json:"dsn,omitempty"`

	// Listen is the DSN of a direct connection to the same database, past any
	// pooler, over which nodes tell each other at once that something has
	// changed. Default: none; each node looks now and again.
	Listen string `json:"listen,omitempty"`

	// MaxConnections is how many connections this node holds at most, beside
	// that of listen. Default: pool_max_conns of the DSN, else 16.
	MaxConnections int `json:"max_connections,omitempty"`

	// Timeout is how long the database may take to answer, and to be
	// connected to, before requests are refused with 503. Default: 5s.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	caddymodule.Near
}

// CaddyModule returns the Caddy module information.
func (Store) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "mfa.stores.postgres",
		New: func() caddy.Module { return new(Store) },
	}
}

// Provision checks the options. It connects to nothing.
func (s *Store) Provision(caddy.Context) error {
	texts := map[string]*string{"dsn": &s.DSN}
	if s.Listen != "" {
		texts["listen"] = &s.Listen
	}
	if err := option.ExpandAll(texts); err != nil {
		return err
	}
	if err := s.CheckNear(); err != nil {
		return err
	}
	return s.config().Check()
}

func (s *Store) config() postgres.Config {
	return postgres.Config{
		DSN: s.DSN, Listen: s.Listen, MaxConnections: s.MaxConnections, Timeout: time.Duration(s.Timeout),
	}
}

// PoolKey implements caddymodule.Store. It tells no password.
func (s *Store) PoolKey() string { return "postgres:" + s.config().Fingerprint() }

// Open implements caddymodule.Store.
func (s *Store) Open(ctx context.Context) (store.Store, error) {
	config := s.config()
	config.Report = caddymodule.ReportStore
	return postgres.Open(ctx, config)
}

// UnmarshalCaddyfile reads
//
//	postgres {
//		dsn <dsn>
//		listen <dsn>
//		max_connections <number>
//		timeout <duration>
//		fresh <duration>
//		stale <duration>
//	}
func (s *Store) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the engine's name
	if err := option.NoValue(d); err != nil {
		return err
	}
	return option.Block(d, "store postgres", s.WithNear(map[string]option.Parser{
		"dsn":             option.Text(&s.DSN),
		"listen":          option.Text(&s.Listen),
		"max_connections": option.Number(&s.MaxConnections, 1),
		"timeout":         option.PositiveDuration(&s.Timeout),
	}))
}

// Interface guards
var (
	_ caddymodule.Remote    = (*Store)(nil)
	_ caddy.Provisioner     = (*Store)(nil)
	_ caddyfile.Unmarshaler = (*Store)(nil)
)
