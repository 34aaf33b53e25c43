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
	"github.com/caddymfa/caddy-mfa/mfa/store/internal/draft"
)

// attempts is how often an Update tries to come between those of other
// processes. Their number on one key would have to be in the dozens, all
// the time, for that not to be enough.
const attempts = 100

// errConflict is returned by commit when a key was modified meanwhile.
var errConflict = errors.New("modified meanwhile")

// Update implements store.Store. fn may be called more than once, in the
// goroutine of the caller. What it reads in the end is of one revision, which
// was the newest at some moment of the call: an Update that writes nothing
// needs no more, one that writes is carried out only if that is still so.
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
	release, err := s.take(ctx, keys)
	if err != nil {
		return err
	}
	defer release()
	docs := s.hints.take(keys)
	hinted := docs != nil
	if !hinted {
		if docs, _, err = s.read(ctx, keys); err != nil {
			return err
		}
	}
	for try := range attempts {
		if err := ctx.Err(); err != nil {
			return err
		}
		writes, err := decide(fn, docs)
		if hinted && (err != nil || len(writes) == 0) {
			// No transaction will find out whether that is still so.
			if docs, _, err = s.read(ctx, keys); err != nil {
				return err
			}
			writes, err = decide(fn, docs)
		}
		hinted = false
		if err != nil || len(writes) == 0 {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		docs, err = s.commit(ctx, docs, writes)
		if !errors.Is(err, errConflict) {
			return err
		}
		if err := pause(ctx, conflictPause, try); err != nil {
			return err
		}
	}
	return fmt.Errorf("writing to etcd: %w: other nodes came first %d times", store.ErrUnavailable, attempts)
}

// decide calls fn with docs and returns what it has written.
func decide(fn func(tx store.Tx) error, docs []draft.Document) ([]draft.Write, error) {
	tx := draft.New(docs)
	if err := tx.Call(fn); err != nil {
		return nil, err
	}
	return tx.Writes()
}

// take waits for the turn of keys, but not without end while etcd does not
// answer those before.
func (s *Store) take(ctx context.Context, keys []string) (release func(), err error) {
	waiting, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	release, err = s.turns.Take(waiting, keys)
	if err != nil && ctx.Err() == nil {
		return nil, fmt.Errorf("writing to etcd: %w: others are waiting to write the same documents", store.ErrUnavailable)
	}
	return release, err
}

// read returns what is under keys, in their order, at the newest revision.
func (s *Store) read(ctx context.Context, keys []string) (docs []draft.Document, at int64, err error) {
	if len(keys) == 0 {
		return nil, 0, nil
	}
	err = s.ask(ctx, func(ctx context.Context) (*pb.ResponseHeader, func(), error) {
		if len(keys) == 1 {
			answer, err := s.client.Get(ctx, s.at.doc(keys[0]))
			if err != nil {
				return nil, nil, err
			}
			return answer.Header, func() {
				docs, at = []draft.Document{newDocument(keys[0], answer)}, answer.Header.Revision
			}, nil
		}
		answer, err := s.client.Txn(ctx).Then(s.gets(keys)...).Commit()
		if err != nil {
			return nil, nil, err
		}
		return answer.Header, func() { docs, at = newDocuments(keys, answer), answer.Header.Revision }, nil
	})
	return docs, at, err
}

// commit makes writes if docs are still what there is. errConflict is
// returned, with what there is instead, when they are not. It waits for the
// outcome although ctx ends.
func (s *Store) commit(ctx context.Context, docs []draft.Document, writes []draft.Write) ([]draft.Document, error) {
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.timeout)
	defer cancel()
	conditions, keys := make([]clientv3.Cmp, len(docs)), make([]string, len(docs))
	for i, d := range docs {
		keys[i] = d.Key
		conditions[i] = clientv3.Compare(clientv3.ModRevision(s.at.doc(d.Key)), "=", d.Version)
	}
	name := s.writer + "/" + strconv.FormatUint(s.writes.Add(1), 10)
	operations := []clientv3.Op{clientv3.OpPut(s.at.head, name)}
	for _, w := range writes {
		if w.Deleted {
			operations = append(operations, clientv3.OpDelete(s.at.doc(w.Key)))
		} else {
			operations = append(operations, clientv3.OpPut(s.at.doc(w.Key), string(w.New)))
		}
	}
	made := s.facts.await(name)
	defer s.facts.forget(name)
	transaction := func() (*clientv3.TxnResponse, error) {
		return s.client.Txn(clientv3.WithRequireLeader(within)).
			If(conditions...).Then(operations...).Else(s.gets(keys)...).Commit()
	}
	answer, err := transaction()
	for try := 0; errors.Is(err, rpctypes.ErrNoLeader) && pause(within, firstPause, try) == nil; try++ {
		answer, err = transaction() // it was not looked at
	}
	switch {
	case err == nil:
		if err = s.same(answer.Header); err == nil && answer.Succeeded {
			s.setFull(false)
		}
	case !refused(err) && s.wasMade(ctx, name, made):
		return nil, nil
	}
	switch {
	case err != nil:
		if errors.Is(err, rpctypes.ErrNoSpace) {
			s.setFull(true)
		}
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

func (s *Store) gets(keys []string, options ...clientv3.OpOption) []clientv3.Op {
	operations := make([]clientv3.Op, len(keys))
	for i, key := range keys {
		operations[i] = clientv3.OpGet(s.at.doc(key), options...)
	}
	return operations
}

func newDocument(key string, answer *clientv3.GetResponse) draft.Document {
	if len(answer.Kvs) == 0 {
		return draft.Document{Key: key}
	}
	kv := answer.Kvs[0]
	return draft.Document{Key: key, Value: append([]byte{}, kv.Value...), Version: kv.ModRevision}
}

// newDocuments reads the answers to the gets of keys.
func newDocuments(keys []string, answer *clientv3.TxnResponse) []draft.Document {
	docs := make([]draft.Document, len(keys))
	for i, key := range keys {
		docs[i] = newDocument(key, (*clientv3.GetResponse)(answer.Responses[i].GetResponseRange()))
	}
	return docs
}
