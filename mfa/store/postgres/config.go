package postgres

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"reflect"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// Defaults of Config.
const (
	DefaultMaxConnections = 16
	DefaultTimeout        = 5 * time.Second
)

// Config says which database a Store uses, and how.
type Config struct {
	// DSN tells where the database is and who asks, as a URL
	// (postgres://user:password@host:port/database?sslmode=verify-full) or as
	// key=value pairs, with the parameters of libpq and pgx. Required.
	DSN string

	// Listen is the DSN of a direct connection to the same database, past any
	// pooler, on which nodes tell each other when they have written something.
	// Default: none; nothing is told.
	Listen string

	// MaxConnections is how many connections are open at most, beside that of
	// Listen. Default: pool_max_conns of the DSN, else DefaultMaxConnections.
	MaxConnections int

	// Timeout is how long the server may take to answer, and to be connected
	// to, before it counts as unavailable. Default: DefaultTimeout.
	Timeout time.Duration

	// Report takes what is found out about the database that its operator must
	// know. Default: nobody is told.
	Report store.Report
}

// Check returns an error that says what is wrong with c. It connects to
// nothing.
func (c Config) Check() error {
	_, err := c.pool()
	if err != nil || c.Listen == "" {
		return err
	}
	_, err = parse("listen", c.Listen, c.timeout())
	return err
}

// Fingerprint tells two Configs apart without telling what is in them.
func (c Config) Fingerprint() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %d %d", c.DSN, c.Listen, c.MaxConnections, c.Timeout))
	return hex.EncodeToString(sum[:])
}

func (c Config) timeout() time.Duration { return cmp.Or(c.Timeout, DefaultTimeout) }

// pool returns the settings of the connections.
func (c Config) pool() (*pgxpool.Config, error) {
	switch {
	case c.MaxConnections < 0:
		return nil, errors.New("max_connections: must not be negative")
	case c.Timeout < 0:
		return nil, errors.New("timeout: must not be negative")
	}
	pool, err := parse("dsn", c.DSN, c.timeout())
	if err != nil {
		return nil, err
	}
	if c.MaxConnections > 0 {
		pool.MaxConns = int32(min(c.MaxConnections, 10_000))
	} else if !strings.Contains(c.DSN, "pool_max_conns") {
		pool.MaxConns = DefaultMaxConnections
	}
	return pool, nil
}

// parse reads a DSN, the value of an option.
func parse(option, dsn string, timeout time.Duration) (*pgxpool.Config, error) {
	if strings.TrimSpace(dsn) == "" {
		return nil, fmt.Errorf("%s: missing: give it as postgres://user:password@host:port/database?sslmode=verify-full", option)
	}
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("%s: it cannot be read: %s", option, reason(err))
	}
	c := config.ConnConfig
	if c.ValidateConnect == nil && strings.Contains(dsn, "target_session_attrs") || allowsReplicas(c.ValidateConnect) {
		return nil, fmt.Errorf("%s: target_session_attrs lets a standby in, which may say of a session that has ended that it goes on: "+
			"leave it out, or say read-write", option)
	}
	if c.ConnectTimeout == 0 {
		// Of a host that does not answer no more is waited for than leaves
		// time for the others.
		c.ConnectTimeout = timeout / time.Duration(hosts(&c.Config))
		dialer := net.Dialer{Timeout: c.ConnectTimeout, KeepAliveConfig: keepAlive}
		c.DialFunc = dialer.DialContext
	}
	if c.RuntimeParams["application_name"] == "" {
		c.RuntimeParams["application_name"] = "caddy-mfa"
	}
	return config, nil
}

// allowsReplicas reports whether f is what pgx makes of a
// target_session_attrs that a standby satisfies.
func allowsReplicas(f pgconn.ValidateConnectFunc) bool {
	for _, other := range []pgconn.ValidateConnectFunc{
		pgconn.ValidateConnectTargetSessionAttrsReadOnly,
		pgconn.ValidateConnectTargetSessionAttrsStandby,
		pgconn.ValidateConnectTargetSessionAttrsPreferStandby,
	} {
		if reflect.ValueOf(f).Pointer() == reflect.ValueOf(other).Pointer() {
			return true
		}
	}
	return false
}

// hosts returns how many servers are named.
func hosts(c *pgconn.Config) int {
	type server struct {
		host string
		port uint16
	}
	all := map[server]bool{{c.Host, c.Port}: true}
	for _, other := range c.Fallbacks {
		all[server{other.Host, other.Port}] = true
	}
	return len(all)
}

// keepAlive finds out within a minute that nobody is at the other end of an
// idle connection.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 3}

// reasons are what may be wrong with a DSN, in the words of pgx, with what
// helps.
var reasons = []struct{ text, mend string }{
	{"failed to parse as URL", "it is no URL such as postgres://user:password@host:port/database: in the password, write characters such as @ : / ? # % as %40 %3A %2F %3F %23 %25"},
	{"failed to parse as keyword/value", "it is neither a URL that begins with postgres:// nor key=value pairs: put values that hold spaces into single quotes"},
	{"invalid port", "the port is no number from 1 to 65535"},
	{"invalid connect_timeout", "connect_timeout is no number of seconds"},
	{"unknown target_session_attrs", "target_session_attrs is neither read-write nor primary"},
	{"port numbers to", "it has not as many ports as hosts"},
	{"failed to read service", "the service that it names cannot be read"},
	{"pool_", "a parameter that begins with pool_ has a value that is no number or duration such as 30m"},
}

// reason says why a DSN cannot be read, in words that hold nothing of it.
func reason(err error) string {
	var parsing *pgconn.ParseConfigError
	if !errors.As(err, &parsing) {
		return "it is malformed"
	}
	_, text, _ := strings.Cut(err.Error(), "`: ") // behind the DSN
	if strings.HasPrefix(text, "failed to configure TLS") {
		// Of a file that cannot be read, or an sslmode that there is not.
		return strings.TrimSpace(text)
	}
	for _, r := range reasons {
		if strings.Contains(text, r.text) {
			return r.mend
		}
	}
	return "it is malformed"
}
