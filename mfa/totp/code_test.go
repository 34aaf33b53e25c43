package totp

import (
	"encoding/base32"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/caddymfa/caddy-mfa/internal/testtool"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

// rfcSecret is the secret of RFC 6238, appendix B, for SHA-1.
var rfcSecret = base32.StdEncoding.EncodeToString([]byte("12345678901234567890"))

func newKind(t testing.TB, skew uint) *Kind {
	t.Helper()
	kind, err := New(Config{Issuer: "Acme", Skew: skew})
	if err != nil {
		t.Fatal(err)
	}
	return kind
}

func TestTheVectorsOfRFC6238AreFoundAtTheirStep(t *testing.T) {
	kind := newKind(t, 0)
	for _, vector := range []struct {
		seconds int64
		code    string // the vector's last six digits
	}{
		{59, "287082"},
		{1111111109, "081804"},
		{1111111111, "050471"},
		{1234567890, "005924"},
		{2000000000, "279037"},
		{20000000000, "353130"},
	} {
		step, err := kind.findStep(rfcSecret, vector.code, time.Unix(vector.seconds, 0), noStep)
		if err != nil {
			t.Errorf("at %d: %v", vector.seconds, err)
		} else if step != vector.seconds/30 {
			t.Errorf("at %d: step %d, want %d", vector.seconds, step, vector.seconds/30)
		}
	}
}

func TestSkewIsExactToTheSecond(t *testing.T) {
	// The code 081804 belongs to the step from 1111111080 to 1111111109.
	const code, first, last = "081804", 1111111080, 1111111109
	for _, skew := range []uint{0, 1, 10} {
		kind := newKind(t, skew)
		slack := int64(skew) * 30
		for _, c := range []struct {
			seconds int64
			good    bool
		}{
			{first - slack - 1, false},
			{first - slack, true},
			{last + slack, true},
			{last + slack + 1, false},
		} {
			step, err := kind.findStep(rfcSecret, code, time.Unix(c.seconds, 0), noStep)
			if (err == nil) != c.good {
				t.Errorf("skew %d, at %d: %v, want acceptance %v", skew, c.seconds, err, c.good)
			}
			if err == nil && step != first/30 {
				t.Errorf("skew %d, at %d: step %d, want %d", skew, c.seconds, step, first/30)
			}
			if err != nil && !errors.Is(err, factor.ErrWrongProof) {
				t.Errorf("skew %d, at %d: %v is not ErrWrongProof", skew, c.seconds, err)
			}
		}
	}
}

func TestASpentStepAndThoseBeforeItAreRefused(t *testing.T) {
	kind := newKind(t, 1)
	now := time.Unix(1111111109, 0)
	step := now.Unix() / 30
	if _, err := kind.findStep(rfcSecret, "081804", now, step-1); err != nil {
		t.Errorf("a step after the spent one: %v", err)
	}
	for _, spent := range []int64{step, step + 1} {
		if _, err := kind.findStep(rfcSecret, "081804", now, spent); !errors.Is(err, factor.ErrWrongProof) {
			t.Errorf("spent %d, code of %d: %v, want ErrWrongProof", spent, step, err)
		}
	}
}

func TestTheFirstStepsOfTheEpochAreSearchedWithoutGoingBelowZero(t *testing.T) {
	// 755224 is the code of counter 0 (RFC 4226, appendix D).
	step, err := newKind(t, 10).findStep(rfcSecret, "755224", time.Unix(0, 0), noStep)
	if err != nil || step != 0 {
		t.Errorf("step %d, %v, want step 0", step, err)
	}
}

func TestASecretThatCannotBeOursIsNoWrongProof(t *testing.T) {
	for _, secret := range []string{"", rfcSecret[:16], strings.Repeat("1", 32)} {
		_, err := newKind(t, 1).findStep(secret, "123456", time.Unix(59, 0), noStep)
		if err == nil || errors.Is(err, factor.ErrWrongProof) {
			t.Errorf("%q: got %v, want an error of its own", secret, err)
		}
		if err != nil && secret != "" && strings.Contains(err.Error(), secret) {
			t.Errorf("the error %q gives the secret away", err)
		}
	}
}

func TestCodesAreReadAsPeopleTypeThem(t *testing.T) {
	for _, typed := range []string{"123456", "123 456", " 12-34-56 ", "123\u00a0456", "123\u2013456", "123456\n",
		"١٢٣٤٥٦",       // Arabic-Indic digits
		"１２３４５６",       // full-width digits
		"१२३４5６",       // of several scripts
		"123456\u200b", // a zero-width space
	} {
		if code, err := parseCode(typed); err != nil || code != "123456" {
			t.Errorf("%q: %q, %v", typed, code, err)
		}
	}
}

func TestWhatIsNotSixDigitsIsMalformed(t *testing.T) {
	for _, typed := range []string{
		"", " ", "12345", "1234567", "12345a", "+12345", "0x1234", "12.456", "123456\x00",
		"123456\xff",          // not UTF-8
		"1 2 3 4 5 6 7 8 9 0", // too many
		"123456" + strings.Repeat(" ", 1<<20),
	} {
		if code, err := parseCode(typed); !errors.Is(err, factor.ErrMalformedProof) || !errors.Is(err, factor.ErrWrongProof) {
			t.Errorf("%.20q: %q, %v, want ErrMalformedProof", typed, code, err)
		}
	}
}

func TestCodesOfOathtoolAreAccepted(t *testing.T) {
	oathtool := testtool.Need(t, "oathtool")
	kind := newKind(t, 0)
	for i := range 20 {
		_, setup := begin(t, kind, factor.Account{Name: "alice"}, factor.Request{})
		now := time.Unix(1700000000+int64(i)*1_000_003, 0)
		out, err := exec.Command(oathtool, "--totp", "--base32", "--now", fmt.Sprintf("@%d", now.Unix()), setup.Secret).Output()
		if err != nil {
			t.Fatalf("running oathtool: %v", err)
		}
		if _, err := kind.findStep(setup.Secret, strings.TrimSpace(string(out)), now, noStep); err != nil {
			t.Errorf("at %d: %v", now.Unix(), err)
		}
	}
}
