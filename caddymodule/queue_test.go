package caddymodule

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"testing"

	"go.uber.org/zap"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/mail"
	"github.com/caddymfa/caddy-mfa/mfa/notice"
	"github.com/caddymfa/caddy-mfa/mfa/panics"
)

func TestAQueueHandsOutInOrderOneAtATimeAndRefusesTooMuch(t *testing.T) {
	begun, goOn := make(chan struct{}), make(chan struct{})
	var got []int
	var handed sync.WaitGroup
	q := queue[int]{place: panics.Notices, most: 3, hand: func(i int) {
		defer handed.Done()
		if i == 0 {
			close(begun)
			<-goOn
		}
		got = append(got, i) // by one goroutine at a time, as the race detector knows
	}}
	handed.Add(4)
	q.put(0)
	<-begun
	for i := 1; i <= 4; i++ {
		if taken := q.put(i); taken != (i <= 3) {
			t.Errorf("the queue takes item %d: %v", i, taken)
		}
	}
	close(goOn)
	handed.Wait()
	handed.Add(1)
	for !q.put(5) {
	}
	handed.Wait()
	if !slices.Equal(got, []int{0, 1, 2, 3, 5}) {
		t.Errorf("handed out are %v", got)
	}
}

// slowSender is a mail.Sender that waits before the first mail.
type slowSender struct {
	goOn chan struct{}
	sent chan string
}

func (s *slowSender) Send(ctx context.Context, msg mail.Message) error {
	select {
	case <-s.goOn:
		s.sent <- msg.To
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestNotificationsThatWaitAtAReloadAreSentAfterIt(t *testing.T) {
	s := newServer(t)
	config := s.config(s.options("data/mfa.db", "data/mfa.key"), "")
	s.load(config)
	sender := &slowSender{goOn: make(chan struct{}), sent: make(chan string, 10)}
	mailer, err := notice.New(notice.Config{Sender: sender, Issuer: "Acme", PageURL: "https://example.com/mfa/"})
	if err != nil {
		t.Fatal(err)
	}
	n := newNotices(mailer, zap.NewNop())
	for _, to := range []string{"a@example.com", "b@example.com"} {
		n.Notify(mfa.Notice{To: []string{to}, Kind: mfa.EventReset})
	}
	s.load(config)
	n.Notify(mfa.Notice{To: []string{"late@example.com"}, Kind: mfa.EventReset}) // by a request of the old configuration
	if status := s.setup("alice"); status != http.StatusOK {
		t.Errorf("answer is %d", status)
	}
	close(sender.goOn)
	for _, want := range []string{"a@example.com", "b@example.com", "late@example.com"} {
		if got := <-sender.sent; got != want {
			t.Errorf("a mail went to %s, want %s", got, want)
		}
	}
}
