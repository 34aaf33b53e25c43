package etcd

import (
	"context"
	"errors"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/caddymfa/caddy-mfa/mfa/panics"
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
		for try := 0; s.life.Err() == nil; try++ {
			came := false
			if !panics.Do(panics.StoreWatch, func() { came = s.followOnce(s.life) }) {
				s.facts.reset() // an event may have been taken in by half
			}
			if came {
				try = 0
			}
			_ = pause(s.life, firstRewatch, try) // the loop looks
		}
	})
}

// followOnce watches until something is wrong with it, and reports whether
// anything came. It goes on where the last one ended: nothing is missed, or
// everything is forgotten.
func (s *Store) followOnce(ctx context.Context) (came bool) {
	since := s.facts.end()
	if since == 0 {
		head, err := s.written(ctx)
		if err != nil {
			return false
		}
		since = head.newest
	}
	// Without the leader a member would go on serving a watch on which
	// nothing comes any more.
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	s.stopWatch.Store(&cancel)
	answers := s.client.Watch(ctx, s.prefix+"/", clientv3.WithPrefix(), clientv3.WithRev(since+1))
	s.facts.begin(since)
	for answer := range answers {
		if err := answer.Err(); err != nil {
			if errors.Is(err, rpctypes.ErrCompacted) {
				s.facts.reset()
			}
			return came
		}
		came = came || len(answer.Events) > 0
		s.learn(answer.Events)
	}
	return came
}

// learn takes in the events of one answer. All events of one revision are in
// the same answer, and the answers come in order.
func (s *Store) learn(events []*clientv3.Event) {
	if len(events) == 0 {
		return // whatever else an answer says of revisions is not relied on
	}
	others := false
	for _, event := range events {
		kv := event.Kv
		if string(kv.Key) == s.at.head {
			name := string(kv.Value)
			s.facts.made(name)
			others = others || !strings.HasPrefix(name, s.writer+"/")
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
		s.facts.event(key, version, kv.ModRevision)
	}
	s.facts.progress(events[len(events)-1].Kv.ModRevision)
	if others {
		select {
		case s.rung <- struct{}{}:
		default: // it is to be heard already
		}
	}
}

// restartWatch ends the watch, which is then begun again, with another
// member if there is one.
func (s *Store) restartWatch() {
	if cancel := s.stopWatch.Load(); cancel != nil {
		(*cancel)()
	}
}
