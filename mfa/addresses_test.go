package mfa_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

// addressed is a fixture whose subjects are e-mail addresses once *known is
// set, as after an update from a version that told their case apart.
func addressed(t *testing.T) (f *fixture, known *bool) {
	known = new(bool)
	return newFixture(t, func(config *mfa.Config) {
		config.AddressSubjects = func(issuer string) bool { return *known && issuer == alice.Issuer }
	}), known
}

// named is somebody of that subject.
func named(subject string) mfa.Caller {
	return mfa.Caller{Issuer: alice.Issuer, Subject: subject, Email: subject, Token: "token"}
}

func (f *fixture) join(want int) []mfa.Joined {
	f.t.Helper()
	joined, err := f.JoinAddressSubjects(f.t.Context())
	if err != nil || len(joined) != want {
		f.t.Fatalf("%+v, %v, want %d", joined, err, want)
	}
	return joined
}

func TestARecordUnderAnAddressWithCapitalsIsFoundInLowerCase(t *testing.T) {
	f, known := addressed(t)
	app := f.enrolApp(named("Bob@X.org"))
	device := newDevice(t)
	f.enrolPasskey(app.caller, device)
	for range 6 {
		_ = f.tryCode(named("Bob@X.org"), "000000")
	}
	f.enrolApp(named("carol@x.org"))
	*known = true
	if joined := f.join(1); joined[0] != (mfa.Joined{Issuer: alice.Issuer, Subject: "Bob@X.org"}) {
		t.Errorf("%+v", joined)
	}
	f.join(0)

	bob := named("bob@x.org")
	if shown := f.open(app.grant.Assertion); shown.Subject != "bob@x.org" || !f.live(app.grant.Assertion) {
		t.Errorf("the session of %q does not go on", shown.Subject)
	}
	var locked *mfa.LockedError
	if err := f.tryCode(bob, app.backupCodes[0]); !errors.As(err, &locked) {
		t.Errorf("the lockout is gone: %v", err)
	}
	f.advance(time.Hour)
	f.login(bob, factor.TypeTOTP, f.appProof(app.secret))
	f.login(bob, factor.TypeTOTP, mfa.LoginProof{Code: app.backupCodes[0]})
	wantError(t, f.tryCode(bob, app.backupCodes[0]), mfa.ErrWrongProof)

	for _, spelled := range []string{"bob@x.org", "BOB@x.org", "Bob@X.org"} {
		account, err := f.Account(t.Context(), alice.Issuer, spelled)
		if err != nil || account.Subject != "bob@x.org" || len(account.Credentials) != 2 || !f.Is(account, spelled) {
			t.Errorf("%s: %+v, %v", spelled, account, err)
		}
	}
	if err := f.Delete(t.Context(), alice.Issuer, "BOB@X.ORG"); err != nil {
		t.Fatal(err)
	}
	f.enrolPasskey(bob, device) // whose ID has been let go
	if people := f.people(); !slices.Equal(people, []string{"bob@x.org", "carol@x.org"}) {
		t.Errorf("the records are of %q", people)
	}
}

// people are the subjects of those who are kept.
func (f *fixture) people() []string {
	f.t.Helper()
	accounts, _, err := f.Accounts(f.t.Context(), "", 100)
	if err != nil {
		f.t.Fatal(err)
	}
	var subjects []string
	for _, a := range accounts {
		subjects = append(subjects, a.Subject)
	}
	slices.Sort(subjects)
	return subjects
}

func TestOfTwoRecordsOfOnePersonTheOneInLowerCaseIsKept(t *testing.T) {
	f, known := addressed(t)
	device := newDevice(t)
	capital := named("Bob@X.org")
	capital.Organizations = []string{"acme"}
	app := f.enrolApp(capital)
	f.enrolPasskey(app.caller, device)
	lower := f.enrolApp(named("bob@x.org"))
	*known = true
	if joined := f.join(1); !joined[0].Dropped {
		t.Errorf("%+v", joined)
	}
	bob := named("bob@x.org")
	f.login(bob, factor.TypeTOTP, f.appProof(lower.secret))
	wantError(t, f.tryCode(bob, app.backupCodes[0]), mfa.ErrWrongProof)
	account, err := f.Account(t.Context(), alice.Issuer, "bob@x.org")
	if err != nil || !slices.Equal(account.Organizations, []string{"acme"}) || len(account.Credentials) != 1 {
		t.Errorf("%+v, %v", account, err)
	}
	f.enrolPasskey(named("dave@x.org"), device) // whose ID has been let go
}

