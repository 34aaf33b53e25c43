package etcd

import (
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa/panics"
)

func TestAWatchThatPanicsIsBegunAgainAndForgetsWhatItKnew(t *testing.T) {
	s := newStore(Config{Prefix: "/test", Timeout: time.Second}) // which has no client
	s.facts.begin(7, head{newest: 7})
	before, calls := panics.Count(panics.StoreWatch), panics.Count(panics.StoreCall)
	s.follow()
	// Begun again, it asks first how far the cluster has come, and that panics too.
	for deadline := time.Now().Add(20 * time.Second); panics.Count(panics.StoreWatch) == before || panics.Count(panics.StoreCall) == calls; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the watch is not begun again")
		}
	}
	s.end()
	s.behind.Wait()
	if reached := s.facts.progressed(); reached != 0 {
		t.Errorf("it still knows what was at revision %d", reached)
	}
}
