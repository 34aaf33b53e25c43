package mfa_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

func TestDeletingAPersonRemovesAllThatIsKeptOfThem(t *testing.T) {
	f := newFixture(t)
	app := f.enrolApp(of(alice, "acme"))
	device := newDevice(t)
	f.enrolPasskey(app.caller, device)
	f.enrolApp(bob)
	if err := f.Delete(t.Context(), alice.Issuer, alice.Subject); err != nil {
		t.Fatal(err)
	}
	documents, err := f.store.List(t.Context(), "", "", 100)
	if err != nil {
		t.Fatal(err)
	}
	var people int
	for _, d := range documents {
		switch {
		case strings.HasPrefix(d.Key, "user/"):
			people++
		case strings.HasPrefix(d.Key, "credential/"):
			t.Errorf("the document %s is left", d.Key)
		}
	}
	if people != 1 {
		t.Errorf("%d people are left", people)
	}
	_, err = f.Account(t.Context(), alice.Issuer, alice.Subject)
	wantError(t, err, mfa.ErrNoUser)
	if f.live(app.grant.Assertion) {
		t.Error("a session of the deleted person goes on")
	}
	f.enrolPasskey(alice, device)
}

func TestTheOperatorsCommandsNeedAPerson(t *testing.T) {
	f := newFixture(t)
	for name, err := range map[string]error{
		"reset":  f.ResetAccount(t.Context(), alice.Issuer, alice.Subject, true),
		"unlock": f.Unlock(t.Context(), alice.Issuer, alice.Subject),
		"delete": f.Delete(t.Context(), alice.Issuer, alice.Subject),
	} {
		t.Run(name, func(t *testing.T) { wantError(t, err, mfa.ErrNoUser) })
	}
	if page, _, err := f.Accounts(t.Context(), "", 10); err != nil || len(page) != 0 {
		t.Errorf("accounts: %v, %v", page, err)
	}
}

func TestAResetTakesEverythingASecondFactorRestsOn(t *testing.T) {
	f := newFixture(t)
	app := f.enrolApp(of(alice, "acme"))
	device := newDevice(t)
	f.setupApp(f.enrolPasskey(app.caller, device)) // waits
	if err := f.ResetAccount(t.Context(), alice.Issuer, alice.Subject, true); err != nil {
		t.Fatal(err)
	}
	a, err := f.Account(t.Context(), alice.Issuer, alice.Subject)
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Methods)+len(a.Credentials)+len(a.Pending)+len(a.Sessions)+a.BackupCodes != 0 || !a.MustEnroll ||
		!slices.Equal(a.Organizations, []string{"acme"}) {
		t.Errorf("left: %+v", a)
	}
	wantError(t, f.tryCode(alice, app.backupCodes[0]), mfa.ErrWrongProof)
	if !f.status(alice).Required {
		t.Error("a factor is not required")
	}
	if f.enrolPasskey(alice, device); f.status(alice).Required {
		t.Error("a factor is still required")
	}
	last := f.events.events[slices.Index(f.events.kinds(), mfa.EventReset)]
	if last.By != mfa.Operator || last.Subject != alice.Subject {
		t.Errorf("the journal was told %+v", last)
	}
}

func TestAccountsAreListedPageByPage(t *testing.T) {
	f := newFixture(t)
	want := map[string]bool{}
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		f.enrolApp(mfa.Caller{Issuer: alice.Issuer, Subject: name, Email: name + "@example.com"})
		want[name] = true
	}
	cursor := ""
	for pages := 0; ; pages++ {
		page, next, err := f.Accounts(t.Context(), cursor, 2)
		if err != nil || len(page) > 2 || pages > 3 {
			t.Fatal(len(page), pages, err)
		}
		for _, a := range page {
			if !want[a.Subject] || a.Email != a.Subject+"@example.com" || a.Primary != factor.TypeTOTP || len(a.Sessions) != 1 {
				t.Errorf("account %+v", a)
			}
			delete(want, a.Subject)
		}
		if cursor = next; cursor == "" {
			break
		}
	}
	if len(want) != 0 {
		t.Errorf("not listed: %v", want)
	}
}
