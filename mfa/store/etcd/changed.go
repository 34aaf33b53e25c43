package etcd

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"

	"github.com/caddymfa/caddy-mfa/mfa/panics"
	"github.com/caddymfa/caddy-mfa/mfa/store"
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
// cluster at which the document was last modified.
func (s *Store) GetVersion(ctx context.Context, key string) ([]byte, int64, error) {
	s.follow()
	d, at, err := s.get(ctx, key)
	if err == nil || errors.Is(err, store.ErrNotFound) {
		s.facts.learn(key, d.Version, at)
	}
	return d.Value, d.Version, err
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
	s.follow()
	before := s.facts.progressed()
	head, err := s.written(ctx)
	if err != nil {
		return nil, err
	}
	if before > head.newest { // the cluster was put back to an older state
		s.facts.reset()
		s.restartWatch()
		return slices.Collect(maps.Keys(seen)), nil
	}
	if s.caughtUp(ctx, head.revision) {
		changed, unknown := s.facts.compare(seen)
		more, err := s.changedOf(ctx, unknown, seen)
		return append(changed, more...), err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return s.changedOf(ctx, slices.Collect(maps.Keys(seen)), seen)
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
	err = s.ask(ctx, func(ctx context.Context) (*pb.ResponseHeader, error) {
		answer, err := s.client.Txn(ctx).Then(s.gets(keys, clientv3.WithKeysOnly())...).Commit()
		if err != nil {
			return nil, err
		}
		versions = make([]int64, len(keys))
		for i, d := range newDocuments(keys, answer) {
			versions[i] = d.Version
			s.facts.learn(d.Key, d.Version, answer.Header.Revision)
		}
		return answer.Header, nil
	})
	return versions, err
}

// Written implements store.Shared. What this Store writes itself does not
// ring.
func (s *Store) Written() <-chan struct{} {
	s.follow()
	return s.rung
}
