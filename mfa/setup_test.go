package mfa_test

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/magiclink"
	"github.com/caddymfa/caddy-mfa/mfa/store"
)

func TestASetupCountsForNothingUntilItIsConfirmed(t *testing.T) {
	f := newFixture(t)
	secret := f.setupApp(alice)
	if status := f.status(alice); len(status.Methods) != 0 || status.Primary != "" || status.BackupCodes != 0 {
		t.Fatalf("a pending setup counts: %+v", status)
	}
	if err := f.confirmApp(alice, secret); err != nil {
		t.Fatal(err)
	}
	status := f.status(alice)
	if len(status.Methods) != 1 || status.Primary != factor.TypeTOTP || status.BackupCodes != 10 {
		t.Errorf("after confirmation: %+v", status)
	}
	if status := f.status(bob); len(status.Methods) != 0 {
		t.Errorf("another person got it too: %+v", status)
	}
}

func TestPeopleOfTheSameNameAtTwoIssuersAreTwoPeople(t *testing.T) {
	f := newFixture(t)
	if err := f.confirmApp(alice, f.setupApp(alice)); err != nil {
		t.Fatal(err)
	}
	for _, other := range []mfa.Caller{
		{Issuer: "https://other.example.com", Subject: "alice"},
		{Issuer: alice.Issuer + "a", Subject: "lice"},
		{Issuer: "", Subject: alice.Issuer + "alice"},
	} {
		if status := f.status(other); len(status.Methods) != 0 {
			t.Errorf("%+v is taken for alice", other)
		}
	}
}

func TestAPendingSetupLapses(t *testing.T) {
	f := newFixture(t)
	setup, proof := f.setupPasskey(alice, newDevice(t))
	if want := f.now.Add(mfa.PendingLifetime); !setup.ExpiresAt.Equal(want) {
		t.Errorf("expires at %v, want %v", setup.ExpiresAt, want)
	}
	f.advance(mfa.PendingLifetime)
	wantError(t, f.verifySetup(alice, factor.TypePasskey, proof), mfa.ErrNoPendingSetup)

	_, proof = f.setupPasskey(alice, newDevice(t))
	f.advance(mfa.PendingLifetime - time.Second)
	if err := f.verifySetup(alice, factor.TypePasskey, proof); err != nil {
		t.Errorf("a second before it lapses: %v", err)
	}
}

func TestARepeatedSetupReplacesThePendingOne(t *testing.T) {
	f := newFixture(t)
	first := f.setupApp(alice)
	second := f.setupApp(alice)
	wantError(t, f.confirmApp(alice, first), mfa.ErrWrongProof)
	if err := f.confirmApp(alice, second); err != nil {
		t.Fatal(err)
	}
}

func TestTheFifthWrongProofVoidsAPendingSetupAndNoOther(t *testing.T) {
	f := newFixture(t)
	secret := f.setupApp(alice)
	_, proof := f.setupPasskey(alice, newDevice(t))
	for range 5 {
		wantError(t, f.verifySetup(alice, factor.TypeTOTP, f.wrongCode(secret)), mfa.ErrWrongProof)
	}
	wantError(t, f.confirmApp(alice, secret), mfa.ErrNoPendingSetup)
	if err := f.verifySetup(alice, factor.TypePasskey, proof); err != nil {
		t.Errorf("the pending passkey: %v", err)
	}
}

func TestFourWrongProofsAreForgiven(t *testing.T) {
	f := newFixture(t)
	secret := f.setupApp(alice)
	for range 4 {
		wantError(t, f.verifySetup(alice, factor.TypeTOTP, f.wrongCode(secret)), mfa.ErrWrongProof)
	}
	if err := f.confirmApp(alice, secret); err != nil {
		t.Fatal(err)
	}
}

func TestAnUnreadableCredentialCountsAsAWrongProof(t *testing.T) {
	f := newFixture(t)
	_, proof := f.setupPasskey(alice, newDevice(t))
	for range 5 {
		wantError(t, f.verifySetup(alice, factor.TypePasskey, factor.Proof{}), mfa.ErrWrongProof)
	}
	wantError(t, f.verifySetup(alice, factor.TypePasskey, proof), mfa.ErrNoPendingSetup)
}

func TestConfirmingAFactorVoidsTheOtherPendingSetups(t *testing.T) {
	f := newFixture(t)
	f.setup(alice, mfa.SetupRequest{Type: factor.TypeMagicLink, Email: "thief@example.com"})
	token := f.mails.Token(t)
	_, proof := f.setupPasskey(alice, newDevice(t))
	if err := f.confirmApp(alice, f.setupApp(alice)); err != nil {
		t.Fatal(err)
	}
	wantError(t, f.activate(token), mfa.ErrNoPendingSetup)
	wantStepUp(t, f.verifySetup(alice, factor.TypeMagicLink, factor.Proof{Token: token}))
	wantStepUp(t, f.verifySetup(alice, factor.TypePasskey, proof))
	if status := f.status(alice); len(status.Methods) != 1 {
		t.Errorf("methods: %v", status.Methods)
	}
}

