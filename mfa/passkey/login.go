package passkey

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
)

// LoginOptions marshals to a PublicKeyCredentialRequestOptionsJSON
// (WebAuthn Level 3, section 5.1.9), which a browser takes through
// PublicKeyCredential.parseRequestOptionsFromJSON.
type LoginOptions struct {
	// Challenge is 32 random bytes in base64url without padding.
	Challenge string `json:"challenge"`
	// RPID is the relying party ID.
	RPID string `json:"rpId"`
	// UserVerification is "required", "preferred" or "discouraged".
	UserVerification protocol.UserVerificationRequirement `json:"userVerification"`
	// Timeout is how long the challenge lives, in milliseconds.
	Timeout int64 `json:"timeout"`
	// AllowCredentials names the passkeys that may answer, one at least.
	AllowCredentials []protocol.CredentialDescriptor `json:"allowCredentials"`
}

// LoginLifetime returns how long the challenge of a login lives.
func (k *Kind) LoginLifetime() time.Duration { return k.lifetime }

// BeginLogin makes a fresh challenge, which VerifyLogin needs back, and the
// options to answer it with one of credentials, the states of the account's
// confirmed passkeys. An error is returned when there is none: a browser
// would offer any passkey it has for the relying party.
func (k *Kind) BeginLogin(credentials []json.RawMessage) (challenge string, options LoginOptions, err error) {
	if len(credentials) == 0 {
		return "", LoginOptions{}, errors.New("the account has no passkey to log in with")
	}
	allowed, err := descriptors(credentials)
	if err != nil {
		return "", LoginOptions{}, err
	}
	drawn, err := protocol.CreateChallenge()
	if err != nil {
		return "", LoginOptions{}, fmt.Errorf("making challenge: %w", err)
	}
	challenge = drawn.String()
	return challenge, LoginOptions{
		Challenge:        challenge,
		RPID:             k.rpID,
		UserVerification: k.userVerification,
		Timeout:          k.lifetime.Milliseconds(),
		AllowCredentials: allowed,
	}, nil
}
