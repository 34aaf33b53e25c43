package passkey

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
)

// LoginOptions marshals to a PublicKeyCredentialRequestOptionsJSON
// (WebAuthn Level 3, section 5.1.9), which a browser takes through
// PublicKeyCredential.parseRequestOptionsFromJSON.
type LoginOptions struct {
	// Challenge is in base64url without padding.
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

// BeginLogin makes the options to answer challenge, which VerifyLogin needs
// back, with one of credentials, the states of the account's confirmed
// passkeys. The challenge must hold 16 random bytes at least (WebAuthn Level
// 3, section 13.4.3), and no two may be the same. An error is returned when
// there is no passkey: a browser would offer any that it has for the relying
// party.
func (k *Kind) BeginLogin(challenge []byte, credentials []json.RawMessage) (LoginOptions, error) {
	if len(credentials) == 0 {
		return LoginOptions{}, errors.New("the account has no passkey to log in with")
	}
	allowed, err := descriptors(credentials)
	if err != nil {
		return LoginOptions{}, err
	}
	return LoginOptions{
		Challenge:        base64.RawURLEncoding.EncodeToString(challenge),
		RPID:             k.rpID,
		UserVerification: k.userVerification,
		Timeout:          k.lifetime.Milliseconds(),
		AllowCredentials: allowed,
	}, nil
}