func TestWhoHasAFactorMustShowItToBeginAnother(t *testing.T) {
	f := newFixture(t)
	if err := f.confirmApp(alice, f.setupApp(alice)); err != nil {
		t.Fatal(err)
	}
	for _, request := range []mfa.SetupRequest{
		{Type: factor.TypeTOTP},
		{Type: factor.TypePasskey},
		{Type: factor.TypeMagicLink, Email: "thief@example.com"},
	} {
		_, err := f.Setup(t.Context(), alice, request)
		wantStepUp(t, err)
	}
	if len(f.mails.Mails()) != 0 {
		t.Error("a mail went out for a setup that was refused")
	}
}

func TestOneOfAHundredConfirmationsAtOnceSucceeds(t *testing.T) {
	f := newFixture(t)
	secret := f.setupApp(alice)
	proof := f.code(secret)
	var succeeded atomic.Int32
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			err := f.verifySetup(alice, factor.TypeTOTP, proof)
			if err == nil {
				succeeded.Add(1)
				return
			}
			wantStepUp(t, err)
		})
	}
	wg.Wait()
	if n := succeeded.Load(); n != 1 {
		t.Errorf("%d confirmations succeeded", n)
	}
	if status := f.status(alice); len(status.Methods) != 1 || status.BackupCodes != 10 {
		t.Errorf("status: %+v", status)
	}
}

func TestACredentialBelongsToOnePersonOnly(t *testing.T) {
	f := newFixture(t)
	stolen := newDevice(t)
	people := make([]mfa.Caller, 20)
	proofs := make([]factor.Proof, len(people))
	for i := range people {
		people[i] = mfa.Caller{Issuer: alice.Issuer, Subject: fmt.Sprint("person ", i)}
		_, proofs[i] = f.setupPasskey(people[i], stolen)
	}
	var succeeded atomic.Int32
	var wg sync.WaitGroup
	for i, person := range people {
		wg.Go(func() {
			err := f.verifySetup(person, factor.TypePasskey, proofs[i])
			if err == nil {
				succeeded.Add(1)
				return
			}
			wantError(t, err, mfa.ErrCredentialTaken)
		})
	}
	wg.Wait()
	if n := succeeded.Load(); n != 1 {
		t.Errorf("%d people got the same credential", n)
	}
}

func TestBackupCodesAreManyRandomBitsAndShownInOneForm(t *testing.T) {
	f := newFixture(t)
	setup := f.setup(alice, mfa.SetupRequest{Type: factor.TypeTOTP})
	form := regexp.MustCompile(`^[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){2}$`)
	seen := map[string]bool{}
	for _, code := range setup.BackupCodes {
		if !form.MatchString(code) || seen[code] {
			t.Errorf("code %q is ill-formed or repeated", code)
		}
		seen[code] = true
	}
	if len(seen) != 10 {
		t.Errorf("%d codes", len(seen))
	}
	again := f.setup(alice, mfa.SetupRequest{Type: factor.TypePasskey})
	if len(again.BackupCodes) != 10 {
		t.Error("a person without codes gets none with a passkey")
	}
}

func TestSignInsMayHaveToBeRecentForAFirstFactor(t *testing.T) {
	f := newFixture(t, func(c *mfa.Config) { c.EnrollmentMaxAuthAge = 5 * time.Minute })
	for _, row := range []struct {
		name    string
		signIn  time.Time
		refused bool
	}{
		{"just now", f.now, false},
		{"at the limit", f.now.Add(-5 * time.Minute), false},
		{"too long ago", f.now.Add(-5*time.Minute - time.Second), true},
		{"nobody knows when", time.Time{}, true},
	} {
		caller := alice
		caller.AuthTime = row.signIn
		_, err := f.Setup(t.Context(), caller, mfa.SetupRequest{Type: factor.TypeTOTP})
		var stepUp *mfa.StepUpError
		if refused := errors.As(err, &stepUp); refused != row.refused {
			t.Errorf("%s: %v", row.name, err)
		} else if refused && (stepUp.ACR != "" || stepUp.MaxAge != 5*time.Minute) {
			t.Errorf("%s: asks for %+v", row.name, stepUp)
		}
	}
}

func TestATypeThatIsUnknownOrNotOnOfferIsRefused(t *testing.T) {
	f := newFixture(t, func(c *mfa.Config) { c.Kinds = c.Kinds[:1] })
	for _, unknown := range []factor.Type{"", "google_auth", "SMS"} {
		_, err := f.Setup(t.Context(), alice, mfa.SetupRequest{Type: unknown})
		wantError(t, err, mfa.ErrUnknownType)
		wantError(t, f.verifySetup(alice, unknown, factor.Proof{}), mfa.ErrUnknownType)
	}
	_, err := f.Setup(t.Context(), alice, mfa.SetupRequest{Type: factor.TypeMagicLink, Email: "a@example.com"})
	wantError(t, err, mfa.ErrTypeUnavailable)
	wantError(t, f.activate("x.y"), mfa.ErrTypeUnavailable)
	methods, err := f.Methods(t.Context(), alice)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range methods {
		if want := m.Type == factor.TypeTOTP; m.Available != want || m.Configured {
			t.Errorf("%+v", m)
		}
	}
}

