package passkey

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/go-webauthn/webauthn/protocol"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

// maxUserName is the longest account name that is sent, in runes.
const maxUserName = 254

// Enrolment is what the client is told at setup. PublicKey is all that a
// browser needs; the rest repeats its parts for clients that build the
// options themselves.
type Enrolment struct {
	// Challenge is 32 random bytes in base64url without padding.
	Challenge string `json:"challenge"`
	// RPName is the name of the relying party.
	RPName string `json:"rpName"`
	// UserName is the name that the account is listed by.
	UserName string `json:"userName"`
	// RPID is the relying party ID.
	RPID string `json:"rpID"`
	// Origin is the first of the origins that passkeys are accepted from.
	Origin string `json:"origin"`
	// UserID is the user handle in base64url without padding.
	UserID string `json:"userId"`
	// PublicKey marshals to a PublicKeyCredentialCreationOptionsJSON
	// (WebAuthn Level 3, section 5.1.8), which a browser takes through
	// PublicKeyCredential.parseCreationOptionsFromJSON.
	PublicKey protocol.PublicKeyCredentialCreationOptions `json:"publicKey"`
}

// pending is the state of a setup that waits for the new credential.
type pending struct {
	// Challenge is in base64url, as client data holds it.
	Challenge string `json:"challenge"`
	// Name is what the passkey will be called.
	Name string `json:"name"`
}

// Begin makes a fresh challenge and the options to create a passkey with.
// The account is named by request.Email, or by account.Name when no
// e-mail address is given. factor.ErrBadRequest is returned when that
// address holds control characters or is not UTF-8, or when neither name
// has anything to show.
func (k *Kind) Begin(account factor.Account, request factor.Request, _ time.Time) (factor.Offer, error) {
	if n := len(account.Handle); n < protocol.MinimumUserHandleLength || n > protocol.MaximumUserHandleLength {
		return factor.Offer{}, fmt.Errorf("user handle has %d bytes: WebAuthn takes %d to %d", n, protocol.MinimumUserHandleLength, protocol.MaximumUserHandleLength)
	}
	userName, err := accountName(account, request)
	if err != nil {
		return factor.Offer{}, err
	}
	excluded, err := descriptors(account.Credentials)
	if err != nil {
		return factor.Offer{}, err
	}
	challenge, err := protocol.CreateChallenge()
	if err != nil {
		return factor.Offer{}, fmt.Errorf("making challenge: %w", err)
	}
	state, err := json.Marshal(pending{Challenge: challenge.String(), Name: passkeyName(request.Device)})
	if err != nil {
		return factor.Offer{}, fmt.Errorf("writing pending setup: %w", err)
	}

	handle := protocol.URLEncodedBase64(account.Handle)
	return factor.Offer{
		State:    state,
		Lifetime: k.lifetime,
		Answer: Enrolment{
			Challenge: challenge.String(),
			RPName:    k.rpName,
			UserName:  userName,
			RPID:      k.rpID,
			Origin:    k.origin,
			UserID:    handle.String(),
			PublicKey: protocol.PublicKeyCredentialCreationOptions{
				RelyingParty: protocol.RelyingPartyEntity{
					CredentialEntity: protocol.CredentialEntity{Name: k.rpName},
					ID:               k.rpID,
				},
				User: protocol.UserEntity{
					CredentialEntity: protocol.CredentialEntity{Name: userName},
					DisplayName:      userName,
					ID:               handle,
				},
				Challenge:             challenge,
				Parameters:            slices.Clone(algorithms),
				Timeout:               int(k.lifetime.Milliseconds()),
				CredentialExcludeList: excluded,
				AuthenticatorSelection: protocol.AuthenticatorSelection{
					RequireResidentKey: protocol.ResidentKeyNotRequired(),
					ResidentKey:        protocol.ResidentKeyRequirementPreferred,
					UserVerification:   k.userVerification,
				},
				Attestation: protocol.PreferNoAttestation,
			},
		},
	}, nil
}

// accountName returns the name that authenticators list the account by.
//
// A bad address in the request is refused, because its sender can mend
// it. A bad character in the account's own name is left out, because
// nobody at hand can.
func accountName(account factor.Account, request factor.Request) (string, error) {
	if !factor.Plain(request.Email) {
		return "", fmt.Errorf("%w: email holds control characters or is not UTF-8: send a plain address or leave it out", factor.ErrBadRequest)
	}
	if name := factor.DisplayText(request.Email, maxUserName); name != "" {
		return name, nil
	}
	if name := factor.DisplayText(account.Name, maxUserName); name != "" {
		return name, nil
	}
	return "", fmt.Errorf("%w: the account has no name that a passkey could be listed by: send an email", factor.ErrBadRequest)
}
