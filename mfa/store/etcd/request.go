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

	"github.com/caddymfa/caddy-mfa/mfa/panics"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// How a read is tried again. A member that hangs must not use up all the
// time there is, and one that is slow must not be given up for that. Where no
// member can be connected to, waiting longer than for a restart of one is of
// no use.
const (
	triesWithin   = 6 // times that a next try is begun within the timeout
	triesTogether = 3 // at most, under way
	refusedTries  = 4
	firstPause    = 10 * time.Millisecond
	longestPause  = 250 * time.Millisecond
	conflictPause = 2 * time.Millisecond
)

// answered is how one try ended.
type answered struct {
	keep func()
	err  error
}

// errPanicked is how one ends that panics.
var errPanicked = errors.New("the request panicked")

// ask makes a request that reads. Do makes it once, maybe several times
// together, and returns what keeps its answer, which is called for one answer.
// The client takes the members in turn: if one does not answer soon, another
// is asked beside it, and the first answer counts.
func (s *Store) ask(ctx context.Context, do func(ctx context.Context) (_ *pb.ResponseHeader, keep func(), err error)) error {
	within, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	each := s.timeout / triesWithin
	if until, ok := within.Deadline(); ok {
		each = time.Until(until) / triesWithin // the caller may have less time
	}
	next := time.NewTicker(max(each, time.Millisecond))
	defer next.Stop()
	answers := make(chan answered)
	underWay, refused := 0, 0
	begin := func() {
		underWay++
		panics.Go(panics.StoreCall, func() { s.once(within, answers, do) })
	}
	begin()
	var last error = context.DeadlineExceeded
	for try := 0; ; {
		select {
		case <-within.Done():
			return s.unread(ctx, last)
		case <-next.C:
			if underWay < triesTogether {
				begin()
			}
			continue
		case answer := <-answers:
			underWay--
			if answer.err == nil {
				answer.keep()
				return nil
			}
			last = answer.err
		}
		if status.Code(last) == codes.Unavailable && !ofEtcd(last) {
			refused++
		}
		if !transient(last) || refused == refusedTries || within.Err() != nil || s.life.Err() != nil {
			return s.unread(ctx, last)
		}
		if underWay > 0 {
			continue
		}
		if pause(within, firstPause, try) != nil {
			return s.unread(ctx, last)
		}
		try++
		begin()
	}
}

// unread is the error of a request that reads.
func (s *Store) unread(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case s.life.Err() != nil:
		return store.ErrClosed
	}
	return s.unavailable("reading from", err)
}

// once makes a request once, and tells how it ended unless nobody waits for
// it any more.
func (s *Store) once(ctx context.Context, answers chan<- answered, do func(ctx context.Context) (*pb.ResponseHeader, func(), error)) {
	answer := answered{err: errPanicked}
	defer func() {
		select {
		case answers <- answer:
		case <-ctx.Done():
		}
	}()
	header, keep, err := do(clientv3.WithRequireLeader(ctx))
	if err == nil {
		err = s.same(header)
	}
	answer = answered{keep, err}
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
