package passkey

import "github.com/go-webauthn/webauthn/webauthn"

// user is the account in go-webauthn's terms: registration looks at its
// handle, a login also at the credential that is to have signed.
type user struct {
	handle      []byte
	credentials []webauthn.Credential
}

func (u user) WebAuthnID() []byte                         { return u.handle }
func (u user) WebAuthnName() string                       { return "" }
func (u user) WebAuthnDisplayName() string                { return "" }
func (u user) WebAuthnCredentials() []webauthn.Credential { return u.credentials }
