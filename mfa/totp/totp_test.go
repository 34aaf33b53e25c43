package totp

import (
	"encoding/base32"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/hotp"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

var now = time.Unix(1_800_000_015, 0)

func begin(t testing.TB, kind *Kind, account factor.Account, request factor.Request) (factor.Offer, Enrolment) {
	t.Helper()
	offer, err := kind.Begin(account, request, now)
	if err != nil {
		t.Fatal(err)
	}
	setup, ok := offer.Answer.(Enrolment)
	if !ok {
		t.Fatalf("the answer is a %T", offer.Answer)
	}
	return offer, setup
}

// codeAt returns the code of secret so many steps from now.
func codeAt(t *testing.T, secret string, offset int64) string {
	t.Helper()
	code, err := hotp.GenerateCode(secret, uint64(now.Unix()/30+offset))
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func TestASetupIsConfirmedByItsCodeAndSpendsTheStep(t *testing.T) {
	kind := newKind(t, 1)
	account := factor.Account{Name: "alice"}
	offer, setup := begin(t, kind, account, factor.Request{})
	for offset := int64(-1); offset <= 1; offset++ {
		got, err := kind.Confirm(account, offer.State, factor.Proof{Code: codeAt(t, setup.Secret, offset)}, now)
		if err != nil {
			t.Fatalf("step %+d: %v", offset, err)
		}
		var kept credential
		if err := json.Unmarshal(got.State, &kept); err != nil {
			t.Fatal(err)
		}
		if want := (credential{Secret: setup.Secret, LastStep: now.Unix()/30 + offset}); kept != want {
			t.Errorf("step %+d: kept %+v, want %+v", offset, kept, want)
		}
		if got.Name != "Authenticator app" {
			t.Errorf("named %q", got.Name)
		}
	}
}

func TestAWrongCodeIsAWrongProof(t *testing.T) {
	kind := newKind(t, 1)
	offer, setup := begin(t, kind, factor.Account{Name: "alice"}, factor.Request{})
	near := map[string]bool{}
	for offset := int64(-1); offset <= 1; offset++ {
		near[codeAt(t, setup.Secret, offset)] = true
	}
	for _, code := range []string{codeAt(t, setup.Secret, -2), codeAt(t, setup.Secret, 2), "000000", "", "12345", "abcdef"} {
		if near[code] {
			continue // one of a million secrets
		}
		got, err := kind.Confirm(factor.Account{}, offer.State, factor.Proof{Code: code}, now)
		if !errors.Is(err, factor.ErrWrongProof) {
			t.Errorf("%q: %v, want ErrWrongProof", code, err)
		}
		if got.State != nil || got.Name != "" {
			t.Errorf("%q: a credential was returned with the error", code)
		}
	}
}

func TestTheStateOfAnotherKindIsNoWrongProof(t *testing.T) {
	kind := newKind(t, 1)
	for _, state := range []string{"", "null", "{}", `{"secret":"SEEKRIT1`, `{"secret":"SEEKRIT1"}`, `"SEEKRIT1"`} {
		_, err := kind.Confirm(factor.Account{}, json.RawMessage(state), factor.Proof{Code: "123456"}, now)
		if err == nil || errors.Is(err, factor.ErrWrongProof) {
			t.Errorf("%s: %v, want an error of its own", state, err)
		}
		if err != nil && strings.Contains(err.Error(), "SEEKRIT") {
			t.Errorf("%s: the error %q gives the secret away", state, err)
		}
	}
}

func TestEverySetupHasItsOwn160BitSecret(t *testing.T) {
	kind := newKind(t, 1)
	seen := map[string]bool{}
	for range 100 {
		_, setup := begin(t, kind, factor.Account{Name: "alice"}, factor.Request{})
		raw, err := base32.StdEncoding.DecodeString(setup.Secret)
		if err != nil || len(raw) != 20 || strings.Contains(setup.Secret, "=") {
			t.Fatalf("a secret of %d bytes, %v", len(raw), err)
		}
		if seen[setup.Secret] {
			t.Fatal("a secret came twice")
		}
		seen[setup.Secret] = true
	}
}

func TestTheFactorIsNamedAfterTheDevice(t *testing.T) {
	kind := newKind(t, 0)
	for _, c := range []struct{ device, want string }{
		{"", "Authenticator app"},
		{" \n ", "Authenticator app"},
		{"iPhone 12", "iPhone 12"},
		{"i\x00Pho\u202ene\xff", "iPhone"},
		{strings.Repeat("例", 100), strings.Repeat("例", 64)},
	} {
		offer, setup := begin(t, kind, factor.Account{Name: "alice"}, factor.Request{Device: factor.Device{Name: c.device}})
		got, err := kind.Confirm(factor.Account{}, offer.State, factor.Proof{Code: codeAt(t, setup.Secret, 0)}, now)
		if err != nil || got.Name != c.want {
			t.Errorf("%q: named %q, %v, want %q", c.device, got.Name, err, c.want)
		}
	}
}

func TestBeginSendsNothingAndLeavesTheLifetimeToTheService(t *testing.T) {
	offer, _ := begin(t, newKind(t, 1), factor.Account{Name: "alice"}, factor.Request{})
	if offer.Deliver != nil || offer.Address != "" || offer.Lifetime != 0 {
		t.Errorf("offer %+v", offer)
	}
	if got := newKind(t, 1).Type(); got != factor.TypeTOTP {
		t.Errorf("type %q", got)
	}
}

func BenchmarkBegin(b *testing.B) {
	for _, c := range []struct{ name, account string }{
		{"Typical", "alice@example.com"},
		{"Longest", strings.Repeat("a", 192)},
	} {
		b.Run(c.name, func(b *testing.B) {
			kind := newKind(b, 1)
			account := factor.Account{Name: c.account}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := kind.Begin(account, factor.Request{}, now); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkConfirm(b *testing.B) {
	kind := newKind(b, 1)
	offer, setup := begin(b, kind, factor.Account{Name: "alice"}, factor.Request{})
	code, err := hotp.GenerateCode(setup.Secret, uint64(now.Unix()/30))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := kind.Confirm(factor.Account{}, offer.State, factor.Proof{Code: code}, now); err != nil {
			b.Fatal(err)
		}
	}
}
