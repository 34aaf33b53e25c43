package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/caddymfa/caddy-mfa/internal/etcdserver"
	"github.com/caddymfa/caddy-mfa/mfa/store"
	"github.com/caddymfa/caddy-mfa/mfa/store/etcd"
)

// etcdEngine is one member of etcd with its own settings, and puts.
type etcdEngine struct {
	program etcdserver.Program
	cluster *etcdserver.Cluster
	client  *clientv3.Client
	value   string // a document
	key     int    // the length of a document's key in the cluster
}

// What the keys of people's documents begin with: Caddy's, and those of the
// floor.
const (
	etcdFloorPrefix = "floor-mfa"
	etcdCaddy       = etcd.DefaultPrefix + "/doc/user/"
	etcdFloor       = etcdFloorPrefix + "/doc/user/"
)

func (e *etcdEngine) start(context.Context, string) (err error) {
	if e.cluster, err = etcdserver.Start(etcdserver.Options{Program: e.program}); err != nil {
		return err
	}
	if e.client, err = e.cluster.Client(); err != nil {
		return errors.Join(err, e.cluster.Stop())
	}
	return nil
}

func (e *etcdEngine) store() (option string, env []string) {
	return "store etcd {\n\t\t\tendpoints {env.ETCD}\n\t\t}", []string{"ETCD=" + e.cluster.Members[0].Endpoint}
}

func (e *etcdEngine) prepare(ctx context.Context, documents int) error {
	answer, err := e.client.Get(ctx, etcdCaddy, clientv3.WithPrefix(), clientv3.WithLimit(100))
	if err != nil {
		return err
	}
	if len(answer.Kvs) == 0 {
		return errors.New("measuring a document: there is none")
	}
	size := 0
	for _, kv := range answer.Kvs {
		size += len(kv.Value)
		e.key = len(kv.Key)
	}
	e.value = strings.Repeat("Z", size/len(answer.Kvs))
	const each = 100 // puts in a transaction
	for done := 0; done < documents; done += each {
		for _, prefix := range []string{etcdCaddy, etcdFloor} {
			var puts []clientv3.Op
			for i := range min(each, documents-done) {
				puts = append(puts, clientv3.OpPut(e.newKey(prefix, done+i), e.value))
			}
			if _, err := e.client.Txn(ctx).Then(puts...).Commit(); err != nil {
				return fmt.Errorf("filling etcd: %w", err)
			}
		}
	}
	return nil
}

// newKey returns a key of the length of the others, n of those with prefix.
func (e *etcdEngine) newKey(prefix string, n int) string {
	return fmt.Sprintf("%s%0*x", prefix, max(e.key-len(prefix), 1), n)
}

// floor puts documents as etcd's own benchmark does (benchmark put): so many
// clients on one connection, each of which puts one key after the other.
// Nothing is read, compared or put beside them.
func (e *etcdEngine) floor(ctx context.Context, clients int, d time.Duration) (floorCost, error) {
	machine, err := machineTime()
	if err != nil {
		return floorCost{}, err
	}
	own, err := cpuTime(os.Getpid())
	if err != nil {
		return floorCost{}, err
	}
	begun := time.Now()
	var puts atomic.Int64
	var all sync.WaitGroup
	errs := make(chan error, clients)
	for range clients {
		all.Go(func() {
			for time.Since(begun) < d {
				if _, err := e.client.Put(ctx, e.newKey(etcdFloor, rand.Int()), e.value); err != nil {
					errs <- err
					return
				}
				puts.Add(1)
			}
		})
	}
	all.Wait()
	took := time.Since(begun)
	select {
	case err := <-errs:
		return floorCost{}, fmt.Errorf("putting into etcd: %w", err)
	default:
	}
	ownAfter, err := cpuTime(os.Getpid())
	if err != nil {
		return floorCost{}, err
	}
	machineAfter, err := machineTime()
	n := float64(puts.Load())
	return floorCost{
		rate: n / took.Seconds(), busy: (machineAfter - machine).Seconds() / took.Seconds(),
		client: float64((ownAfter - own).Microseconds()) / n,
	}, err
}

func (e *etcdEngine) open(ctx context.Context) (store.Store, error) {
	return etcd.Open(ctx, etcd.Config{Endpoints: e.cluster.Endpoints(), Prefix: etcdFloorPrefix})
}

func (e *etcdEngine) document() []byte { return []byte(e.value) }

func (e *etcdEngine) processes() []int { return []int{e.cluster.Members[0].PID()} }

func (e *etcdEngine) stop() error {
	err := errors.Join(e.client.Close(), e.cluster.Stop())
	etcdserver.Clean()
	return err
}
