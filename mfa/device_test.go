package mfa_test

import (
	"encoding/json"
	"testing"

	"github.com/descope/virtualwebauthn"

	"github.com/caddymfa/caddy-mfa/internal/passkeytest"
	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/passkey"
)

// device holds one passkey.
type device struct {
	authenticator virtualwebauthn.Authenticator
	credential    virtualwebauthn.Credential
}

func newDevice(t *testing.T) *device {
	t.Helper()
	return &device{credential: passkeytest.ES256(t)}
}

// relyingParty is the site at an origin, as a browser there tells the
// device.
func relyingParty(origin string) virtualwebauthn.RelyingParty {
	return virtualwebauthn.RelyingParty{ID: "example.com", Name: "Acme", Origin: origin}
}

// register answers the options of a setup.
func (d *device) register(t *testing.T, enrolment passkey.Enrolment) factor.Proof {
	t.Helper()
	encoded, err := json.Marshal(enrolment.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	options, err := virtualwebauthn.ParseAttestationOptions(string(encoded))
	if err != nil {
		t.Fatal(err)
	}
	d.authenticator = virtualwebauthn.NewAuthenticatorWithOptions(virtualwebauthn.AuthenticatorOptions{UserHandle: []byte(options.UserID)})
	answer := virtualwebauthn.CreateAttestationResponse(relyingParty(origin), d.authenticator, d.credential, *options)
	return factor.Proof{Credential: json.RawMessage(answer)}
}

// answer answers the options of a login at an origin.
func (d *device) answer(t *testing.T, options passkey.LoginOptions, origin string) mfa.LoginProof {
	t.Helper()
	encoded, err := json.Marshal(options)
	if err != nil {
		t.Fatal(err)
	}
	request, err := virtualwebauthn.ParseAssertionOptions(string(encoded))
	if err != nil {
		t.Fatal(err)
	}
	answer := virtualwebauthn.CreateAssertionResponse(relyingParty(origin), d.authenticator, d.credential, *request)
	return mfa.LoginProof{Credential: json.RawMessage(answer)}
}

// setupPasskey begins the setup of the device's passkey, and returns what
// confirms it.
func (f *fixture) setupPasskey(caller mfa.Caller, d *device) (*mfa.Setup, factor.Proof) {
	f.t.Helper()
	setup := f.setup(caller, mfa.SetupRequest{Type: factor.TypePasskey})
	return setup, d.register(f.t, setup.Offer.(passkey.Enrolment))
}

// enrolPasskey enrols the device's passkey, and returns its owner with the
// session that began.
func (f *fixture) enrolPasskey(caller mfa.Caller, d *device) mfa.Caller {
	f.t.Helper()
	_, proof := f.setupPasskey(caller, d)
	return f.as(caller)(f.VerifySetup(f.t.Context(), caller, factor.TypePasskey, proof))
}

// challenge draws the options of a login by passkey.
func (f *fixture) challenge(caller mfa.Caller) passkey.LoginOptions {
	f.t.Helper()
	options, err := f.PasskeyOptions(f.t.Context(), caller)
	if err != nil {
		f.t.Fatal(err)
	}
	return options
}
