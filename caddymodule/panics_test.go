package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/mail"
	"github.com/caddymfa/caddy-mfa/mfa/notice"
	"github.com/caddymfa/caddy-mfa/mfa/panics"
	"github.com/caddymfa/caddy-mfa/mfa/store"
	"github.com/caddymfa/caddy-mfa/mfa/store/bolt"
)

// faulty is a store that panics for as long as it is told to.
type faulty struct {
	store.Store
	on atomic.Bool
}

func (f *faulty) fault() {
	if f.on.Load() {
		panic("on purpose")
	}
}

func (f *faulty) Get(ctx context.Context, key string) ([]byte, error) {
	f.fault()
	return f.Store.Get(ctx, key)
}

func (f *faulty) Update(ctx context.Context, fn func(store.Tx) error, keys ...string) error {
	f.fault()
	return f.Store.Update(ctx, fn, keys...)
}

func (f *faulty) List(ctx context.Context, prefix, after string, limit int) ([]store.Document, error) {
	f.fault()
	return f.Store.List(ctx, prefix, after, limit)
}

func TestAPanicIsAnAnswerAndAMetricAndTheServerGoesOn(t *testing.T) {
	st := new(faulty)
	o := operate(t, func(map[string]any) {
		// The configuration that comes finds this store open already.
		path, err := filepath.Abs("data/mfa.db")
		if err != nil {
			t.Fatal(err)
		}
		_, _, release, err := acquire(open, "bolt:"+path, func() (store.Store, func(), error) {
			st.Store, err = bolt.Open(path)
			return st, func() { _ = st.Close() }, err
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(release)
	})
	token := o.token("alice")
	o.call(http.StatusOK, "/mfa/setup", token, `{"mfaType":"GOOGLE_AUTH"}`)
	before := make(map[panics.Place]uint64)
	for _, place := range panics.Places {
		before[place] = panics.Count(place)
	}

	st.on.Store(true)
	for _, request := range []struct{ method, path string }{
		{http.MethodPost, "/mfa/setup"}, {http.MethodGet, "/mfa/status"}, {http.MethodPost, "/mfa/sign-out"}, {http.MethodGet, "/private/x"},
	} {
		status, content := o.send(request.method, request.path, token, map[string]string{
			"/mfa/setup": `{"mfaType":"GOOGLE_AUTH"}`, "/mfa/sign-out": `{"everywhere":true}`,
		}[request.path])
		var answer map[string]any
		if err := json.Unmarshal([]byte(content), &answer); err != nil || status != http.StatusInternalServerError ||
			answer["code"] != "internal_error" || strings.Contains(content, "purpose") {
			t.Errorf("%s is answered %d %s", request.path, status, content)
		}
	}
	if status, content := o.ask(http.MethodGet, "/mfa/users", nil); status != http.StatusInternalServerError || strings.Contains(content, "purpose") {
		t.Errorf("the operator is answered %d %s", status, content)
	}
	st.on.Store(false)

	o.call(http.StatusOK, "/mfa/setup", token, `{"mfaType":"GOOGLE_AUTH"}`)
	if status, content := o.send(http.MethodGet, "/private/x", token, ""); status != http.StatusUnauthorized {
		t.Errorf("the gate answers %d %s", status, content)
	}
	for place, want := range map[panics.Place]uint64{panics.Request: 3, panics.Gate: 1, panics.Admin: 1} {
		if got := panics.Count(place) - before[place]; got != want {
			t.Errorf("%d panics of %s are counted, want %d", got, place, want)
		}
	}
	scrape := o.want(http.StatusOK, http.MethodGet, "/metrics", nil)
	for _, place := range panics.Places {
		if !strings.Contains(scrape, `caddy_mfa_panics_total{place="`+string(place)+`"} `) {
			t.Errorf("there is no metric of %s", place)
		}
	}
}

func TestASubscriberThatPanicsIsToldOfTheNextEvent(t *testing.T) {
	told := make(chan string, 100)
	subscribed = func(e caddy.Event) {
		told <- e.Name()
		panic("on purpose")
	}
	o := operate(t, subscribe("mfa_enrolled", "mfa_verified", "mfa_failed"))
	o.walk("alice")
	for range 3 {
		select {
		case <-told:
		case <-time.After(patience):
			t.Fatal("the subscriber is told no more")
		}
	}
}

// panickySender is a mail.Sender that panics at the first mails.
type panickySender struct {
	panics int
	sent   chan string
}

func (s *panickySender) Send(_ context.Context, msg mail.Message) error {
	if s.panics--; s.panics >= 0 {
		panic("on purpose")
	}
	s.sent <- msg.To
	return nil
}

func TestAMailThatPanicsKeepsNoOtherNotification(t *testing.T) {
	sender := &panickySender{panics: 1, sent: make(chan string, 10)}
	mailer, err := notice.New(notice.Config{Sender: sender, Issuer: "Acme", PageURL: "https://example.com/mfa/"})
	if err != nil {
		t.Fatal(err)
	}
	n := newNotices(mailer, zap.NewNop())
	n.Notify(mfa.Notice{To: []string{"a@example.com", "a@b..", "b@example.com"}, Kind: mfa.EventEnrolled})
	n.Notify(mfa.Notice{To: []string{"c@example.com"}, Kind: mfa.EventReset})
	for _, want := range []string{"b@example.com", "c@example.com"} {
		select {
		case got := <-sender.sent:
			if got != want {
				t.Errorf("a mail went to %s, want %s", got, want)
			}
		case <-time.After(patience):
			t.Fatal("no mail goes out any more")
		}
	}
}

func TestTheSweeperAndTheKeyFollowerGoOnAfterAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		sweeps, looks := panics.Count(panics.Sweep), panics.Count(panics.Keys)
		var group panics.Group
		group.Keep(ctx, panics.Sweep, new(state).sweep) // which has no keys
		group.Keep(ctx, panics.Keys, func(ctx context.Context) { followKeys(ctx, nil, "", zap.NewNop()) })
		time.Sleep(time.Hour)
		cancel()
		group.Wait()
		if sweeps, looks = panics.Count(panics.Sweep)-sweeps, panics.Count(panics.Keys)-looks; sweeps < 10 || looks < 10 {
			t.Errorf("%d sweeps and %d looks at the keys were begun", sweeps, looks)
		}
	})
}

// panickyStore is a Store that panics when it is opened.
type panickyStore struct{ BoltStore }

func (panickyStore) PoolKey() string                           { return "panicky" }
func (panickyStore) Open(context.Context) (store.Store, error) { panic("on purpose") }

func TestAStoreThatPanicsWhenItIsOpenedIsAnErrorEachTime(t *testing.T) {
	for range 2 { // the second would wait for ever, were the pool's entry still locked
		if _, _, err := openStore(t.Context(), new(panickyStore)); !errors.Is(err, panics.ErrPanicked) {
			t.Errorf("error is %v", err)
		}
	}
}
