package etcd

import (
	"context"
	"errors"
	"sync/atomic"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// head is the write that was made last, as of a revision of the cluster. No
// two writes have the same name, so it also tells histories apart: one that
// was put back to an older state never has this write at this revision.
type head struct {
	name     string
	revision int64 // 0 when nothing has ever been written
	count    int64 // of the writes so far
	newest   int64 // revision of the cluster, also by writes of others
}

// is reports whether two heads are the same write.
func (h head) is(other head) bool {
	h.newest = other.newest
	return h == other
}

func newHead(found []*mvccpb.KeyValue, newest int64) head {
	if len(found) == 0 {
		return head{newest: newest}
	}
	kv := found[0]
	return head{name: string(kv.Value), revision: kv.ModRevision, count: kv.Version, newest: newest}
}

// written asks the cluster for its head.
func (s *Store) written(ctx context.Context) (last head, err error) {
	err = s.ask(ctx, func(ctx context.Context) (*pb.ResponseHeader, func(), error) {
		answer, err := s.client.Get(ctx, s.at.head)
		if err != nil {
			return nil, nil, err
		}
		return answer.Header, func() { last = newHead(answer.Kvs, answer.Header.Revision) }, nil
	})
	return last, err
}

// sameness is what is known of two states of a cluster.
type sameness int

const (
	ofSameHistory    sameness = iota // the later one came from the earlier one
	ofOtherHistory                   // it did not: the cluster was put back
	ofUnknownHistory                 // the earlier one is compacted away
)

// continues asks the cluster for its head, and whether its history is the one
// that is known: in one question, for the head of now and those of the revisions
// at which the known ones were last seen.
func (s *Store) continues(ctx context.Context, k known) (now head, same sameness, err error) {
	marks := k.marks()
	if len(marks) == 0 {
		now, err = s.written(ctx)
		return now, ofSameHistory, err
	}
	operations := []clientv3.Op{clientv3.OpGet(s.at.head)}
	for _, mark := range marks {
		operations = append(operations, clientv3.OpGet(s.at.head, clientv3.WithRev(mark.newest)))
	}
	then := make([]*head, len(marks))
	err = s.ask(ctx, func(ctx context.Context) (*pb.ResponseHeader, func(), error) {
		answer, err := s.client.Txn(ctx).Then(operations...).Commit()
		if err != nil {
			return nil, nil, err
		}
		return answer.Header, func() {
			now = newHead(answer.Responses[0].GetResponseRange().Kvs, answer.Header.Revision)
			for i, mark := range marks {
				found := newHead(answer.Responses[i+1].GetResponseRange().Kvs, mark.newest)
				then[i] = &found
			}
		}, nil
	})
	switch {
	case errors.Is(err, rpctypes.ErrFutureRev):
		return head{}, ofOtherHistory, nil
	case errors.Is(err, rpctypes.ErrCompacted):
		now, err = s.written(ctx)
	}
	if err != nil {
		return head{}, ofUnknownHistory, err
	}
	return now, k.compare(now, then), nil
}

// compareHeads holds what was known, mark, against the head of now, and of
// then, which is the revision at which mark was last seen: nil where that is
// compacted away.
func compareHeads(mark, now head, then *head) sameness {
	switch {
	case now.newest < mark.newest:
		return ofOtherHistory
	case then != nil && then.is(mark), now.is(mark):
		return ofSameHistory
	case then != nil, now.revision <= mark.newest:
		return ofOtherHistory
	}
	return ofUnknownHistory
}

// abandon forgets everything that is known of a history, and says why.
func (s *Store) abandon(history int64, why sameness) {
	if !s.facts.abandon(history) {
		return
	}
	s.hints.clear()
	s.restartWatch()
	s.ring()
	if why == ofOtherHistory {
		s.report.Found(store.FindingHistory, "etcd was put back to an older state while this node ran, and this node has forgotten what it remembered. "+
			"What was spent, ended or reset since that state is as it was before")
	}
}

// streams counts the streams that one watch has opened.
type streams struct{}

// onOneStream makes of ctx that of a watch which ends when its stream does,
// and is not begun again by the client: who watches has to look first whether
// the cluster is still the same.
func onOneStream(ctx context.Context) context.Context {
	return context.WithValue(ctx, streams{}, new(atomic.Int64))
}

// oneStream is the grpc.StreamClientInterceptor that sees to it.
func oneStream(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, options ...grpc.CallOption) (grpc.ClientStream, error) {
	opened, ok := ctx.Value(streams{}).(*atomic.Int64)
	if ok && opened.Load() > 0 {
		return nil, status.Error(codes.Aborted, "the stream of the watch has ended")
	}
	stream, err := open(ctx, desc, conn, method, options...)
	if ok && err == nil {
		opened.Add(1)
	}
	return stream, err
}
