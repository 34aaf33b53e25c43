package main_test

import (
	"maps"
	"net/http"
	"sync"
	"testing"

	"github.com/caddymfa/caddy-mfa/internal/edgetest"
)

// copies sends the same request a hundred times at once and counts the
// answers by status.
func copies(t *testing.T, e *edgetest.Edge, request func() *http.Request) map[int]int {
	t.Helper()
	var (
		requests [100]*http.Request
		answers  [100]edgetest.Answer
		all      sync.WaitGroup
		start    = make(chan struct{})
	)
	for i := range requests {
		requests[i] = request()
		all.Go(func() {
			<-start
			var err error
			if answers[i], err = edgetest.Try(requests[i]); err != nil {
				t.Error(err)
			}
		})
	}
	close(start)
	all.Wait()
	count := map[int]int{}
	for i, answer := range answers {
		e.Check(requests[i], answer)
		count[answer.Status]++
	}
	return count
}

func TestOfAHundredCopiesOfAProofOneSucceeds(t *testing.T) {
	for name, proof := range map[string]func(*person) string{
		"code":        func(p *person) string { return p.code(0) },
		"backup code": func(p *person) string { return p.backup[0] },
	} {
		t.Run(name, func(t *testing.T) {
			e := edgetest.New(t)
			e.Start(gated(adminGate))
			alice := enrolled(t, e, "alice", nil)
			code := proof(alice)
			count := copies(t, e, func() *http.Request {
				return e.Request("POST", "/mfa/verify-login", alice.token, map[string]any{"mfaType": "GOOGLE_AUTH", "code": code})
			})
			if count[200] != 1 || count[200]+count[401]+count[429] != 100 {
				t.Errorf("the answers were %v, want 1 of 200", count)
			}
		})
	}
}

func TestOfAHundredCopiesOfALinkOneIsTaken(t *testing.T) {
	e := edgetest.New(t)
	e.Start(gated(adminGate))
	token := e.Token("alice", nil)
	setupLink(e, token, "alice@example.org").Data(t)
	activate(e, onlyToken(t, e)).WantMessage(t, "Magic link MFA activated successfully")
	e.Do("POST", "/mfa/magic-link/send", token, nil).Data(t)
	link := lastToken(t, outbox(t, e))
	count := copies(t, e, func() *http.Request {
		return e.Request("POST", "/mfa/verify-login", token, map[string]any{"mfaType": "MAGIC_LINK", "token": link})
	})
	if want := map[int]int{200: 1, 401: 99}; !maps.Equal(count, want) {
		t.Errorf("the answers were %v, want %v", count, want)
	}
}
