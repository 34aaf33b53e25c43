// Package passkey is the WebAuthn factor, PASSKEY: passkeys and security
// keys that are bound to the relying party's domain and cannot be
// phished (W3C Web Authentication, Level 3).
//
// It writes the options that a browser is given, has what comes back
// verified by go-webauthn, and keeps the credential record that assertions
// are checked against. Attestation is neither asked for nor kept: any
// authenticator will do.
package passkey

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

const (
	// defaultLifetime is what a person gets to answer the browser's
	// dialogue; the specification recommends five to ten minutes.
	defaultLifetime = 10 * time.Minute

	// The shortest and longest lifetime that New accepts.
	minLifetime = 10 * time.Second
	maxLifetime = 24 * time.Hour
)

// Config is what an operator decides about this factor.
type Config struct {
	// RPID is the relying party ID: the domain that passkeys are bound
	// to, in ASCII form, or "localhost". It equals the host of every
	// origin or is a registrable parent domain of it. Changing it makes
	// all passkeys unusable.
	RPID string

	// RPName is shown by the browser: the name of the product.
	RPName string

	// Origins are the web origins that passkeys may be made and used at, as
	// scheme://host[:port]; the first of these is told to clients. Apps for
	// Android have an origin too, android:apk-key-hash: and the SHA-256 hash of
	// their signing certificate in base64url.
	Origins []string

	// UserVerification is "required", "preferred" or "discouraged": whether
	// the authenticator has to check a PIN or a fingerprint. "" means
	// preferred.
	UserVerification string

	// Lifetime is how long a setup waits for its confirmation, and a
	// login's challenge for its answer: 10 seconds to 24 hours; 0 means 10
	// minutes.
	Lifetime time.Duration
}

// Kind implements factor.Kind and factor.Unique.
type Kind struct {
	relyingParty     *webauthn.WebAuthn
	rpID, rpName     string
	origin           string
	userVerification protocol.UserVerificationRequirement
	lifetime         time.Duration
}

var (
	_ factor.Kind   = (*Kind)(nil)
	_ factor.Unique = (*Kind)(nil)
)

// algorithms are the signature algorithms that are offered, best first.
// Every authenticator has ES256 or, on older Windows, RS256.
var algorithms = []protocol.CredentialParameter{
	{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgES256},
	{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgEdDSA},
	{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgES384},
	{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgES512},
	{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.AlgRS256},
}

// New returns the kind that config describes. An error is returned when
// a browser would refuse to make passkeys for it.
func New(config Config) (*Kind, error) {
	if err := checkRPID(config.RPID); err != nil {
		return nil, fmt.Errorf("rp_id: %w", err)
	}
	origins, apps, err := checkOrigins(config.Origins, config.RPID)
	if err != nil {
		return nil, fmt.Errorf("origins: %w", err)
	}
	name := factor.DisplayText(config.RPName, maxName)
	if name == "" {
		return nil, errors.New("relying party name is empty: give the name that browsers shall show")
	}
	if name != config.RPName {
		return nil, fmt.Errorf("relying party name %q holds control characters, outer spaces or more than %d characters: give a short plain name", config.RPName, maxName)
	}
	verification := protocol.UserVerificationRequirement(config.UserVerification)
	switch verification {
	case "":
		verification = protocol.VerificationPreferred
	case protocol.VerificationRequired, protocol.VerificationPreferred, protocol.VerificationDiscouraged:
	default:
		return nil, fmt.Errorf("user_verification: %q is unknown: give required, preferred or discouraged", config.UserVerification)
	}
	lifetime := config.Lifetime
	if lifetime == 0 {
		lifetime = defaultLifetime
	}
	if lifetime < minLifetime || lifetime > maxLifetime {
		return nil, fmt.Errorf("lifetime of a setup is %v: give %v to %v", lifetime, minLifetime, maxLifetime)
	}

	relyingParty, err := webauthn.New(&webauthn.Config{
		RPID:            config.RPID,
		RPDisplayName:   name,
		RPOrigins:       origins,
		RPOpaqueOrigins: apps,
		// Password managers report extensions that nobody asked for. None
		// is read here, so refusing them would only lock people out.
		ExtensionsUnsolicitedOutputPolicy: protocol.UnsolicitedOutputPolicyIgnore,
	})
	if err != nil {
		return nil, fmt.Errorf("configuring relying party: %w", err)
	}
	return &Kind{
		relyingParty:     relyingParty,
		rpID:             config.RPID,
		rpName:           name,
		origin:           origins[0],
		userVerification: verification,
		lifetime:         lifetime,
	}, nil
}

// Type returns factor.TypePasskey.
func (k *Kind) Type() factor.Type { return factor.TypePasskey }
