package etcd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// A member that stops answering is given up after about 13 s; etcd answers
// pings that come more often, or on idle connections, with a hang-up. One
// that comes back is found again within seconds, however long it was gone.
const (
	keepaliveTime    = 10 * time.Second
	keepaliveTimeout = 3 * time.Second
	connectTimeout   = 3 * time.Second
)

var connecting = backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second}

// Open connects to the cluster and makes sure that documents can be read
// there. The caller closes the Store that it returns.
//
// store.ErrUnavailable is returned when the cluster cannot be reached now or
// has no quorum; every other error needs somebody to mend something.
func Open(ctx context.Context, config Config) (*Store, error) {
	config.Prefix = cmp.Or(config.Prefix, DefaultPrefix)
	config.Timeout = cmp.Or(config.Timeout, DefaultTimeout)
	if err := config.Check(); err != nil {
		return nil, err
	}
	tls, err := config.tlsConfig()
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s := newStore(config)
	s.clocks = newClocks(config, tls)
	options := []grpc.DialOption{
		grpc.WithChainStreamInterceptor(oneStream),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: connecting, MinConnectTimeout: connectTimeout}),
		// When no member can be connected to, say so at once.
		grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
			if method == pb.Auth_Authenticate_FullMethodName && s.anonymous != nil {
				conn = s.anonymous.ActiveConnection()
			}
			return invoke(ctx, method, request, reply, conn, append(options, grpc.WaitForReady(false))...)
		}),
	}
	if config.TLS != nil && config.TLS.ServerName != "" {
		// What the client takes from the endpoints would go before the name
		// in the settings of TLS.
		options = append(options, grpc.WithAuthority(config.TLS.ServerName))
	}
	settings := clientv3.Config{
		Endpoints:            config.Endpoints,
		TLS:                  tls,
		DialTimeout:          config.Timeout, // of the log in
		DialKeepAliveTime:    keepaliveTime,
		DialKeepAliveTimeout: keepaliveTimeout,
		MaxUnaryRetries:      2, // one more, with a fresh token; the rest is ask's
		Context:              s.life,
		Logger:               zap.NewNop(), // its warnings are the errors of ours
		DialOptions:          options,
	}
	if config.Username != "" {
		if s.anonymous, err = clientv3.New(settings); err != nil {
			s.end()
			return nil, refusal(s.unavailable("connecting to", err))
		}
	}
	settings.Username, settings.Password = config.Username, config.Password
	client, err := clientv3.New(settings)
	if err != nil {
		return nil, errors.Join(refusal(s.unavailable("logging in to", err)), s.Close())
	}
	s.client = client
	if err := s.check(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.watchRoom()
	return s, nil
}

// check makes sure that the cluster serves this store.
func (s *Store) check(ctx context.Context) error {
	if _, err := s.written(ctx); err != nil {
		return refusal(err)
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	// One that answers is enough: members of a cluster are at most one minor
	// version apart. A user may not be let to ask.
	for _, endpoint := range s.client.Endpoints() {
		if status, err := s.client.Status(ctx, endpoint); err == nil {
			return checkVersion(status.Version)
		}
	}
	return nil
}

// checkVersion refuses versions before 3.4, which lets watches end where
// there is no leader and transactions compare what this package compares.
func checkVersion(version string) error {
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	a, errA := strconv.Atoi(major)
	b, errB := strconv.Atoi(minor)
	if errA != nil || errB != nil || a < 3 || a == 3 && b < 4 {
		return fmt.Errorf("the cluster runs etcd %s: 3.4 or later is needed", version)
	}
	return nil
}

var (
	_ store.Shared   = (*Store)(nil)
	_ store.Fillable = (*Store)(nil)
)
