package totp

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/hotp"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

// stateAfter returns the state of a factor with the secret of RFC 6238
// whose last accepted step is so many steps from now.
func stateAfter(t testing.TB, offset int64) json.RawMessage {
	t.Helper()
	state, err := json.Marshal(credential{Secret: rfcSecret, LastStep: now.Unix()/30 + offset})
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func TestEachStepLogsInOnceAndOlderOnesNotAfterIt(t *testing.T) {
	kind := newKind(t, 1)
	state := stateAfter(t, -5)
	for _, c := range []struct {
		offset int64
		want   error
	}{
		{-2, factor.ErrWrongProof}, // outside of the window
		{0, nil},
		{0, factor.ErrSpentProof},
		{-1, factor.ErrSpentProof}, // never used, but older
		{1, nil},
		{1, factor.ErrSpentProof},
		{0, factor.ErrSpentProof},
		{-2, factor.ErrWrongProof},
		{2, factor.ErrWrongProof},
	} {
		got, err := kind.VerifyLogin(state, codeAt(t, rfcSecret, c.offset), now)
		if !errors.Is(err, c.want) || (c.want == factor.ErrWrongProof && errors.Is(err, factor.ErrSpentProof)) {
			t.Errorf("step %+d: %v, want %v", c.offset, err, c.want)
		}
		if err != nil {
			if got != nil {
				t.Errorf("step %+d: a state was returned with the error", c.offset)
			}
			continue
		}
		if want := string(stateAfter(t, c.offset)); string(got) != want {
			t.Errorf("step %+d: kept %s, want %s", c.offset, got, want)
		}
		state = got
	}
}

func TestTheCodeOfTheSetupDoesNotLogIn(t *testing.T) {
	kind := newKind(t, 1)
	setup, err := json.Marshal(pending{Secret: rfcSecret})
	if err != nil {
		t.Fatal(err)
	}
	code := codeAt(t, rfcSecret, 0)
	confirmed, err := kind.Confirm(factor.Account{}, setup, factor.Proof{Code: code}, now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kind.VerifyLogin(confirmed.State, code, now); !errors.Is(err, factor.ErrSpentProof) {
		t.Errorf("%v, want ErrSpentProof", err)
	}
	if _, err := kind.VerifyLogin(confirmed.State, codeAt(t, rfcSecret, 1), now); err != nil {
		t.Errorf("the next code: %v", err)
	}
}

func TestALoginKeepsToTheSkew(t *testing.T) {
	for _, skew := range []int64{0, 1, 3} {
		kind := newKind(t, uint(skew))
		for offset := -skew - 1; offset <= skew+1; offset++ {
			_, err := kind.VerifyLogin(stateAfter(t, -100), codeAt(t, rfcSecret, offset), now)
			if good := -skew <= offset && offset <= skew; (err == nil) != good {
				t.Errorf("skew %d, step %+d: %v, want acceptance %v", skew, offset, err, good)
			}
		}
	}
}

func TestASpentStepIsSpentAlsoAfterTheClockWentBack(t *testing.T) {
	kind := newKind(t, 1)
	if _, err := kind.VerifyLogin(stateAfter(t, 40), codeAt(t, rfcSecret, 0), now); !errors.Is(err, factor.ErrSpentProof) {
		t.Errorf("%v, want ErrSpentProof", err)
	}
}

// TestACodeOfTwoStepsSpendsTheLater uses a pair of steps that share a code,
// found by trying.
func TestACodeOfTwoStepsSpendsTheLater(t *testing.T) {
	const window = 21 // steps that a skew of 10 accepts
	kind := newKind(t, 10)
	seen := map[string]int64{}
	for step := int64(0); step < 1_000_000; step++ {
		code, err := hotp.GenerateCode(rfcSecret, uint64(step))
		if err != nil {
			t.Fatal(err)
		}
		earlier, ok := seen[code]
		seen[code] = step
		if !ok || step-earlier >= window {
			continue
		}
		at := time.Unix((step-10)*30, 0)
		state, err := json.Marshal(credential{Secret: rfcSecret, LastStep: earlier})
		if err != nil {
			t.Fatal(err)
		}
		spent, err := kind.VerifyLogin(state, code, at)
		if err != nil {
			t.Fatalf("with the earlier step spent: %v", err)
		}
		if _, err := kind.VerifyLogin(spent, code, at); !errors.Is(err, factor.ErrSpentProof) {
			t.Errorf("again: %v, want ErrSpentProof", err)
		}
		return
	}
	t.Fatal("no two steps share a code")
}

func TestWhatIsNoCodeDoesNotLogIn(t *testing.T) {
	for _, code := range []string{"", "12345", "1234567", "abcdef", strings.Repeat("1", 1<<20)} {
		_, err := newKind(t, 1).VerifyLogin(stateAfter(t, -5), code, now)
		if !errors.Is(err, factor.ErrWrongProof) || errors.Is(err, factor.ErrSpentProof) {
			t.Errorf("%.10q: %v, want ErrWrongProof", code, err)
		}
	}
}

func TestALoginFromTheStateOfAnotherKindIsNoWrongProof(t *testing.T) {
	for _, state := range []string{"", "null", "{}", `{"secret":"SEEKRIT1`, `{"secret":"SEEKRIT1","lastStep":1}`, `"SEEKRIT1"`} {
		_, err := newKind(t, 1).VerifyLogin(json.RawMessage(state), "123456", now)
		if err == nil || errors.Is(err, factor.ErrWrongProof) {
			t.Errorf("%s: %v, want an error of its own", state, err)
		}
		if err != nil && strings.Contains(err.Error(), "SEEKRIT") {
			t.Errorf("%s: the error %q gives the secret away", state, err)
		}
	}
}
