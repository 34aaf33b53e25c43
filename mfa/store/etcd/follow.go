package etcd

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/caddymfa/caddy-mfa/mfa/panics"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// firstRewatch is how soon a watch that broke is begun again.
const firstRewatch = 10 * time.Millisecond

// follow starts watching, once.
func (s *Store) follow() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watching || s.closed {
		return
	}
	s.watching = true
	s.behind.Go(panics.StoreWatch, func() {
		tried := sync.OnceFunc(func() { close(s.tried) })
		for try := 0; s.life.Err() == nil; try++ {
			came := false
			if !panics.Do(panics.StoreWatch, func() { came = s.followOnce(s.life, tried) }) {
				s.facts.reset() // an event may have been taken in by half
			}
			tried()
			if came {
				try = 0
			}
			_ = pause(s.life, firstRewatch, try) // the loop looks
		}
	})
}

// followed is follow, and waits a moment for the first watch. What answers
// have told of the history before it begins cannot be borne out by it, and would
// be forgotten.
func (s *Store) followed(ctx context.Context) {
	s.follow()
	select {
	case <-s.tried:
		return
	default:
	}
	timer := time.NewTimer(watchDelay)
	defer timer.Stop()
	select {
	case <-s.tried:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// followOnce watches until something is wrong with it, calls begun when it has
// begun, and reports whether anything came. It goes on where the last one ended: nothing is missed, or
// everything is forgotten.
func (s *Store) followOnce(ctx context.Context, begun func()) (came bool) {
	since, known := s.facts.end()
	if since == 0 {
		now, same, err := s.continues(ctx, known)
		if err != nil {
			return false
		}
		if same != ofSameHistory {
			s.abandon(known.history, same)
			return true // and again, at once
		}
		since, known.chain = now.newest, now
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.stopWatch.Store(&cancel)
	// Without the leader a member would go on serving a watch on which
	// nothing comes any more.
	watcher := clientv3.NewWatcher(s.client)
	defer watcher.Close()
	answers := watcher.Watch(clientv3.WithRequireLeader(onOneStream(ctx)), s.prefix+"/",
		clientv3.WithPrefix(), clientv3.WithRev(since+1), clientv3.WithCreatedNotify())
	if answer, open := <-answers; !open || s.broken(answer) || !answer.Created {
		return false
	}
	// The member that serves this stream may be of a cluster that was put back
	// since the last one. What is asked now is asked of the same cluster or
	// of a later one, for a member that is put back ends its streams.
	_, same, err := s.continues(ctx, known)
	switch {
	case err != nil:
		return false
	case same != ofSameHistory:
		s.abandon(known.history, same)
		return true
	}
	s.facts.begin(since, known.chain)
	begun()
	for answer := range answers {
		if s.broken(answer) {
			return came
		}
		came = came || len(answer.Events) > 0
		if !s.learn(answer.Events) {
			// What is known of the history stays: the next watch tells whether
			// that was lost, or the cluster was put back.
			s.facts.reset()
			s.report.Found(store.FindingEvents, "the watch on etcd does not go on where it was: everything that is remembered is read anew")
			return came
		}
	}
	return came
}

// broken reports whether an answer of the watch ends it.
func (s *Store) broken(answer clientv3.WatchResponse) bool {
	err := answer.Err()
	if errors.Is(err, rpctypes.ErrCompacted) {
		s.facts.reset()
	}
	return err != nil
}

// learn takes in the events of one answer. All events of one revision are in
// the same answer, and the answers come in order. It returns false when one
// is missing.
func (s *Store) learn(events []*clientv3.Event) bool {
	if len(events) == 0 {
		return true // whatever else an answer says of revisions is not relied on
	}
	d := delivery{reached: events[len(events)-1].Kv.ModRevision}
	others := false
	for _, event := range events {
		kv := event.Kv
		if string(kv.Key) == s.at.head {
			next := newHead([]*mvccpb.KeyValue{kv}, kv.ModRevision)
			d.heads = append(d.heads, next)
			others = others || !strings.HasPrefix(next.name, s.writer+"/")
			continue
		}
		key, ok := s.at.key(kv.Key)
		if !ok {
			continue
		}
		version := kv.ModRevision
		if event.Type == clientv3.EventTypeDelete {
			version = 0
		}
		d.changes = append(d.changes, change{key, version, kv.ModRevision})
	}
	if !s.facts.take(d) {
		return false
	}
	for _, next := range d.heads {
		s.facts.made(next.name)
	}
	if others {
		s.ring()
	}
	return true
}

// ring says that others have written.
func (s *Store) ring() {
	select {
	case s.rung <- struct{}{}:
	default: // it is to be heard already
	}
}

// restartWatch ends the watch, which is then begun again, with another
// member if there is one.
func (s *Store) restartWatch() {
	if cancel := s.stopWatch.Load(); cancel != nil {
		(*cancel)()
	}
}
