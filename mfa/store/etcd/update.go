package etcd

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// attempts is how often an Update tries to come between those of other
// processes. Their number on one key would have to be in the dozens, all
// the time, for that not to be enough.
const attempts = 100

// errConflict is returned by commit when a key was modified meanwhile.
var errConflict = errors.New("modified meanwhile")

// Update implements store.Store. fn may be called more than once, in the
// goroutine of the caller. What it reads is of one revision, which was the
// newest at some moment of the call: an Update that writes nothing needs no
// more, one that writes is carried out only if that is still so.
func (s *Store) Update(ctx context.Context, fn func(tx store.Tx) error, keys ...string) error {
	keys, err := store.Names(keys)
	if err != nil {
		return err
	}
	done, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	release, err := s.turns.take(ctx, keys)
	if err != nil {
		return err
	}
	defer release()
	docs, _, err := s.read(ctx, keys)
	if err != nil {
		return err
	}
	for try := range attempts {
		if err := ctx.Err(); err != nil {
			return err
		}
		t := newTx(docs)
		if err := t.call(fn); err != nil {
			return err
		}
		operations, err := t.operations(s.at)
		if err != nil || len(operations) == 0 {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		docs, err = s.commit(ctx, docs, operations)
		if !errors.Is(err, errConflict) {
			return err
		}
		if err := pause(ctx, conflictPause, try); err != nil {
			return err
		}
	}
	return fmt.Errorf("writing to etcd: %w: other nodes came first %d times", store.ErrUnavailable, attempts)
}

// read returns what is under keys, in their order, at the newest revision.
func (s *Store) read(ctx context.Context, keys []string) (docs []document, at int64, err error) {
	if len(keys) == 0 {
		return nil, 0, nil
	}
	err = s.ask(ctx, func(ctx context.Context) (*pb.ResponseHeader, error) {
		if len(keys) == 1 {
			answer, err := s.client.Get(ctx, s.at.doc(keys[0]))
			if err != nil {
				return nil, err
			}
			docs, at = []document{newDocument(keys[0], answer)}, answer.Header.Revision
			return answer.Header, nil
		}
		answer, err := s.client.Txn(ctx).Then(s.gets(keys)...).Commit()
		if err != nil {
			return nil, err
		}
		docs, at = newDocuments(keys, answer), answer.Header.Revision
		return answer.Header, nil
	})
	return docs, at, err
}

// commit makes operations if docs are still what there is. errConflict is
// returned, with what there is instead, when they are not. It waits for the
// outcome although ctx ends.
func (s *Store) commit(ctx context.Context, docs []document, operations []clientv3.Op) ([]document, error) {
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.timeout)
	defer cancel()
	conditions, keys := make([]clientv3.Cmp, len(docs)), make([]string, len(docs))
	for i, d := range docs {
		keys[i] = d.key
		conditions[i] = clientv3.Compare(clientv3.ModRevision(s.at.doc(d.key)), "=", d.revision)
	}
	name := s.writer + "/" + strconv.FormatUint(s.writes.Add(1), 10)
	mark := clientv3.OpPut(s.at.head, name)
	made := s.facts.await(name)
	defer s.facts.forget(name)
	transaction := func() (*clientv3.TxnResponse, error) {
		return s.client.Txn(clientv3.WithRequireLeader(within)).
			If(conditions...).Then(append(operations, mark)...).Else(s.gets(keys)...).Commit()
	}
	answer, err := transaction()
	for try := 0; errors.Is(err, rpctypes.ErrNoLeader) && pause(within, firstPause, try) == nil; try++ {
		answer, err = transaction() // it was not looked at
	}
	switch {
	case err == nil:
		err = s.same(answer.Header)
	case !refused(err) && s.wasMade(ctx, name, made):
		return nil, nil
	}
	switch {
	case err != nil:
		return nil, s.unavailable("writing to", err)
	case !answer.Succeeded:
		return newDocuments(keys, answer), errConflict
	}
	return nil, nil
}

// wasMade reports whether the write of that name, whose answer did not come,
// is known to have been made. The watch tells, where there is one, once it
// has come as far as the cluster; the head tells when nobody has written
// since.
func (s *Store) wasMade(ctx context.Context, name string, made <-chan struct{}) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.timeout)
	defer cancel()
	last, err := s.written(ctx)
	if err == nil && last.name == name {
		return true
	}
	if err == nil {
		s.facts.reach(ctx, last.revision)
	}
	select {
	case <-made:
		return true
	default:
		return false
	}
}

// head is the write that was made last.
type head struct {
	name     string
	revision int64 // 0 when nothing has ever been written
	newest   int64 // revision of the cluster, also by writes of others
}

// written asks the cluster for its head.
func (s *Store) written(ctx context.Context) (last head, err error) {
	err = s.ask(ctx, func(ctx context.Context) (*pb.ResponseHeader, error) {
		answer, err := s.client.Get(ctx, s.at.head)
		if err != nil {
			return nil, err
		}
		last = head{newest: answer.Header.Revision}
		if len(answer.Kvs) > 0 {
			last.name, last.revision = string(answer.Kvs[0].Value), answer.Kvs[0].ModRevision
		}
		return answer.Header, nil
	})
	return last, err
}

func (s *Store) gets(keys []string, options ...clientv3.OpOption) []clientv3.Op {
	operations := make([]clientv3.Op, len(keys))
	for i, key := range keys {
		operations[i] = clientv3.OpGet(s.at.doc(key), options...)
	}
	return operations
}

func newDocument(key string, answer *clientv3.GetResponse) document {
	if len(answer.Kvs) == 0 {
		return document{key: key}
	}
	kv := answer.Kvs[0]
	return document{key: key, value: append([]byte{}, kv.Value...), revision: kv.ModRevision}
}

// newDocuments reads the answers to the gets of keys.
func newDocuments(keys []string, answer *clientv3.TxnResponse) []document {
	docs := make([]document, len(keys))
	for i, key := range keys {
		docs[i] = newDocument(key, (*clientv3.GetResponse)(answer.Responses[i].GetResponseRange()))
	}
	return docs
}
