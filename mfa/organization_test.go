package mfa_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

// admin is a person of the organization acme with a role in it.
var admin = mfa.Caller{Issuer: alice.Issuer, Subject: "admin", Organizations: []string{"acme"}, Roles: []string{"OWNER"}}

// of is the caller with what their token claims of organizations.
func of(caller mfa.Caller, organizations ...string) mfa.Caller {
	caller.Organizations = organizations
	return caller
}

// standing tells what the caller is held to.
func (f *fixture) standing(caller mfa.Caller) mfa.Standing {
	f.t.Helper()
	standing, err := f.Standing(f.t.Context(), caller)
	if err != nil {
		f.t.Fatal(err)
	}
	return standing
}

func TestAnOrganizationsDemandHoldsWhatTodaysTokenOmits(t *testing.T) {
	f := newFixture(t)
	boss := f.enrolApp(admin).caller
	f.standing(of(alice, "acme"))
	f.standing(of(alice, "other"))
	f.standing(of(bob, "other"))
	if err := f.Enforce(t.Context(), boss, true); err != nil {
		t.Fatal(err)
	}
	if !f.standing(alice).Enforced || !f.standing(of(alice, "other")).Enforced {
		t.Error("a token without the claim escapes")
	}
	if status := f.status(alice); !status.Enforced || !status.Required {
		t.Errorf("status: %+v", status)
	}
	elsewhere := of(mfa.Caller{Issuer: "https://other.example.com", Subject: "alice"}, "acme")
	if f.standing(bob).Enforced || f.standing(elsewhere).Enforced {
		t.Error("it holds for people of other organizations")
	}
	if err := f.Enforce(t.Context(), boss, false); err != nil {
		t.Fatal(err)
	}
	if f.standing(alice).Enforced {
		t.Error("it holds after it was withdrawn")
	}
}

