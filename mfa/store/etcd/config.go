package etcd

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"go.etcd.io/etcd/client/pkg/v3/transport"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// Defaults and bounds of a Config.
const (
	DefaultPrefix  = "caddy-mfa"
	DefaultTimeout = 5 * time.Second

	maxPrefix = 256 // bytes
)

// Config says where the cluster is and how to speak to it.
type Config struct {
	// Endpoints are the members' client addresses: https://host:port,
	// http://host:port, or host:port, which is https where TLS is set.
	// All of one kind. Required.
	Endpoints []string

	// Prefix is what the keys begin with, without the slash after it.
	// Default: caddy-mfa.
	Prefix string

	// Username and Password are those of a user of etcd's own
	// authentication, with the permission to read and write the keys that
	// begin with the prefix and a slash. Default: none.
	Username, Password string

	// TLS encrypts the connections. Default: as the endpoints say, with the
	// certificate authorities of the system.
	TLS *TLS

	// Timeout is how long one request to the cluster may take. Default: 5s.
	Timeout time.Duration

	// Report takes what an operator must know of the cluster; nil means nobody
	// does.
	Report store.Report
}

// TLS names files in PEM format.
type TLS struct {
	// CA holds the certificate authorities that the members are checked
	// against. Default: those of the system.
	CA string

	// Cert and Key are what this client shows. They are read again for
	// each connection, so that they can be renewed. Default: none.
	Cert, Key string

	// ServerName is what the members' certificates must name. Default: the
	// host of each endpoint.
	ServerName string
}

// Check returns an error that tells what is wrong with the configuration. It
// opens no file and no connection.
func (c Config) Check() error {
	if len(c.Endpoints) == 0 {
		return errors.New("endpoints: name the members of the cluster, for instance https://etcd-1.example.com:2379")
	}
	for _, endpoint := range c.Endpoints {
		secure, err := checkEndpoint(endpoint, c.TLS != nil)
		if err != nil {
			return fmt.Errorf("endpoints: %w", err)
		}
		if first, _ := checkEndpoint(c.Endpoints[0], c.TLS != nil); secure != first {
			return fmt.Errorf("endpoints: %s and %s: give all of them https, or all of them http", c.Endpoints[0], endpoint)
		}
		if !secure && c.TLS != nil {
			return fmt.Errorf("endpoints: %s is not encrypted, but tls is set: write https, or take tls out", endpoint)
		}
	}
	switch {
	case len(c.Prefix) > maxPrefix:
		return fmt.Errorf("prefix: %d bytes, at most %d are allowed", len(c.Prefix), maxPrefix)
	case !utf8.ValidString(c.Prefix):
		return errors.New("prefix: is not UTF-8")
	case strings.HasSuffix(c.Prefix, "/"):
		return fmt.Errorf("prefix: %q ends with a slash: take it off, one is put behind the prefix", c.Prefix)
	case c.Username == "" && c.Password != "":
		return errors.New("username: missing, though there is a password")
	case c.Username != "" && c.Password == "":
		return errors.New("password: missing, though there is a username")
	case c.Timeout < 0:
		return errors.New("timeout: must not be negative")
	}
	if t := c.TLS; t != nil && (t.Cert == "") != (t.Key == "") {
		return errors.New("tls: cert and key belong together: give both, or neither")
	}
	return nil
}

// Fingerprint tells two Configs apart without telling what is in them.
func (c Config) Fingerprint() string {
	text := fmt.Appendf(nil, "%q %q %q %q %d", c.Endpoints, c.Prefix, c.Username, c.Password, c.Timeout)
	if c.TLS != nil {
		text = fmt.Appendf(text, " %q", *c.TLS)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// checkEndpoint reports whether an endpoint is encrypted.
func checkEndpoint(endpoint string, tls bool) (secure bool, err error) {
	bad := fmt.Errorf("%q is not of the form https://host:port, http://host:port or host:port", endpoint)
	host, secure := endpoint, tls
	if scheme, _, ok := strings.Cut(endpoint, "://"); ok {
		u, err := url.Parse(endpoint)
		if err != nil || scheme != "https" && scheme != "http" ||
			u.User != nil || strings.TrimSuffix(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
			return false, bad
		}
		host, secure = u.Host, scheme == "https"
	}
	if name, port, err := net.SplitHostPort(host); err != nil || name == "" || port == "" || strings.ContainsAny(host, "/@?# ") {
		return false, bad
	}
	return secure, nil
}

// tlsConfig reads the files. It returns nil where nothing is encrypted.
func (c Config) tlsConfig() (*tls.Config, error) {
	if secure, err := checkEndpoint(c.Endpoints[0], c.TLS != nil); err != nil || !secure {
		return nil, err
	}
	if c.TLS == nil {
		return &tls.Config{MinVersion: tls.VersionTLS12}, nil
	}
	config, err := transport.TLSInfo{
		TrustedCAFile: c.TLS.CA,
		CertFile:      c.TLS.Cert,
		KeyFile:       c.TLS.Key,
		ServerName:    c.TLS.ServerName,
	}.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	config.MinVersion = max(config.MinVersion, tls.VersionTLS12)
	return config, nil
}
