package etcd

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/caddymfa/caddy-mfa/mfa/panics"
	"github.com/caddymfa/caddy-mfa/mfa/store"
	"github.com/caddymfa/caddy-mfa/mfa/store/internal/draft"
	"github.com/caddymfa/caddy-mfa/mfa/store/internal/turns"
)

// Store is a store.Store, and a store.Shared, in an etcd cluster. Open
// makes it.
type Store struct {
	prefix  string
	at      layout
	timeout time.Duration
	client  *clientv3.Client
	// anonymous is what client logs in over, nil without a user. Client sends
	// its token along with every request, and etcd 3.4 refuses to exchange one
	// that it no longer knows.
	anonymous *clientv3.Client
	cluster   atomic.Uint64 // its ID, once it has answered

	// writer and writes tell the writes of all stores apart.
	writer string
	writes atomic.Uint64

	clocks    *clocks
	turns     turns.Turns
	hints     hints
	facts     *facts
	rung      chan struct{} // Written's
	stopWatch atomic.Pointer[context.CancelFunc]
	tried     chan struct{} // closed when the first watch has begun, or failed to
	report    store.Report
	full      atomic.Bool

	life     context.Context
	end      context.CancelFunc // of life
	mu       sync.Mutex         // guards the two below, and adding to the groups
	watching bool
	closed   bool
	calls    sync.WaitGroup // under way
	behind   panics.Group   // goroutines of the store's own
	close    func() error
}

func newStore(config Config) *Store {
	s := &Store{
		prefix:  config.Prefix,
		at:      newLayout(config.Prefix),
		timeout: config.Timeout,
		writer:  rand.Text(),
		facts:   newFacts(),
		rung:    make(chan struct{}, 1),
		tried:   make(chan struct{}),
		report:  config.Report,
	}
	s.life, s.end = context.WithCancel(context.Background())
	s.close = sync.OnceValue(s.shut)
	return s
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, key string) ([]byte, error) {
	d, _, err := s.get(ctx, key)
	return d.Value, err
}

// get returns a document, and the revision at which the cluster had it.
// store.ErrNotFound is returned when there is none.
func (s *Store) get(ctx context.Context, key string) (d draft.Document, at int64, err error) {
	if err := store.CheckKey(key); err != nil {
		return draft.Document{}, 0, err
	}
	done, err := s.begin(ctx)
	if err != nil {
		return draft.Document{}, 0, err
	}
	defer done()
	docs, at, err := s.read(ctx, []string{key})
	if err != nil {
		return draft.Document{}, 0, err
	}
	s.hints.keep(docs[0])
	if docs[0].Version == 0 {
		return draft.Document{}, at, store.ErrNotFound
	}
	return docs[0], at, nil
}

const (
	// pageChunk is how many documents one request of a List asks for: an
	// answer is held in memory whole, by etcd too.
	pageChunk = 200
	// pageTries is how often a List begins again when the revision that it
	// reads is compacted away.
	pageTries = 4
)

// List implements store.Store.
func (s *Store) List(ctx context.Context, prefix, after string, limit int) ([]store.Document, error) {
	if err := store.CheckPage(prefix, after, limit); err != nil {
		return nil, err
	}
	done, err := s.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	begin, end := s.at.doc(prefix), clientv3.GetPrefixRangeEnd(s.at.doc(prefix))
	if after != "" {
		begin = max(begin, s.at.doc(after)+"\x00")
	}
	if begin >= end {
		return nil, nil
	}
	var page []store.Document
	for range pageTries {
		page, err = s.page(ctx, begin, end, limit)
		if !errors.Is(err, rpctypes.ErrCompacted) {
			break
		}
	}
	return page, err
}

// page reads the documents from begin up to end, limit of them at most, in
// chunks that are all of the revision of the first.
func (s *Store) page(ctx context.Context, begin, end string, limit int) ([]store.Document, error) {
	var page []store.Document
	for revision := int64(0); ; {
		var answer *clientv3.GetResponse
		from, at, most := begin, revision, int64(min(limit-len(page), pageChunk))
		err := s.ask(ctx, func(ctx context.Context) (*pb.ResponseHeader, func(), error) {
			found, err := s.client.Get(ctx, from, clientv3.WithRange(end), clientv3.WithRev(at), clientv3.WithLimit(most))
			if err != nil {
				return nil, nil, err
			}
			return found.Header, func() { answer = found }, nil
		})
		if err != nil {
			return nil, err
		}
		for _, kv := range answer.Kvs {
			key, _ := s.at.key(kv.Key)
			page = append(page, store.Document{Key: key, Value: append([]byte{}, kv.Value...)})
			begin = string(kv.Key) + "\x00"
		}
		if !answer.More || len(page) >= limit {
			return page, nil
		}
		if revision == 0 {
			revision = answer.Header.Revision
		}
	}
}

// Close implements store.Store.
func (s *Store) Close() error { return s.close() }

func (s *Store) shut() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.calls.Wait()
	s.end()
	s.behind.Wait()
	if s.clocks != nil {
		s.clocks.close()
	}
	for _, client := range []*clientv3.Client{s.client, s.anonymous} {
		if client == nil {
			continue
		}
		if err := client.Close(); err != nil && client.Ctx().Err() == nil {
			return fmt.Errorf("closing connections to etcd: %w", err)
		}
	}
	return nil
}

// begin says that a call is under way until done is called.
func (s *Store) begin(ctx context.Context) (done func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, store.ErrClosed
	}
	s.calls.Add(1)
	return s.calls.Done, nil
}
