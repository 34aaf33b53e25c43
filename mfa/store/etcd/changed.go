package etcd

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"

	"github.com/caddymfa/caddy-mfa/mfa/panics"
	"github.com/caddymfa/caddy-mfa/mfa/store"
	"github.com/caddymfa/caddy-mfa/mfa/store/internal/draft"
)

const (
	// watchDelay is how long Changed waits for the watch to come as far as
	// the cluster. Beyond it, asking for the documents is faster.
	watchDelay = 250 * time.Millisecond

	// mostAsked is how many keys Changed asks the cluster for at most. It
	// says of the others that they may have changed.
	mostAsked     = 20_000
	askedEach     = 100
	askedTogether = 4
)

// GetVersion implements store.Shared. The version is the revision of the
// cluster at which the document was last modified, in a history of it.
func (s *Store) GetVersion(ctx context.Context, key string) ([]byte, int64, error) {
	if err := store.CheckKey(key); err != nil {
		return nil, 0, err
	}
	done, err := s.begin(ctx)
	if err != nil {
		return nil, 0, err
	}
	defer done()
	s.followed(ctx)
	question := s.facts.ask(key)
	defer question.end()
	var d draft.Document
	var last head
	err = s.ask(ctx, func(ctx context.Context) (*pb.ResponseHeader, func(), error) {
		answer, err := s.client.Txn(ctx).Then(append(s.gets([]string{key}), clientv3.OpGet(s.at.head))...).Commit()
		if err != nil {
			return nil, nil, err
		}
		return answer.Header, func() { d, last = newDocuments([]string{key}, answer)[0], headOf(answer) }, nil
	})
	if err != nil {
		return nil, 0, err
	}
	s.hints.keep(d)
	history := question.history
	if !s.record(question, key, d.Version, last) {
		history-- // which nothing is compared with
	}
	if d.Version == 0 {
		return nil, 0, store.ErrNotFound
	}
	return d.Value, inHistory(d.Version, history), nil
}

// headOf is the head in an answer that ends with it.
func headOf(answer *clientv3.TxnResponse) head {
	return newHead(answer.Responses[len(answer.Responses)-1].GetResponseRange().Kvs, answer.Header.Revision)
}

// record takes down an answer, and reports whether its history is known.
func (s *Store) record(q *question, key string, version int64, at head) bool {
	known, suspect := q.learn(key, version, at)
	if suspect {
		s.restartWatch() // and with it, look whose history this is
	}
	return known
}

// historyBits is how many bits of a version tell the history. The others
// are enough for 10,000 writes a second in a thousand years.
const historyBits = 15

// inHistory is the version of a document that was last modified at a revision
// of a history, 0 for no document. In two histories the same revision may
// have modified the same document in two ways.
func inHistory(revision, history int64) int64 {
	if revision == 0 {
		return 0
	}
	return revision | (history&(1<<historyBits-1))<<(63-historyBits)
}

// Changed implements store.Shared. It makes one small request, as long as
// the watch keeps up and the keys have been asked for before.
func (s *Store) Changed(ctx context.Context, seen map[string]int64) ([]string, error) {
	for key := range seen {
		if err := store.CheckKey(key); err != nil {
			return nil, err
		}
	}
	done, err := s.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	s.followed(ctx)
	known := s.facts.heads()
	now, same, err := s.continues(ctx, known)
	if err != nil {
		return nil, err
	}
	if same != ofSameHistory {
		s.abandon(known.history, same)
		return slices.Collect(maps.Keys(seen)), nil
	}
	s.facts.seen(now, known.history)
	var changed []string
	revisions := make(map[string]int64, len(seen))
	for key, version := range seen {
		revision := version & (1<<(63-historyBits) - 1)
		if inHistory(revision, known.history) != version {
			changed = append(changed, key)
			continue
		}
		revisions[key] = revision
	}
	unknown := slices.Collect(maps.Keys(revisions))
	if s.caughtUp(ctx, now.revision) {
		var other []string
		other, unknown, _ = s.facts.compare(revisions, now.revision, known.history)
		changed = append(changed, other...)
	} else if err := ctx.Err(); err != nil {
		return nil, err
	}
	more, err := s.changedOf(ctx, unknown, revisions)
	if err != nil {
		return nil, err
	}
	return append(changed, more...), nil
}

// caughtUp waits for the watch to come as far as a revision. A watch that
// does not move meanwhile is begun again.
func (s *Store) caughtUp(ctx context.Context, revision int64) bool {
	ctx, cancel := context.WithTimeout(ctx, watchDelay)
	defer cancel()
	before := s.facts.progressed()
	if s.facts.reach(ctx, revision) {
		return true
	}
	if before == s.facts.progressed() && ctx.Err() != nil {
		s.restartWatch()
	}
	return false
}

// changedOf returns those of keys whose documents in the cluster have another
// version than seen.
func (s *Store) changedOf(ctx context.Context, keys []string, seen map[string]int64) ([]string, error) {
	var changed []string
	if len(keys) > mostAsked {
		keys, changed = keys[:mostAsked], slices.Clone(keys[mostAsked:])
	}
	var mu sync.Mutex
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(askedTogether)
	for some := range slices.Chunk(keys, askedEach) {
		all.Go(panics.TryFunc(panics.StoreCall, func() error {
			versions, err := s.versions(ctx, some)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			for i, version := range versions {
				if version != seen[some[i]] {
					changed = append(changed, some[i])
				}
			}
			return nil
		}))
	}
	if err := all.Wait(); err != nil {
		return nil, err
	}
	return changed, nil
}

// versions asks the cluster for the versions of keys.
func (s *Store) versions(ctx context.Context, keys []string) (versions []int64, err error) {
	question := s.facts.ask(keys...)
	defer question.end()
	err = s.ask(ctx, func(ctx context.Context) (*pb.ResponseHeader, func(), error) {
		answer, err := s.client.Txn(ctx).Then(append(s.gets(keys, clientv3.WithKeysOnly()), clientv3.OpGet(s.at.head))...).Commit()
		if err != nil {
			return nil, nil, err
		}
		return answer.Header, func() {
			versions = make([]int64, len(keys))
			last := headOf(answer)
			for i, d := range newDocuments(keys, answer) {
				versions[i] = d.Version
				s.record(question, d.Key, d.Version, last)
			}
		}, nil
	})
	return versions, err
}

// Written implements store.Shared. What this Store writes itself does not
// ring.
func (s *Store) Written() <-chan struct{} {
	s.follow()
	return s.rung
}
