package passkey

import (
	"bytes"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

const (
	// maxProof is the size of the largest credential that is looked at,
	// in bytes of JSON.
	maxProof = 64 << 10

	// maxCredentialID is the length of the longest credential ID in bytes
	// (WebAuthn Level 3, section 4, "Credential ID").
	maxCredentialID = 1023

	// maxReason is how much of a verification error is passed on.
	maxReason = 256
)

// Confirm verifies the new credential in proof by the steps of WebAuthn
// Level 3, section 7.1, against the challenge of the setup. None is asked
// for an attestation; a statement that comes all the same is not looked
// at. factor.ErrWrongProof is returned when any step fails.
func (k *Kind) Confirm(account factor.Account, state json.RawMessage, proof factor.Proof, _ time.Time) (factor.Credential, error) {
	var setup pending
	if err := json.Unmarshal(state, &setup); err != nil || setup.Challenge == "" {
		return factor.Credential{}, errors.New("reading pending setup: not the state of a passkey")
	}
	if proof.Challenge != "" && subtle.ConstantTimeCompare([]byte(proof.Challenge), []byte(setup.Challenge)) != 1 {
		return factor.Credential{}, fmt.Errorf("%w: the challenge is not that of the pending setup", factor.ErrWrongProof)
	}
	id, err := credentialID(proof)
	if err != nil {
		return factor.Credential{}, err
	}
	for _, state := range account.Credentials {
		kept, err := readRecord(state)
		if err != nil {
			return factor.Credential{}, err
		}
		if bytes.Equal(kept.ID, id) {
			return factor.Credential{}, fmt.Errorf("%w: the account has this passkey already", factor.ErrWrongProof)
		}
	}

	verified, algorithm, err := k.verify(account.Handle, setup.Challenge, proof.Credential)
	if err != nil {
		return factor.Credential{}, wrongProof(err, setup.Challenge)
	}
	// What UniqueID named before is what the service has found to be new.
	if !bytes.Equal(verified.ID, id) {
		return factor.Credential{}, fmt.Errorf("%w: the credential ID is not the one that the authenticator made", factor.ErrWrongProof)
	}
	kept, err := json.Marshal(newRecord(verified, algorithm))
	if err != nil {
		return factor.Credential{}, fmt.Errorf("writing credential: %w", err)
	}
	return factor.Credential{Name: setup.Name, State: kept}, nil
}

// UniqueID returns the credential ID that proof claims, in base64url
// without padding: up to 1364 characters. factor.ErrWrongProof is
// returned when there is none, or id and rawId differ.
func (k *Kind) UniqueID(proof factor.Proof) (string, error) {
	id, err := credentialID(proof)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(id), nil
}

// verify has go-webauthn check credential, and checks the public key,
// which go-webauthn leaves for the first assertion to find unusable.
func (k *Kind) verify(handle []byte, challenge string, credential json.RawMessage) (*webauthn.Credential, int64, error) {
	parsed, err := protocol.ParseCredentialCreationResponseBytes(credential)
	if err != nil {
		return nil, 0, err
	}
	algorithm, err := checkPublicKey(parsed.Response.AttestationObject.AuthData.AttData.CredentialPublicKey)
	if err != nil {
		return nil, 0, err
	}
	// A statement proves nothing that counts here, and certificates of the
	// sender's making can cost seconds to verify.
	parsed.Response.AttestationObject.Format = string(protocol.AttestationFormatNone)
	parsed.Response.AttestationObject.AttStatement = nil
	// The service checks expiry, by its own clock.
	verified, err := k.relyingParty.CreateCredential(user{handle: handle}, webauthn.SessionData{
		Challenge:        challenge,
		RelyingPartyID:   k.rpID,
		UserID:           handle,
		UserVerification: k.userVerification,
		CredParams:       algorithms,
	}, parsed)
	if err != nil {
		return nil, 0, err
	}
	return verified, algorithm, nil
}

// credentialID returns the credential ID that proof claims.
func credentialID(proof factor.Proof) ([]byte, error) {
	if err := checkSize(proof.Credential); err != nil {
		return nil, err
	}
	var claimed struct {
		ID    protocol.URLEncodedBase64 `json:"id"`
		RawID protocol.URLEncodedBase64 `json:"rawId"`
	}
	if err := json.Unmarshal(proof.Credential, &claimed); err != nil {
		return nil, fmt.Errorf("%w: the credential is not a RegistrationResponseJSON", factor.ErrWrongProof)
	}
	switch {
	case len(claimed.RawID) == 0:
		return nil, fmt.Errorf("%w: the credential has no rawId", factor.ErrWrongProof)
	case len(claimed.RawID) > maxCredentialID:
		return nil, fmt.Errorf("%w: the credential ID has %d bytes, more than %d", factor.ErrWrongProof, len(claimed.RawID), maxCredentialID)
	case !bytes.Equal(claimed.ID, claimed.RawID):
		return nil, fmt.Errorf("%w: id and rawId of the credential differ", factor.ErrWrongProof)
	}
	return claimed.RawID, nil
}

// checkSize refuses a credential that is too large to be read.
func checkSize(credential json.RawMessage) error {
	switch n := len(credential); {
	case n == 0:
		return fmt.Errorf("%w: no credential was given", factor.ErrWrongProof)
	case n > maxProof:
		return fmt.Errorf("%w: the credential has %d bytes, more than %d", factor.ErrWrongProof, n, maxProof)
	}
	return nil
}

// wrongProof wraps the reason of a failed verification. Reasons hold text
// of the client's choosing, so they are quoted and cut; the challenge,
// which some of them quote, is taken out.
func wrongProof(err error, challenge string) error {
	reason := err.Error()
	var detailed *protocol.Error
	if errors.As(err, &detailed) && detailed.DevInfo != "" {
		reason = detailed.Details + ": " + detailed.DevInfo
	}
	reason = strings.ReplaceAll(reason, challenge, "[challenge]")
	if len(reason) > maxReason {
		reason = reason[:maxReason]
	}
	return fmt.Errorf("%w: verifying credential: %q", factor.ErrWrongProof, reason)
}
