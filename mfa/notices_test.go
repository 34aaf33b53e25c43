package mfa_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

// told keeps the notices that people were told.
type told struct {
	mu      sync.Mutex
	notices []mfa.Notice
}

func (t *told) Notify(n mfa.Notice) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.notices = append(t.notices, n)
}

// take returns the notices since the last call.
func (t *told) take() []mfa.Notice {
	t.mu.Lock()
	defer t.mu.Unlock()
	taken := t.notices
	t.notices = nil
	return taken
}

func newToldFixture(t *testing.T) (*fixture, *told) {
	t.Helper()
	n := &told{}
	return newFixture(t, func(c *mfa.Config) { c.Notifier = n }), n
}

// wantTold checks the one notice since the last look.
func (f *fixture) wantTold(n *told, kind mfa.EventKind, replaced bool, to ...string) {
	f.t.Helper()
	got := n.take()
	if len(got) != 1 || got[0].Kind != kind || got[0].Replaced != replaced || !slices.Equal(got[0].To, to) {
		f.t.Errorf("told %+v; want %s to %v, replaced: %v", got, kind, to, replaced)
	}
}

func TestTheAddressOfAMailFactorThatGoesIsToldToo(t *testing.T) {
	f, n := newToldFixture(t)
	claimed := mfa.Caller{Issuer: alice.Issuer, Subject: alice.Subject, Email: "claimed@example.com"}
	owner := f.enrolLink(claimed, "old@example.com")
	f.wantTold(n, mfa.EventEnrolled, false, "claimed@example.com", "old@example.com")

	owner = f.enrolLink(owner, "new@example.com")
	f.wantTold(n, mfa.EventEnrolled, true, "claimed@example.com", "new@example.com", "old@example.com")

	// From now on the old one is nobody's.
	app := f.enrolApp(owner)
	f.wantTold(n, mfa.EventEnrolled, false, "claimed@example.com", "new@example.com")

	credentials, err := f.Credentials(t.Context(), app.caller)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range credentials {
		if c.Type != factor.TypeMagicLink {
			continue
		}
		if err := f.RemoveCredential(t.Context(), app.caller, c.ID); err != nil {
			t.Fatal(err)
		}
	}
	f.wantTold(n, mfa.EventRemoved, false, "claimed@example.com", "new@example.com")
	f.enrolApp(app.caller)
	f.wantTold(n, mfa.EventEnrolled, true, "claimed@example.com")
}

func TestAMailFactorThatIsConfirmedByItsLinkTellsTheOldAddressToo(t *testing.T) {
	f, n := newToldFixture(t)
	owner := f.enrolLink(alice, "old@example.com")
	n.take()
	f.setup(owner, mfa.SetupRequest{Type: factor.TypeMagicLink, Email: "new@example.com"})
	if err := f.ActivateMagicLink(t.Context(), mfa.OpenedLink{Token: f.mails.Token(t)}); err != nil {
		t.Fatal(err)
	}
	got := n.take()
	if len(got) != 1 || !slices.Contains(got[0].To, "old@example.com") || !slices.Contains(got[0].To, "new@example.com") {
		t.Errorf("told %+v", got)
	}
}

func TestAnAddressThatTheLoginClaimedBeforeIsToldForAWeek(t *testing.T) {
	f, n := newToldFixture(t)
	as := func(email string) mfa.Caller {
		return mfa.Caller{Issuer: alice.Issuer, Subject: "bob", Email: email}
	}
	caller := f.enrolApp(as("bob@example.com")).caller
	f.wantTold(n, mfa.EventEnrolled, false, "bob@example.com")
	caller.Email = "BOB@example.com" // the same one
	caller = f.enrolApp(caller).caller
	f.wantTold(n, mfa.EventEnrolled, true, "BOB@example.com")
	caller.Email = "thief@example.net"
	app := f.enrolApp(caller)
	f.wantTold(n, mfa.EventEnrolled, true, "thief@example.net", "BOB@example.com")
	f.advance(7 * 24 * time.Hour)
	caller = f.as(as("thief@example.net"))(f.login(as("thief@example.net"), factor.TypeTOTP, f.appProof(app.secret)), nil)
	f.enrolApp(caller)
	f.wantTold(n, mfa.EventEnrolled, true, "thief@example.net")
}

