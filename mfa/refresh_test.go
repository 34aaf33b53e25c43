package mfa_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// A thief who refreshes at the same moment as the owner gets a token of their
// own, and one of the two comes second with the next one.
func TestAThiefWhoKeepsStepWithTheOwnerIsNoticed(t *testing.T) {
	for name, order := range map[string]func(owner, thief string) [2]string{
		"the owner first": func(owner, thief string) [2]string { return [2]string{owner, thief} },
		"the thief first": func(owner, thief string) [2]string { return [2]string{thief, owner} },
	} {
		for _, later := range []time.Duration{0, time.Minute} {
			f := newFixture(t)
			here, there := f.node(), f.node()
			stolen := f.enrolApp(alice).grant
			thief := f.refresh(alice, stolen.Refresh)
			owner, err := here.Refresh(t.Context(), alice, stolen.Refresh)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			f.advance(later)
			tokens := order(owner.Refresh, thief.Refresh)
			next, err := there.Refresh(t.Context(), alice, tokens[0])
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if !f.live(next.Assertion) {
				t.Fatalf("%s: the session ended early", name)
			}
			_, err = here.Refresh(t.Context(), alice, tokens[1])
			wantError(t, err, mfa.ErrSessionExpired)
			if f.live(next.Assertion) || f.live(owner.Assertion) {
				t.Errorf("%s: both go on", name)
			}
			if !slices.Contains(f.events.kinds(), mfa.EventRefreshReused) {
				t.Errorf("%s: the journal was not told", name)
			}
			f.wantNoRefresh(alice, next.Refresh)
		}
	}
}

func TestAClientThatLosesAnswersGoesOnWithOneSession(t *testing.T) {
	f := newFixture(t)
	token := f.enrolApp(alice).grant.Refresh
	for range 5 {
		f.refresh(alice, token) // whose answer is lost
		f.advance(9 * time.Second)
		token = f.refresh(alice, token).Refresh
		f.advance(time.Minute)
	}
	if slices.Contains(f.events.kinds(), mfa.EventRefreshReused) {
		t.Error("a lost answer was taken for theft")
	}
}

func TestARefreshTokenSentAHundredTimesAtOnceGivesOutFewTokensOfTheirOwn(t *testing.T) {
	f := newFixture(t)
	first := f.enrolApp(alice).grant
	nodes := []*mfa.Service{f.Service, f.node()}
	var (
		mu     sync.Mutex
		tokens = map[string]bool{}
		wg     sync.WaitGroup
	)
	for n := range 100 {
		wg.Go(func() {
			g, err := nodes[n%2].Refresh(t.Context(), alice, first.Refresh)
			if errors.Is(err, mfa.ErrSessionExpired) {
				return
			}
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if tokens[g.Refresh] {
				t.Error("two got the same token")
			}
			tokens[g.Refresh] = true
		})
	}
	wg.Wait()
	if len(tokens) != 16 || !f.live(first.Assertion) {
		t.Errorf("%d tokens; live: %v", len(tokens), f.live(first.Assertion))
	}
	// Of all of them, one is good: the next ends the session.
	refreshed := 0
	for token := range tokens {
		if _, err := f.Refresh(t.Context(), alice, token); err == nil {
			refreshed++
		}
	}
	if refreshed != 1 || f.live(first.Assertion) {
		t.Errorf("%d of the tokens were taken; live: %v", refreshed, f.live(first.Assertion))
	}
}

func TestASiblingIsSpentOnceOverTwoNodesAtOnce(t *testing.T) {
	f := newFixture(t)
	first := f.enrolApp(alice).grant
	siblings := []string{f.refresh(alice, first.Refresh).Refresh, f.refresh(alice, first.Refresh).Refresh}
	nodes := []*mfa.Service{f.Service, f.node()}
	errs := make([]error, 2)
	var wg sync.WaitGroup
	for n := range 2 {
		wg.Go(func() { _, errs[n] = nodes[n].Refresh(context.Background(), alice, siblings[n]) })
	}
	wg.Wait()
	if (errs[0] == nil) == (errs[1] == nil) || f.live(first.Assertion) {
		t.Errorf("%v, %v; live: %v", errs[0], errs[1], f.live(first.Assertion))
	}
}

// edit changes the only record as it is stored.
func (f *fixture) edit(change func(record map[string]any)) {
	f.t.Helper()
	key := "user/" + f.account()
	text, err := f.config.Keys.Open("caddy-mfa document "+key, f.document())
	if err != nil {
		f.t.Fatal(err)
	}
	var record map[string]any
	if err := json.Unmarshal(text, &record); err != nil {
		f.t.Fatal(err)
	}
	change(record)
	if text, err = json.Marshal(record); err != nil {
		f.t.Fatal(err)
	}
	sealed, err := f.config.Keys.Seal("caddy-mfa document "+key, text)
	if err != nil {
		f.t.Fatal(err)
	}
	err = f.store.Update(f.t.Context(), func(tx store.Tx) error { return tx.Put(key, sealed) }, key)
	if err != nil {
		f.t.Fatal(err)
	}
}

func TestASessionOfAnOlderVersionGoesOn(t *testing.T) {
	f := newFixture(t)
	n := f.alone()
	app := f.enrolApp(alice)
	second := f.refresh(alice, app.grant.Refresh)
	older := func(record map[string]any) {
		record["challenges"] = []any{map[string]any{"challenge": "x", "expiresAt": f.now.Add(time.Minute)}}
		for _, session := range record["sessions"].([]any) {
			for _, name := range []string{"siblings", "spent", "hashedBy"} {
				delete(session.(map[string]any), name)
			}
		}
	}
	f.edit(older)
	again := f.refresh(alice, app.grant.Refresh) // within the grace
	third := f.refresh(alice, second.Refresh)
	f.advance(time.Minute)
	f.edit(older)
	n.rotate()
	f.advance(time.Minute)
	f.refresh(alice, third.Refresh) // with the key that was replaced
	f.wantNoRefresh(alice, again.Refresh)
	f.login(alice, factor.TypeTOTP, mfa.LoginProof{Code: app.backupCodes[0]})
}