func TestActingOnOthersNeedsARoleAndARecentFactorThatIsNotMail(t *testing.T) {
	f := newFixture(t)
	f.enrolApp(of(bob, "acme"))
	app := f.enrolApp(admin)
	f.enrolLink(app.caller, "admin@example.com")
	f.sendLink(admin)
	mail := f.as(admin)(f.VerifyLogin(t.Context(), admin, factor.TypeMagicLink, mfa.LoginProof{Token: f.mails.Token(t)}))
	onlyMail := admin
	onlyMail.Subject = "admin with mail alone"
	onlyMail = f.enrolLink(onlyMail, "other@example.com")
	none := admin
	none.Subject = "admin without a factor"

	acts := map[string]func(mfa.Caller) error{
		"reset":   func(c mfa.Caller) error { return f.Reset(t.Context(), c, "bob", false) },
		"enforce": func(c mfa.Caller) error { return f.Enforce(t.Context(), c, true) },
	}
	for name, act := range acts {
		plain := app.caller
		plain.Roles = []string{"MEMBER", "owner"}
		wantError(t, act(plain), mfa.ErrForbidden)
		for _, caller := range []mfa.Caller{admin, mail, onlyMail, none} {
			t.Run(name, func(t *testing.T) { wantStepUp(t, act(caller)) })
		}
	}
	f.advance(15 * time.Minute)
	for _, act := range acts {
		wantStepUp(t, act(app.caller))
	}
	again := f.as(admin)(f.VerifyLogin(t.Context(), admin, factor.TypeTOTP, f.appProof(app.secret)))
	for name, act := range acts {
		if err := act(again); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnAdminReachesThoseWhoAreOfTheirOrganizationAlone(t *testing.T) {
	f := newFixture(t)
	boss := f.enrolApp(admin).caller
	person := func(name string, organizations ...string) {
		f.enrolApp(of(mfa.Caller{Issuer: alice.Issuer, Subject: name}, organizations...))
	}
	person("inside", "acme")
	person("in both", "acme", "other")
	person("elsewhere", "other")
	person("nowhere")
	reset := func(name string) error { return f.Reset(t.Context(), boss, name, true) }
	for _, name := range []string{"in both", "elsewhere", "nowhere", "nobody"} {
		wantError(t, reset(name), mfa.ErrNoUser)
	}
	outside := of(boss, "acme", "other")
	wantError(t, f.Reset(t.Context(), outside, "in both", false), mfa.ErrNoUser)
	wantError(t, f.Enforce(t.Context(), outside, true), mfa.ErrNoOrganization)
	wantError(t, f.Enforce(t.Context(), of(boss), true), mfa.ErrNoOrganization)

	if err := reset("inside"); err != nil {
		t.Fatal(err)
	}
	standing := f.standing(mfa.Caller{Issuer: alice.Issuer, Subject: "inside"})
	if standing.Enrolled || !standing.MustEnroll {
		t.Errorf("after the reset: %+v", standing)
	}
	person("inside", "acme")
	if f.standing(mfa.Caller{Issuer: alice.Issuer, Subject: "inside"}).MustEnroll {
		t.Error("who has enrolled must still do so")
	}
	if _, err := f.Account(t.Context(), alice.Issuer, "nobody"); !errors.Is(err, mfa.ErrNoUser) {
		t.Errorf("a record was made for nobody: %v", err)
	}
}

func TestTheLastFactorStaysWhereAnOrganizationDemandsOne(t *testing.T) {
	f := newFixture(t)
	if err := f.Enforce(t.Context(), f.enrolApp(admin).caller, true); err != nil {
		t.Fatal(err)
	}
	me := f.enrolPasskey(of(alice, "acme"), newDevice(t))
	me.Organizations = nil
	wantError(t, f.Disable(t.Context(), me, factor.TypePasskey), mfa.ErrEnforced)
	wantError(t, f.RemoveCredential(t.Context(), me, f.credentialID(alice, factor.TypePasskey)), mfa.ErrEnforced)
	if status := f.status(me); len(status.Methods) != 1 || !status.Verified {
		t.Errorf("status: %+v", status)
	}
	secret := f.setupApp(me)
	if err := f.confirmApp(me, secret); err != nil {
		t.Fatal(err)
	}
	if err := f.RemoveCredential(t.Context(), me, f.credentialID(alice, factor.TypeTOTP)); err != nil {
		t.Errorf("one that is not the last: %v", err)
	}
}

func TestTheJournalTellsAnOperatorFromAPersonOfThatName(t *testing.T) {
	f := newFixture(t)
	boss := admin
	boss.Subject = mfa.Operator
	boss = f.enrolApp(boss).caller
	person := func() { f.enrolApp(of(alice, "acme")) }
	reset := func() mfa.Event {
		t.Helper()
		kinds := f.events.kinds()
		if len(kinds) == 0 || kinds[len(kinds)-1] != mfa.EventReset {
			t.Fatalf("the journal was told %v", kinds)
		}
		return f.events.events[len(kinds)-1]
	}
	person()
	if err := f.Reset(t.Context(), boss, alice.Subject, false); err != nil {
		t.Fatal(err)
	}
	if e := reset(); e.ActorKind != mfa.ActorAdministrator || e.By != "operator" {
		t.Errorf("an administrator's reset is %+v", e)
	}
	person()
	if err := f.ResetAccount(t.Context(), alice.Issuer, alice.Subject, false); err != nil {
		t.Fatal(err)
	}
	if e := reset(); e.ActorKind != mfa.ActorOperator || e.By != "operator" {
		t.Errorf("an operator's reset is %+v", e)
	}
	if err := f.Enforce(t.Context(), boss, true); err != nil {
		t.Fatal(err)
	}
	if e := f.events.events[len(f.events.kinds())-1]; e.ActorKind != mfa.ActorAdministrator {
		t.Errorf("an enforcement is %+v", e)
	}
	if err := f.Reset(t.Context(), boss, "", false); err == nil {
		t.Error("an enforced administrator has no factor left")
	}
	if err := f.Enforce(t.Context(), boss, false); err != nil {
		t.Fatal(err)
	}
	if err := f.Reset(t.Context(), boss, "", false); err != nil {
		t.Fatal(err)
	}
	if e := reset(); e.ActorKind != mfa.ActorPerson || e.By != "" {
		t.Errorf("a person's own reset is %+v", e)
	}
}

func TestWhoIsSeenInMoreOrganizationsThanAreKeptIsHeldToAFactor(t *testing.T) {
	f := newFixture(t)
	names := func(from, to int) (names []string) {
		for n := from; n < to; n++ {
			names = append(names, fmt.Sprint("organization ", n))
		}
		return names
	}
	if f.standing(of(alice, names(0, 100)...)).Enforced {
		t.Error("a hundred organizations count as enforcing")
	}
	if !f.standing(of(alice, "one more")).Enforced || !f.standing(alice).Enforced || !f.standing(of(alice, "acme")).Enforced {
		t.Error("what is not kept is ignored")
	}
	before := f.document()
	for n := range 100 {
		f.standing(of(alice, fmt.Sprint("yet another ", n)))
	}
	if !bytes.Equal(before, f.document()) {
		t.Error("the record is written with every request")
	}
	app := f.enrolApp(alice)
	wantError(t, f.Disable(t.Context(), app.caller, factor.TypeTOTP), mfa.ErrEnforced)
	boss := f.enrolApp(admin).caller
	wantError(t, f.Reset(t.Context(), boss, "alice", false), mfa.ErrNoUser)
	account, err := f.Account(t.Context(), alice.Issuer, alice.Subject)
	if err != nil || !account.MoreOrganizations || len(account.Organizations) != 100 {
		t.Errorf("the operator is told of %d and more: %v, %v", len(account.Organizations), account.MoreOrganizations, err)
	}
}

func TestKnowingAPersonsOrganizationsCostsNothing(t *testing.T) {
	f := newFixture(t)
	shown := f.open(f.enrolApp(of(alice, "acme", "other")).grant.Assertion)
	if live, err := f.Live(t.Context(), shown); err != nil || !live {
		t.Fatal(live, err)
	}
	organizations := []string{"other", "acme"}
	allocs := testing.AllocsPerRun(100, func() {
		if known, err := f.Knows(t.Context(), shown, organizations); err != nil || !known {
			t.Error(known, err)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func TestAnOrganizationThatCannotBeKeptNowIsNotTriedWithEveryRequest(t *testing.T) {
	f := newFixture(t)
	f.enrolApp(of(alice, "acme"))
	node, way := f.watchedNode()
	if err := node.See(t.Context(), of(alice, "acme")); err != nil {
		t.Fatal(err)
	}
	way.away.Store(true)
	way.writes.Store(0)
	for range 100 {
		wantError(t, node.See(t.Context(), of(alice, "other")), store.ErrUnavailable)
	}
	if n := way.writes.Load(); n != 1 {
		t.Errorf("%d writes were tried", n)
	}
	way.away.Store(false)
	f.advance(2 * time.Second)
	if err := node.See(t.Context(), of(alice, "other")); err != nil {
		t.Fatal(err)
	}
	boss := f.enrolApp(admin).caller
	wantError(t, f.Reset(t.Context(), boss, "alice", false), mfa.ErrNoUser)
}
