package caddymodule

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddymfa/caddy-mfa/caddymodule/internal/option"
	"github.com/caddymfa/caddy-mfa/mfa/store"
	"github.com/caddymfa/caddy-mfa/mfa/store/bolt"
)

func init() {
	caddy.RegisterModule(BoltStore{})
}

const defaultBoltPath = "./data/mfa.db"

// BoltStore keeps the state in one embedded bbolt file, for one node.
type BoltStore struct {
	// Path is where the file is, or will be made with mode 0600. Default:
	// ./data/mfa.db.
	Path string `json:"path,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (BoltStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "mfa.stores.bolt",
		New: func() caddy.Module { return new(BoltStore) },
	}
}

// Provision settles the path: the same file has the same key in the pool,
// however it is written.
func (s *BoltStore) Provision(caddy.Context) error {
	if s.Path == "" {
		s.Path = defaultBoltPath
	}
	if err := option.Expand("path", &s.Path); err != nil {
		return err
	}
	path, err := filepath.Abs(s.Path)
	if err != nil {
		return fmt.Errorf("path: %w", err)
	}
	s.Path = path
	return nil
}

// PoolKey implements Store.
func (s *BoltStore) PoolKey() string { return "bolt:" + s.Path }

// Open implements Store.
func (s *BoltStore) Open(context.Context) (store.Store, error) {
	return bolt.Open(s.Path)
}

// UnmarshalCaddyfile reads
//
//	bolt {
//		path <file>
//	}
func (s *BoltStore) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the engine's name
	if err := option.NoValue(d); err != nil {
		return err
	}
	return option.Block(d, "store bolt", map[string]option.Parser{
		"path": option.Text(&s.Path),
	})
}

// Interface guards
var (
	_ Store                 = (*BoltStore)(nil)
	_ caddy.Provisioner     = (*BoltStore)(nil)
	_ caddyfile.Unmarshaler = (*BoltStore)(nil)
)
