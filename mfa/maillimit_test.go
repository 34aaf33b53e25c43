package mfa_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/mail"
)

// mailTo asks for a mail to address and returns how long to wait where the
// limit is reached.
func (f *fixture) mailTo(caller mfa.Caller, address string) (time.Duration, error) {
	f.t.Helper()
	_, err := f.Setup(f.t.Context(), caller, mfa.SetupRequest{Type: factor.TypeMagicLink, Email: address})
	var limit *mfa.RateLimitError
	if errors.As(err, &limit) {
		return limit.RetryAfter, nil
	}
	return 0, err
}

func (f *fixture) wantMail(caller mfa.Caller, address string, wait time.Duration) {
	f.t.Helper()
	if got, err := f.mailTo(caller, address); err != nil || got != wait {
		f.t.Errorf("%s to %s: wait %v, %v; want %v", caller.Subject, address, got, err, wait)
	}
}

func TestAPersonGetsFiveMailsInAQuarterOfAnHour(t *testing.T) {
	f := newFixture(t)
	for n := range 5 {
		f.wantMail(alice, fmt.Sprintf("alice%d@example.com", n), 0)
		f.advance(time.Minute)
	}
	f.wantMail(alice, "alice9@example.com", 10*time.Minute)
	f.wantMail(bob, "bob@example.com", 0)
	f.advance(10 * time.Minute)
	f.wantMail(alice, "alice9@example.com", 0)
	f.wantMail(alice, "alice9@example.com", time.Minute)
	if len(f.mails.Mails()) != 7 {
		t.Errorf("%d mails went out", len(f.mails.Mails()))
	}
}

func TestAnAddressGetsFiveMailsAnHourWhoeverAsks(t *testing.T) {
	f := newFixture(t)
	stranger := func(n int) mfa.Caller {
		return mfa.Caller{Issuer: alice.Issuer, Subject: fmt.Sprint("stranger ", n)}
	}
	for n := range 5 {
		f.wantMail(stranger(n), "victim@example.com", 0)
	}
	f.wantMail(stranger(5), "VICTIM@Example.COM", time.Hour)
	f.advance(time.Hour - time.Second)
	f.wantMail(stranger(6), "victim@example.com", time.Second)
	f.advance(time.Second)
	f.wantMail(stranger(7), "victim@example.com", 0)
}

func TestRequestsAtOnceDoNotGetPastTheMailLimit(t *testing.T) {
	f := newFixture(t)
	var limited atomic.Int32
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			wait, err := f.mailTo(alice, "alice@example.com")
			if err != nil {
				t.Error(err)
			}
			if wait > 0 {
				limited.Add(1)
			}
		})
	}
	wg.Wait()
	if len(f.mails.Mails()) != 5 || limited.Load() != 45 {
		t.Errorf("%d mails went out, %d requests were limited", len(f.mails.Mails()), limited.Load())
	}
}

func TestAMailThatCannotBeSentChangesNothing(t *testing.T) {
	f := newFixture(t)
	f.wantMail(alice, "alice@example.com", 0)
	token := f.mails.Token(t)
	down := fmt.Errorf("%w: nobody there", mail.ErrUnavailable)
	f.mails.Fail(down)
	for range 10 {
		_, err := f.mailTo(alice, "alice@example.com")
		wantError(t, err, mfa.ErrMailNotSent)
		wantError(t, err, down)
	}
	f.mails.Fail(nil)
	for range 4 {
		f.wantMail(bob, "bob@example.com", 0)
	}
	if err := f.activate(token); err != nil {
		t.Errorf("the link mailed before: %v", err)
	}
	for range 4 {
		f.wantMail(mfa.Caller{Issuer: "x", Subject: "y"}, "alice@example.com", 0)
	}
}

func TestMailRefusedByALimitReplacesNothing(t *testing.T) {
	f := newFixture(t)
	for range 5 {
		f.wantMail(alice, "alice@example.com", 0)
	}
	token := f.mails.Token(t)
	f.wantMail(alice, "alice@example.com", 15*time.Minute)
	if err := f.activate(token); err != nil {
		t.Error(err)
	}
}

func TestAMailThatMayHaveGoneOutCounts(t *testing.T) {
	f := newFixture(t)
	f.mails.Fail(errors.New("the server closed the connection"))
	for range 5 {
		_, err := f.mailTo(alice, "alice@example.com")
		wantError(t, err, mfa.ErrMailNotSent)
	}
	f.mails.Fail(nil)
	f.wantMail(alice, "alice@example.com", 15*time.Minute)
	f.wantMail(bob, "alice@example.com", time.Hour)
}

func TestAClientThatLeavesStopsNeitherItsMailNorTheCount(t *testing.T) {
	f := newFixture(t)
	for range 5 {
		ctx, leave := context.WithCancel(t.Context())
		f.mails.During(leave)
		_, err := f.Setup(ctx, alice, mfa.SetupRequest{Type: factor.TypeMagicLink, Email: "alice@example.com"})
		if err != nil {
			t.Errorf("the setup ends with its client: %v", err)
		}
	}
	f.mails.During(nil)
	if len(f.mails.Mails()) != 5 {
		t.Errorf("%d mails went out", len(f.mails.Mails()))
	}
	f.wantMail(alice, "alice@example.com", 15*time.Minute)
	if err := f.activate(f.mails.Token(t)); err != nil {
		t.Errorf("the last link: %v", err)
	}
}

func TestStrangersDoNotStarveWhoseTokenClaimsTheAddress(t *testing.T) {
	f := newFixture(t)
	claiming := func(subject, address string) mfa.Caller {
		return mfa.Caller{Issuer: alice.Issuer, Subject: subject, Email: address}
	}
	owner := claiming("alice", "Alice@Example.com")
	for n := range 5 {
		f.wantMail(claiming(fmt.Sprint("stranger ", n), "stranger@example.com"), "alice@example.com", 0)
	}
	f.wantMail(claiming("bob", "bob@example.com"), "alice@example.com", time.Hour)
	for range 5 {
		f.wantMail(owner, "alice+tag@example.com", 0)
	}
	f.advance(15 * time.Minute) // so that the limit of the person is not the one that is met
	f.wantMail(owner, "alice@example.com", 45*time.Minute)
	f.wantMail(owner, "elsewhere@example.com", 0)

	// Where the login lets anybody claim any address, it is not flooded either.
	for n := range 15 {
		f.wantMail(claiming(fmt.Sprint("claimant ", n), "alice@example.com"), "ALICE@example.com", 0)
	}
	f.wantMail(claiming("claimant 15", "alice@example.com"), "alice@example.com", 45*time.Minute)
}
