package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// both writes value under two keys at once.
func both(s store.Store, value string) error {
	return s.Update(context.Background(), func(tx store.Tx) error {
		return errors.Join(tx.Put("a", []byte(value)), tx.Put("z", []byte(value)))
	}, "a", "z")
}

func oneMoment(t *testing.T, e Engine) {
	s, other := open(t, e), open(t, e)
	for i := range 100 {
		put(t, s, fmt.Sprintf("between/%d", i), strings.Repeat("x", 1000))
	}
	var acknowledged atomic.Int64
	if err := both(s, "0"); err != nil {
		t.Fatal(err)
	}
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() {
		for n := int64(1); ; n++ {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			if err := both(s, fmt.Sprint(n)); err != nil {
				done <- err
				return
			}
			acknowledged.Store(n)
		}
	}()
	for range 15 {
		before := acknowledged.Load()
		if err := restore(other.Store, snapshot(t, s.Store), allow); err != nil {
			t.Fatal(err)
		}
		a, errA := other.Get(context.Background(), "a")
		z, errZ := other.Get(context.Background(), "z")
		if errA != nil || errZ != nil || !bytes.Equal(a, z) {
			t.Errorf("%q, %v and %q, %v", a, errA, z, errZ)
		}
		var n int64
		if _, err := fmt.Sscan(string(a), &n); err != nil || n < before {
			t.Errorf("%q is older than what was written before: %d", a, before)
		}
	}
	close(stop)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func oldOrNew(t *testing.T, e Engine) {
	s := open(t, e)
	const documents = 200
	taken := map[bool][]byte{}
	for _, odd := range []bool{false, true} {
		for i := range documents {
			put(t, s, fmt.Sprintf("user/%03d", i), fmt.Sprint(odd))
		}
		taken[odd] = snapshot(t, s.Store)
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		seen := map[string]bool{}
		for stopping := false; !stopping || len(seen) == 0; {
			select {
			case <-stop:
				stopping = true
			default:
			}
			page, err := s.List(context.Background(), "user/", "", store.MaxPage)
			if err != nil || len(page) != documents {
				t.Errorf("%d documents, %v", len(page), err)
				return
			}
			for _, d := range page {
				if !bytes.Equal(d.Value, page[0].Value) {
					t.Errorf("%s is %s, %s is %s", d.Key, d.Value, page[0].Key, page[0].Value)
					return
				}
			}
			seen[string(page[0].Value)] = true
		}
	}()
	for i := range 20 {
		if err := restore(s.Store, taken[i%2 == 1], allow); err != nil {
			t.Error(err)
		}
		// And updates find their place before or after.
		put(t, s, fmt.Sprintf("after/%d", i), "1")
		holds(t, s, "user/000", fmt.Sprint(i%2 == 1))
	}
	close(stop)
	<-done
}

// gate is a receiver that takes nothing before it is opened.
type gate struct {
	reached, opened chan struct{}
	passed          bool
	got             bytes.Buffer
}

func newGate() *gate {
	return &gate{reached: make(chan struct{}), opened: make(chan struct{})}
}

func (g *gate) Write(p []byte) (int, error) {
	if !g.passed {
		g.passed = true
		close(g.reached)
		<-g.opened
	}
	return g.got.Write(p)
}

func slowReceiver(t *testing.T, e Engine) {
	s := open(t, e)
	put(t, s, "a", "1")
	g, done := newGate(), make(chan error, 1)
	go func() { done <- s.Store.(store.Snapshotter).Snapshot(context.Background(), g) }()
	<-g.reached
	// Enough that an engine has to find more room.
	for i := range 40 {
		put(t, s, fmt.Sprintf("large/%d", i), strings.Repeat("x", 200<<10))
	}
	put(t, s, "a", "2")
	close(g.opened)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := restore(s.Store, g.got.Bytes(), allow); err != nil {
		t.Fatal(err)
	}
	holds(t, s, "a", "1")
	lacks(t, s, "large/0")
}
