package etcd

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/internal/etcdtest"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// load spends codes, each of them by three stores at once, until it is
// stopped, and knows what it was told.
type load struct {
	mu      sync.Mutex
	spent   map[string]int // acknowledged, by code
	unknown map[string]int
	refused map[string]int
	last    time.Time // of an acknowledgement
	longest time.Duration
}

var errSpent = errors.New("already spent")

// spend has each of stores spend code n, at the same time.
func (l *load) spend(t *testing.T, stores []*Store, n int) {
	code := fmt.Sprintf("code/%06d", n)
	var all sync.WaitGroup
	for i, s := range stores {
		all.Go(func() {
			err := s.Update(context.Background(), func(tx store.Tx) error {
				if _, err := tx.Get(code); !errors.Is(err, store.ErrNotFound) {
					return errors.Join(err, errSpent)
				}
				return tx.Put(code, fmt.Append(nil, i))
			}, code)
			l.mu.Lock()
			defer l.mu.Unlock()
			switch now := time.Now(); {
			case err == nil:
				l.spent[code]++
				l.longest = max(l.longest, now.Sub(l.last))
				l.last = now
			case errors.Is(err, errSpent):
				l.refused[code]++
			case errors.Is(err, store.ErrUnavailable):
				l.unknown[code]++
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.spent)
}

// under runs the load on stores while fault does its worst, and then holds
// what is in the cluster against what the load was told.
func under(t *testing.T, stores []*Store, fault func(more func())) {
	t.Helper()
	l := &load{spent: map[string]int{}, unknown: map[string]int{}, refused: map[string]int{}, last: time.Now()}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
				l.spend(t, stores, n)
			}
		}
	}()
	fault(func() { // waits for more to be acknowledged
		t.Helper()
		before := l.count()
		eventually(t, "codes are spent", func() bool { return l.count() >= before+30 })
	})
	close(stop)
	<-done
	codes := map[string]bool{}
	for _, told := range []map[string]int{l.spent, l.refused, l.unknown} {
		for code := range told {
			codes[code] = true
		}
	}
	for code := range codes {
		_, err := stores[0].Get(context.Background(), code)
		switch {
		case err != nil && !errors.Is(err, store.ErrNotFound):
			t.Fatal(err)
		case l.spent[code] > 1:
			t.Errorf("%s was spent %d times", code, l.spent[code])
		case l.spent[code] == 1 && err != nil:
			t.Errorf("%s was spent, and is forgotten", code)
		case l.spent[code] == 0 && l.unknown[code] == 0:
			t.Errorf("%s was refused to all", code)
		}
	}
	unknown := 0
	for _, n := range l.unknown {
		unknown += n
	}
	t.Logf("%d codes offered to %d stores each: %d spent, %d answers unavailable; the longest gap between two acknowledgements was %v",
		len(codes), len(stores), len(l.spent), unknown, l.longest.Round(time.Millisecond))
}

func TestAClusterThatLosesAMemberLosesNothingElse(t *testing.T) {
	for name, program := range etcdtest.Programs {
		t.Run(name, func(t *testing.T) {
			cluster := etcdtest.Start(t, etcdtest.Options{Program: program, Members: 3})
			for what, fault := range map[string]func(m *etcdtest.Member) (mend func()){
				"Killed": func(m *etcdtest.Member) func() { m.Kill(); return m.Start },
				"Held":   func(m *etcdtest.Member) func() { m.Hold(); return m.Resume },
			} {
				t.Run(what, func(t *testing.T) {
					config := Config{Endpoints: cluster.Endpoints(), Prefix: newPrefix(), Timeout: 3 * time.Second}
					var stores []*Store
					for range 3 {
						s := mustOpen(t, config)
						if _, err := s.Changed(context.Background(), nil); err != nil {
							t.Fatal(err)
						}
						stores = append(stores, s)
					}
					under(t, stores, func(more func()) {
						more()
						mend := fault(cluster.Leader())
						more()
						mend()
						more()
					})
					cluster.Await()
				})
			}
		})
	}
}

func TestAMemberThatHangsDoesNotKeepChangesFromBeingSeen(t *testing.T) {
	ctx := context.Background()
	cluster := etcdtest.Start(t, etcdtest.Options{Members: 3})
	config := Config{Endpoints: cluster.Endpoints(), Timeout: 6 * time.Second}
	s := mustOpen(t, config)
	mustPut(t, s, "a", "0")
	for i, m := range cluster.Members { // one of them has the watch
		other := config
		other.Endpoints = nil
		for _, n := range cluster.Members {
			if n != m {
				other.Endpoints = append(other.Endpoints, n.Endpoint)
			}
		}
		writer := mustOpen(t, other)
		_, version, err := s.GetVersion(ctx, "a")
		if err != nil {
			t.Fatal(err)
		}
		m.Hold()
		// It may have led.
		eventually(t, "others can write", func() bool { return put(writer, "a", fmt.Sprint(i+1)) == nil })
		changed, err := s.Changed(ctx, map[string]int64{"a": version})
		if err != nil || len(changed) != 1 {
			t.Errorf("with member %d held up: %q, %v", i, changed, err)
		}
		m.Resume()
		cluster.Await()
	}
}

func TestWithoutAMajorityNothingIsAnswered(t *testing.T) {
	ctx := context.Background()
	cluster := etcdtest.Start(t, etcdtest.Options{Members: 3})
	s := mustOpen(t, Config{Endpoints: cluster.Endpoints(), Timeout: 2 * time.Second})
	mustPut(t, s, "a", "1")
	_, version, err := s.GetVersion(ctx, "a")
	if err != nil {
		t.Fatal(err)
	}
	leader := cluster.Leader()
	for _, m := range cluster.Members {
		if m != leader.Member { // which has everything, and does not know yet that it may not tell
			m.Kill()
		}
	}
	for what, call := range map[string]func() error{
		"Get":     func() error { _, err := s.Get(ctx, "a"); return err },
		"List":    func() error { _, err := s.List(ctx, "", "", 1); return err },
		"Changed": func() error { _, err := s.Changed(ctx, map[string]int64{"a": version}); return err },
		"Update that reads": func() error {
			return s.Update(ctx, func(tx store.Tx) error { _, err := tx.Get("a"); return err }, "a")
		},
		"Update": func() error { return put(s, "a", "2") },
	} {
		if err := call(); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: %v", what, err)
		}
	}
	cluster.Restart()
	eventually(t, "the store is back", func() bool { return put(s, "a", "3") == nil })
	mustHold(t, s, "a", "3")
}