func TestSubjectsThatAreNoAddressesKeepTheirCase(t *testing.T) {
	f, known := addressed(t)
	*known = true
	other := mfa.Caller{Issuer: "https://other.example", Subject: "Bob@X.org", Token: "token"}
	f.enrolApp(other)
	f.join(0)
	if _, err := f.Account(t.Context(), other.Issuer, "bob@x.org"); err == nil {
		t.Error("another issuer's person is found in another case")
	}
}

func TestAnAdministratorReachesAnAddressInAnyCase(t *testing.T) {
	f, known := addressed(t)
	*known = true
	member := named("bob@x.org")
	member.Organizations = []string{"acme"}
	f.enrolApp(member)
	admin := named("admin@x.org")
	admin.Organizations, admin.Roles = []string{"acme"}, []string{"OWNER"}
	admin = f.enrolApp(admin).caller
	if err := f.Reset(t.Context(), admin, "BOB@x.org", false); err != nil {
		t.Fatal(err)
	}
	account, err := f.Account(t.Context(), alice.Issuer, "bob@x.org")
	if err != nil || len(account.Credentials) != 0 {
		t.Errorf("%+v, %v", account, err)
	}
	// Their own address, in another case, is themselves.
	if err := f.Reset(t.Context(), admin, "Admin@X.org", false); err != nil {
		t.Fatal(err)
	}
}

func TestAPersonIsToldOnceWhateverCaseTheirAddressesAreIn(t *testing.T) {
	var told []mfa.Notice
	f := newFixture(t, func(config *mfa.Config) {
		config.Notifier = notifierFunc(func(n mfa.Notice) { told = append(told, n) })
	})
	caller := named("bob@x.org")
	caller.Email = "Bob@X.org"
	f.enrolLink(caller, "bob@x.org")
	if len(told) != 1 || len(told[0].To) != 1 || !strings.EqualFold(told[0].To[0], "bob@x.org") {
		t.Errorf("%+v", told)
	}
}

type notifierFunc func(mfa.Notice)

func (f notifierFunc) Notify(n mfa.Notice) { f(n) }

func TestTwoRecordsOfOnePersonKeepNoMoreOrganizationsThanOne(t *testing.T) {
	names := func(kind string, count int) (names []string) {
		for n := range count {
			names = append(names, fmt.Sprint(kind, n))
		}
		return names
	}
	for name, row := range map[string]struct {
		capital, lower int // organizations
		factor         bool
		more           bool
	}{
		"some in each":                         {capital: 60, lower: 40},
		"too many in both together":            {capital: 60, lower: 60, more: true},
		"too many in capitals":                 {capital: 101, lower: 1, more: true},
		"too many in lower case":               {capital: 1, lower: 101, more: true},
		"too many in capitals, factor in both": {capital: 101, lower: 1, factor: true, more: true},
	} {
		t.Run(name, func(t *testing.T) {
			f, known := addressed(t)
			capital, lower := named("Bob@X.org"), named("bob@x.org")
			capital.Organizations, lower.Organizations = names("capital ", row.capital), names("lower ", row.lower)
			f.enrolApp(capital)
			f.standing(lower)
			if row.factor {
				f.enrolApp(lower)
			}
			*known = true
			f.join(1)
			account, err := f.Account(t.Context(), alice.Issuer, "bob@x.org")
			if err != nil {
				t.Fatal(err)
			}
			if kept := len(account.Organizations); kept > 100 || account.MoreOrganizations != row.more || f.standing(named("bob@x.org")).Enforced != row.more {
				t.Errorf("%d organizations are kept, and more: %v", kept, account.MoreOrganizations)
			}
		})
	}
}
