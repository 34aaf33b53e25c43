package totp

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// VerifyLogin accepts the code of a current time step that comes after the
// last one accepted, and returns the state in which that step is spent,
// with all before it. state is that of a confirmed factor.
//
// factor.ErrSpentProof is returned for the code of a current time step that
// is spent already, factor.ErrMalformedProof for what cannot be a code, and
// factor.ErrWrongProof for any other one.
func (k *Kind) VerifyLogin(state json.RawMessage, code string, now time.Time) (json.RawMessage, error) {
	var kept credential
	if err := json.Unmarshal(state, &kept); err != nil {
		// The cause may quote the state, and the state holds the secret.
		return nil, errors.New("reading credential: not the state of an authenticator app")
	}
	digits, err := parseCode(code)
	if err != nil {
		return nil, err
	}
	if kept.LastStep, err = k.findStep(kept.Secret, digits, now, kept.LastStep); err != nil {
		return nil, err
	}
	spent, err := json.Marshal(kept)
	if err != nil {
		return nil, fmt.Errorf("writing credential: %w", err)
	}
	return spent, nil
}
