package bolt

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa/store"
)

func TestALeaderThatPanicsAnswersThoseWhoWaitAndWritesNothing(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "test.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	waiting := &update{turn: make(chan struct{}, 1), ran: make(chan bool, 1), end: make(chan error, 1)}
	waiting.ran <- true
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the leader did not panic")
			}
		}()
		own := &update{ctx: t.Context(), tx: newTx([]string{"a"})}
		own.fn = func(tx store.Tx) error { return tx.Put("a", []byte("1")) }
		s.lead <- struct{}{}
		s.queue <- waiting
		s.queue <- nil // what the leader panics at
		_ = s.leadWith(own)
	}()
	if err := <-waiting.end; !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("who waited got %v", err)
	}
	if _, err := s.Get(t.Context(), "a"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a write of the group is there: %v", err)
	}
	err = s.Update(t.Context(), func(tx store.Tx) error { return tx.Put("a", []byte("2")) }, "a")
	if err != nil {
		t.Fatalf("the store does not go on: %v", err)
	}
}