func TestAMagicLinkIsConfirmedByItsTokenAlone(t *testing.T) {
	f := newFixture(t)
	setup := f.setup(alice, mfa.SetupRequest{Type: factor.TypeMagicLink, Email: "Alice@Example.com"})
	if got := setup.Offer.(magiclink.Enrolment).Email; got != "Alice@example.com" {
		t.Errorf("the address is %q", got)
	}
	token := f.mails.Token(t)
	_, secret, _ := strings.Cut(token, ".")
	for _, wrong := range []string{"", "x", token + "x", token[1:], "." + token, strings.Repeat("a", 300) + "." + secret, "a." + secret} {
		if err := f.activate(wrong); !errors.Is(err, mfa.ErrWrongProof) && !errors.Is(err, mfa.ErrNoPendingSetup) {
			t.Errorf("token %q: %v", wrong, err)
		}
	}
	if err := f.activate(token); err != nil {
		t.Fatal(err)
	}
	wantError(t, f.activate(token), mfa.ErrNoPendingSetup)
	if status := f.status(alice); len(status.Methods) != 1 || status.Primary != factor.TypeMagicLink {
		t.Errorf("status: %+v", status)
	}
}

func TestStrangersGuessesDoNotVoidAMagicLink(t *testing.T) {
	f := newFixture(t)
	f.setup(alice, mfa.SetupRequest{Type: factor.TypeMagicLink, Email: "alice@example.com"})
	token := f.mails.Token(t)
	account, _, _ := magiclink.HashToken(token)
	f.setup(bob, mfa.SetupRequest{Type: factor.TypeMagicLink, Email: "bob@example.com"})
	_, secret, _ := bytes.Cut([]byte(f.mails.Token(t)), []byte("."))
	for range 20 {
		wantError(t, f.activate(account+"."+string(secret)), mfa.ErrWrongProof)
	}
	if err := f.activate(token); err != nil {
		t.Error(err)
	}
}

func TestATokenOfAnotherPersonConfirmsNothing(t *testing.T) {
	f := newFixture(t)
	f.setup(alice, mfa.SetupRequest{Type: factor.TypeMagicLink, Email: "alice@example.com"})
	token := f.mails.Token(t)
	f.setup(bob, mfa.SetupRequest{Type: factor.TypeMagicLink, Email: "bob@example.com"})
	wantError(t, f.verifySetup(bob, factor.TypeMagicLink, factor.Proof{Token: token}), mfa.ErrWrongProof)
	if err := f.verifySetup(alice, factor.TypeMagicLink, factor.Proof{Token: token}); err != nil {
		t.Error(err)
	}
}

func TestARecordMovedToAnotherPersonIsRefused(t *testing.T) {
	f := newFixture(t)
	if err := f.confirmApp(alice, f.setupApp(alice)); err != nil {
		t.Fatal(err)
	}
	records, err := f.store.List(t.Context(), "user/", "", 10)
	if err != nil || len(records) != 1 {
		t.Fatal(records, err)
	}
	f.setupApp(bob)
	all, err := f.store.List(t.Context(), "user/", "", 10)
	if err != nil || len(all) != 2 {
		t.Fatal(all, err)
	}
	for _, record := range all {
		err := f.store.Update(t.Context(), func(tx store.Tx) error {
			return tx.Put(record.Key, records[0].Value)
		}, record.Key)
		if err != nil {
			t.Fatal(err)
		}
	}
	if status := f.status(alice); len(status.Methods) != 1 {
		t.Errorf("alice's own record: %+v", status)
	}
	_, err = f.Status(t.Context(), bob)
	wantError(t, err, store.ErrCorrupt)
	_, err = f.Setup(t.Context(), bob, mfa.SetupRequest{Type: factor.TypeTOTP})
	wantError(t, err, store.ErrCorrupt)
}

func TestNothingReadableIsStored(t *testing.T) {
	f := newFixture(t)
	caller := mfa.Caller{Issuer: alice.Issuer, Subject: "subject-in-the-clear"}
	f.setup(caller, mfa.SetupRequest{Type: factor.TypeMagicLink, Email: "in-the-clear@example.com"})
	setup := f.setup(caller, mfa.SetupRequest{Type: factor.TypeTOTP})
	documents, err := f.store.List(t.Context(), "", "", 100)
	if err != nil || len(documents) < 3 {
		t.Fatal(documents, err)
	}
	for _, d := range documents {
		for _, secret := range append([]string{"in-the-clear", "GOOGLE_AUTH", alice.Issuer}, setup.BackupCodes...) {
			if bytes.Contains(d.Value, []byte(secret)) || bytes.Contains([]byte(d.Key), []byte(secret)) {
				t.Errorf("%q can be read in the document %s", secret, d.Key)
			}
		}
	}
}
