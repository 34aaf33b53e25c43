package etcd

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// How a read is tried again. A member that hangs must not use up all the
// time there is, and where no member can be connected to, waiting longer
// than for a restart of one is of no use.
const (
	triesWithin   = 3 // times that one try fits into the timeout
	refusedTries  = 4
	firstPause    = 10 * time.Millisecond
	longestPause  = 250 * time.Millisecond
	conflictPause = 2 * time.Millisecond
)

// ask makes a request that reads: do makes it once. It is tried again with
// another member, as the client takes them in turn, as long as there is time.
func (s *Store) ask(ctx context.Context, do func(ctx context.Context) (*pb.ResponseHeader, error)) error {
	within, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	each := s.timeout / triesWithin
	if until, ok := within.Deadline(); ok {
		each = time.Until(until) / triesWithin // the caller may have less time
	}
	refused := 0
	for try := 0; ; try++ {
		err := s.once(within, each, do)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case s.life.Err() != nil:
			return store.ErrClosed
		case !transient(err):
			return s.unavailable("reading from", err)
		case status.Code(err) == codes.Unavailable && !ofEtcd(err):
			refused++
		}
		if refused == refusedTries || within.Err() != nil || pause(within, firstPause, try) != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return s.unavailable("reading from", err)
		}
	}
}

func (s *Store) once(ctx context.Context, each time.Duration, do func(ctx context.Context) (*pb.ResponseHeader, error)) error {
	ctx, cancel := context.WithTimeout(ctx, each)
	defer cancel()
	header, err := do(clientv3.WithRequireLeader(ctx))
	if err != nil {
		return err
	}
	return s.same(header)
}

// same makes sure that all answers come from one cluster.
func (s *Store) same(header *pb.ResponseHeader) error {
	id := header.GetClusterId()
	if s.cluster.CompareAndSwap(0, id) || s.cluster.Load() == id {
		return nil
	}
	return errClusters
}

// transient reports whether a read that failed so may succeed soon.
func transient(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled:
		return true
	}
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) ||
		errors.Is(err, rpctypes.ErrTooManyRequests) || code(err) == codes.Unavailable
}

// refused reports whether etcd has certainly not carried out a request that
// failed so. With any other error it may have, or may still.
func refused(err error) bool {
	if errors.Is(err, rpctypes.ErrNoLeader) {
		return true
	}
	switch code(err) {
	case codes.OK, codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.Unknown:
		return false
	}
	return true
}

// ofEtcd reports whether it was etcd that answered with err, and not the
// connection that failed.
func ofEtcd(err error) bool {
	var answered rpctypes.EtcdError
	return errors.As(rpctypes.Error(err), &answered)
}

// code returns the code that etcd answered with, or codes.OK when it did not
// answer.
func code(err error) codes.Code {
	var answered rpctypes.EtcdError
	if errors.As(rpctypes.Error(err), &answered) {
		return answered.Code()
	}
	return codes.OK
}

// pause waits before another try: longer each time, and by chance, so that
// those who met do not meet again. It returns ctx's error when that ends.
func pause(ctx context.Context, first time.Duration, try int) error {
	most := min(first<<min(try, 16), longestPause)
	timer := time.NewTimer(rand.N(most) + 1)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
