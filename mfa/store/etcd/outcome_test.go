package etcd

import (
	"context"
	"errors"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/caddymfa/caddy-mfa/internal/etcdtest"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// lossy loses the answers to transactions that write.
type lossy struct {
	clientv3.KV
	made func() bool // reports whether the transaction is made at all
	then func()      // is called before the loss is noticed
}

func (l *lossy) Txn(ctx context.Context) clientv3.Txn { return &lossyTxn{l.KV.Txn(ctx), l, false} }

type lossyTxn struct {
	clientv3.Txn
	l      *lossy
	writes bool
}

func (t *lossyTxn) If(c ...clientv3.Cmp) clientv3.Txn  { t.Txn = t.Txn.If(c...); return t }
func (t *lossyTxn) Else(o ...clientv3.Op) clientv3.Txn { t.Txn = t.Txn.Else(o...); return t }
func (t *lossyTxn) Then(o ...clientv3.Op) clientv3.Txn {
	for _, op := range o {
		t.writes = t.writes || !op.IsGet()
	}
	t.Txn = t.Txn.Then(o...)
	return t
}

func (t *lossyTxn) Commit() (*clientv3.TxnResponse, error) {
	if !t.writes {
		return t.Txn.Commit()
	}
	if t.l.made() {
		if _, err := t.Txn.Commit(); err != nil {
			return nil, err
		}
	}
	t.l.then()
	return nil, status.Error(codes.Unavailable, "error reading from server: EOF")
}

func TestAWriteWhoseAnswerIsLostIsFoundOut(t *testing.T) {
	ctx := context.Background()
	cluster := etcdtest.Start(t, etcdtest.Options{})
	for _, row := range []struct {
		name            string
		watches         bool
		made, othersToo bool
		acknowledged    bool
	}{
		{name: "nobody has written since", made: true, acknowledged: true},
		{name: "others have written since, and there is a watch", made: true, othersToo: true, watches: true, acknowledged: true},
		{name: "others have written since, and nobody watches", made: true, othersToo: true},
		{name: "it was not made"},
		{name: "it was not made, and there is a watch", watches: true},
		{name: "it was not made, others have written, and there is a watch", othersToo: true, watches: true},
	} {
		t.Run(row.name, func(t *testing.T) {
			config := Config{Endpoints: cluster.Endpoints(), Prefix: newPrefix()}
			s, other := mustOpen(t, config), mustOpen(t, config)
			if row.watches {
				if _, err := s.Changed(ctx, nil); err != nil {
					t.Fatal(err)
				}
				eventually(t, "there is a watch", func() bool { return s.facts.reach(ctx, 0) })
			}
			s.client.KV = &lossy{KV: s.client.KV, made: func() bool { return row.made }, then: func() {
				if row.othersToo {
					mustPut(t, other, "b", "theirs")
				}
			}}
			err := put(s, "a", "mine")
			if row.acknowledged && err != nil || !row.acknowledged && !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("Update: %v", err)
			}
			if row.made {
				mustHold(t, other, "a", "mine")
			} else if _, err := other.Get(ctx, "a"); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("Get: %v", err)
			}
		})
	}
}

func TestAListOutlivesACompaction(t *testing.T) {
	ctx := context.Background()
	cluster := etcdtest.Start(t, etcdtest.Options{})
	s := mustOpen(t, Config{Endpoints: cluster.Endpoints()})
	const documents = 2*pageChunk + 1
	for i := range documents {
		mustPut(t, s, string(rune('a'+i)), "x")
	}
	compacting := &compacts{KV: s.client.KV, times: pageTries - 1}
	s.client.KV = compacting
	page, err := s.List(ctx, "", "", store.MaxPage)
	if err != nil || len(page) != documents {
		t.Errorf("%d documents, %v", len(page), err)
	}
	compacting.times = 100
	if _, err := s.List(ctx, "", "", store.MaxPage); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("compacted again and again: %v", err)
	}
}

// compacts compacts the history after a read, as often as is left.
type compacts struct {
	clientv3.KV
	times int
}

func (c *compacts) Get(ctx context.Context, key string, options ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	answer, err := c.KV.Get(ctx, key, options...)
	if err != nil || c.times == 0 {
		return answer, err
	}
	c.times--
	written, err := c.Put(ctx, "elsewhere", "x")
	if err != nil {
		return nil, err
	}
	_, err = c.Compact(ctx, written.Header.Revision)
	return answer, err
}
