package passkey

import (
	"bytes"
	"crypto/subtle"
	"encoding/json"
	"fmt"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

// The longest parts of an assertion that are looked at, in bytes. A
// browser's client data has a few hundred; authenticator data has 37
// besides the outputs of extensions, of which none is asked for.
const (
	maxClientData        = 4 << 10
	maxAuthenticatorData = 4 << 10
	maxSignature         = maxRSABits / 8
)

// ErrClonedCredential is returned when an assertion is right but its
// signature counter has not advanced: a copy of the passkey's private key
// may be in use. It wraps factor.ErrWrongProof.
var ErrClonedCredential = fmt.Errorf("%w: the signature counter did not advance", factor.ErrWrongProof)

// Login is an assertion that was verified.
type Login struct {
	// Index is that of the passkey that signed, in Account.Credentials.
	Index int
	// State is the new state of that passkey.
	State json.RawMessage
	// Synced says that the passkey can be backed up, so that its key is not
	// bound to one piece of hardware.
	Synced bool
}

// Challenge returns the challenge that an assertion answers, before
// anything about it has been checked but its size: up to 4 KiB of any text.
// factor.ErrWrongProof is returned when there is none to be found.
func Challenge(credential json.RawMessage) (string, error) {
	_, challenge, err := readAssertion(credential)
	return challenge, err
}

// VerifyLogin checks an assertion, an AuthenticationResponseJSON, against
// challenge by the steps of WebAuthn Level 3, section 7.2. It is up to the
// caller to see that a challenge lives and is spent by its first answer,
// and to keep Login.State, which the next assertion is checked against.
//
// factor.ErrWrongProof is returned when any step fails, ErrClonedCredential
// when only the one about the signature counter does.
func (k *Kind) VerifyLogin(account factor.Account, challenge string, credential json.RawMessage) (Login, error) {
	response, presented, err := readAssertion(credential)
	if err != nil {
		return Login{}, err
	}
	// Also checked below, where the reason would quote what was presented:
	// it may be another challenge that lives.
	if subtle.ConstantTimeCompare([]byte(presented), []byte(challenge)) != 1 {
		return Login{}, fmt.Errorf("%w: the challenge is not that of the login", factor.ErrWrongProof)
	}
	index, kept, err := find(account.Credentials, response.RawID)
	if err != nil {
		return Login{}, err
	}

	parsed, err := response.Parse()
	if err != nil {
		return Login{}, wrongProof(err, challenge)
	}
	// The service checks expiry, by its own clock.
	owner := user{handle: account.Handle, credentials: []webauthn.Credential{kept.credential()}}
	verified, err := k.relyingParty.ValidateLogin(owner, webauthn.SessionData{
		Challenge:            challenge,
		RelyingPartyID:       k.rpID,
		UserID:               account.Handle,
		AllowedCredentialIDs: [][]byte{kept.ID},
		UserVerification:     k.userVerification,
	}, parsed)
	if err != nil {
		return Login{}, wrongProof(err, challenge)
	}
	// The devices that share a synced passkey count each for itself, or not at
	// all; the library leaves the kept counter as it is then.
	if verified.Authenticator.CloneWarning && !kept.BackupEligible {
		return Login{}, fmt.Errorf("%w: it is %d after %d", ErrClonedCredential, parsed.Response.AuthenticatorData.Counter, kept.SignCount)
	}

	kept.SignCount = verified.Authenticator.SignCount
	kept.BackupState = verified.Flags.BackupState
	state, err := json.Marshal(kept)
	if err != nil {
		return Login{}, fmt.Errorf("writing credential: %w", err)
	}
	return Login{
		Index:  index,
		State:  state,
		Synced: kept.BackupEligible,
	}, nil
}

// readAssertion reads as much of an assertion as it takes to find the
// challenge that it answers, and bounds what would be costly to verify.
func readAssertion(credential json.RawMessage) (*protocol.CredentialAssertionResponse, string, error) {
	if err := checkSize(credential); err != nil {
		return nil, "", err
	}
	var response protocol.CredentialAssertionResponse
	if err := json.Unmarshal(credential, &response); err != nil {
		return nil, "", fmt.Errorf("%w: the credential is not an AuthenticationResponseJSON", factor.ErrWrongProof)
	}
	for _, part := range []struct {
		name        string
		size, limit int
	}{
		{"client data", len(response.AssertionResponse.ClientDataJSON), maxClientData},
		{"authenticator data", len(response.AssertionResponse.AuthenticatorData), maxAuthenticatorData},
		{"signature", len(response.AssertionResponse.Signature), maxSignature},
	} {
		if part.size > part.limit {
			return nil, "", fmt.Errorf("%w: the %s has %d bytes, more than %d", factor.ErrWrongProof, part.name, part.size, part.limit)
		}
	}
	var data protocol.CollectedClientData
	if err := json.Unmarshal(response.AssertionResponse.ClientDataJSON, &data); err != nil {
		return nil, "", fmt.Errorf("%w: the client data of the credential cannot be read", factor.ErrWrongProof)
	}
	if data.Challenge == "" {
		return nil, "", fmt.Errorf("%w: the client data of the credential has no challenge", factor.ErrWrongProof)
	}
	return &response, data.Challenge, nil
}

// find returns the passkey with the credential ID id among states.
// factor.ErrWrongProof is returned when there is none.
func find(states []json.RawMessage, id []byte) (int, record, error) {
	for i, state := range states {
		kept, err := readRecord(state)
		if err != nil {
			return 0, record{}, err
		}
		if bytes.Equal(kept.ID, id) {
			return i, kept, nil
		}
	}
	return 0, record{}, fmt.Errorf("%w: the account has no such passkey in use", factor.ErrWrongProof)
}
