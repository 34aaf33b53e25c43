// Package etcd makes etcd a store of caddy-mfa, for any number of nodes. It
// is built in only on demand:
//
//	xcaddy build --with github.com/caddymfa/caddy-mfa/caddymodule --with github.com/caddymfa/caddy-mfa/caddymodule/etcd
package etcd

import (
	"context"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddymfa/caddy-mfa/caddymodule"
	"github.com/caddymfa/caddy-mfa/caddymodule/internal/option"
	"github.com/caddymfa/caddy-mfa/mfa/store"
	"github.com/caddymfa/caddy-mfa/mfa/store/etcd"
)

func init() {
	caddy.RegisterModule(Store{})
}

// Store keeps the state in an etcd cluster, 3.4 or later, that any number of
// nodes share.
type Store struct {
	// Endpoints are the addresses of the cluster's members for clients:
	// https://host:port, http://host:port, or host:port, which is https
	// where tls is set. Required.
	Endpoints []string `json:"endpoints,omitempty"`

	// Prefix is what the keys in the cluster begin with; a slash comes
	// behind it. Every node needs the same one. Default: caddy-mfa.
	Prefix string `json:"prefix,omitempty"`

	// Username is a user of etcd's own authentication, who may read and
	// write the keys that begin with the prefix and a slash. Default: none.
	Username string `json:"username,omitempty"`

	// Password is the user's. Default: none.
	Password string `json:"password,omitempty"`

	// TLS encrypts the connections. Default: as the endpoints say, with the
	// certificate authorities of the system.
	TLS *TLS `json:"tls,omitempty"`

	// Timeout is how long the cluster may take to answer before it counts
	// as unavailable. Default: 5s.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	caddymodule.Near
}

// TLS names the files, in PEM format, of encrypted connections.
type TLS struct {
	// CA is the path of the certificate authorities that the members'
	// certificates are checked against. Default: those of the system.
	CA string `json:"ca,omitempty"`

	// Cert is the path of the certificate that this node shows. It is read
	// anew for each connection. Default: none is shown.
	Cert string `json:"cert,omitempty"`

	// Key is the path of the certificate's private key. Default: none.
	Key string `json:"key,omitempty"`

	// ServerName is what the members' certificates must name. Default: the
	// host of each endpoint.
	ServerName string `json:"server_name,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (Store) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "mfa.stores.etcd",
		New: func() caddy.Module { return new(Store) },
	}
}

// Provision checks the options. It connects to nothing and reads no file but
// those of placeholders.
func (s *Store) Provision(caddy.Context) error {
	texts := map[string]*string{
		"prefix":   &s.Prefix,
		"username": &s.Username,
		"password": &s.Password,
	}
	for i := range s.Endpoints {
		texts[fmt.Sprintf("endpoints %d", i+1)] = &s.Endpoints[i]
	}
	if t := s.TLS; t != nil {
		texts["tls: ca"] = &t.CA
		texts["tls: cert"] = &t.Cert
		texts["tls: key"] = &t.Key
		texts["tls: server_name"] = &t.ServerName
	}
	if err := option.ExpandAll(texts); err != nil {
		return err
	}
	if err := s.CheckNear(); err != nil {
		return err
	}
	return s.config().Check()
}

func (s *Store) config() etcd.Config {
	c := etcd.Config{
		Endpoints: s.Endpoints,
		Prefix:    s.Prefix,
		Username:  s.Username,
		Password:  s.Password,
		Timeout:   time.Duration(s.Timeout),
		Report:    caddymodule.ReportStore,
	}
	if s.TLS != nil {
		c.TLS = &etcd.TLS{CA: s.TLS.CA, Cert: s.TLS.Cert, Key: s.TLS.Key, ServerName: s.TLS.ServerName}
	}
	return c
}

// PoolKey implements caddymodule.Store. It holds no secret.
func (s *Store) PoolKey() string { return "etcd:" + s.config().Fingerprint() }

// Open implements caddymodule.Store.
func (s *Store) Open(ctx context.Context) (store.Store, error) {
	return etcd.Open(ctx, s.config())
}

// UnmarshalCaddyfile reads
//
//	etcd {
//		endpoints <url...>
//		prefix <text>
//		username <name>
//		password <password>
//		tls {
//			ca <file>
//			cert <file>
//			key <file>
//			server_name <name>
//		}
//		timeout <duration>
//		fresh <duration>
//		stale <duration>
//	}
func (s *Store) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the engine's name
	if err := option.NoValue(d); err != nil {
		return err
	}
	return option.Block(d, "store etcd", s.WithNear(map[string]option.Parser{
		"endpoints": option.Texts(&s.Endpoints),
		"prefix":    option.Text(&s.Prefix),
		"username":  option.Text(&s.Username),
		"password":  option.Text(&s.Password),
		"tls": func(d *caddyfile.Dispenser) error {
			if err := option.NoValue(d); err != nil {
				return err
			}
			s.TLS = new(TLS)
			return option.Block(d, "tls", map[string]option.Parser{
				"ca":          option.Text(&s.TLS.CA),
				"cert":        option.Text(&s.TLS.Cert),
				"key":         option.Text(&s.TLS.Key),
				"server_name": option.Text(&s.TLS.ServerName),
			})
		},
		"timeout": option.PositiveDuration(&s.Timeout),
	}))
}

// Interface guards
var (
	_ caddymodule.Remote    = (*Store)(nil)
	_ caddy.Provisioner     = (*Store)(nil)
	_ caddyfile.Unmarshaler = (*Store)(nil)
)