func TestNoticesAreBoundedAndThoseOfFactorsHaveAPartOfTheirOwn(t *testing.T) {
	f, n := newToldFixture(t)
	claimed := mfa.Caller{Issuer: alice.Issuer, Subject: alice.Subject, Email: "alice@example.com"}
	caller := f.enrolApp(claimed).caller
	count := func() string {
		counts := map[mfa.EventKind]int{}
		for _, notice := range n.take() {
			counts[notice.Kind]++
		}
		return fmt.Sprint(counts)
	}
	newCodes := func() {
		if _, err := f.ReplaceBackupCodes(t.Context(), caller); err != nil {
			t.Fatal(err)
		}
	}
	for range 30 {
		newCodes()
	}
	if got := count(); got != "map[backup_codes_replaced:10 enrolled:1]" {
		t.Errorf("told %s", got)
	}
	// What else is told of has used up its part, and nothing beyond.
	var app enrolled
	for range 15 {
		app = f.enrolApp(caller)
		caller = app.caller
		newCodes()
	}
	if got := count(); got != "map[enrolled:9]" {
		t.Errorf("told %s", got)
	}
	f.advance(time.Hour - 16*30*time.Second)
	caller = f.as(claimed)(f.login(claimed, factor.TypeTOTP, f.appProof(app.secret)), nil)
	caller = f.enrolApp(caller).caller
	newCodes()
	if got := count(); got != "map[backup_codes_replaced:1 enrolled:1]" {
		t.Errorf("an hour later, told %s", got)
	}
}

// Who takes over the login changes the address there as often as they like.
func TestChangingTheClaimedAddressAgainDoesNotKeepTheOwnerFromBeingTold(t *testing.T) {
	f, n := newToldFixture(t)
	caller := f.enrolApp(mfa.Caller{Issuer: alice.Issuer, Subject: "bob", Email: "bob@example.com"}).caller
	n.take()
	for i := range 10 {
		caller.Email = fmt.Sprintf("thief%d@example.net", i)
		caller = f.enrolApp(caller).caller
		got := n.take()
		if len(got) != 1 || !slices.Contains(got[0].To, "bob@example.com") || !slices.Contains(got[0].To, caller.Email) || len(got[0].To) > 5 {
			t.Fatalf("after %d changes: told %+v", i+1, got)
		}
	}
	caller.Email = "bob@example.com"
	f.enrolApp(caller)
	if got := n.take(); len(got) != 1 || len(got[0].To) != 4 || got[0].To[0] != "bob@example.com" {
		t.Errorf("told %+v", got)
	}
}

// A factor that is turned off protects no more than one that is removed.
func TestNoticesOfCodesDoNotUseUpThoseOfFactorsTurnedOffAndOn(t *testing.T) {
	f, n := newToldFixture(t)
	caller := f.enrolApp(mfa.Caller{Issuer: alice.Issuer, Subject: alice.Subject, Email: "alice@example.com"}).caller
	for range 15 {
		if _, err := f.ReplaceBackupCodes(t.Context(), caller); err != nil {
			t.Fatal(err)
		}
	}
	n.take()
	if err := f.Disable(t.Context(), caller, factor.TypeTOTP); err != nil {
		t.Fatal(err)
	}
	f.wantTold(n, mfa.EventDisabled, false, "alice@example.com")
	if err := f.Enable(t.Context(), caller, factor.TypeTOTP); err != nil {
		t.Fatal(err)
	}
	f.wantTold(n, mfa.EventEnabled, false, "alice@example.com")
}
