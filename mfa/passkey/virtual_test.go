package passkey

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/descope/virtualwebauthn"

	"github.com/caddymfa/caddy-mfa/internal/passkeytest"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

// virtualKeys returns a credential of each type that virtualwebauthn has.
func virtualKeys(t *testing.T) map[string]virtualwebauthn.Credential {
	t.Helper()
	return map[string]virtualwebauthn.Credential{
		"ES256": passkeytest.ES256(t),
		"RS256": virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeRSA),
	}
}

func TestAnAuthenticatorOfAnotherMakeEnrolsFromTheJSON(t *testing.T) {
	kind := newKind(t, func(c *Config) { c.UserVerification = "required" })
	relyingParty := virtualwebauthn.RelyingParty{ID: "example.com", Name: "Acme", Origin: "https://example.com:8443"}
	authenticator := virtualwebauthn.NewAuthenticator()
	holder := account
	for name, credential := range virtualKeys(t) {
		offer, enrolment := begin(t, kind, holder, factor.Request{})
		options, err := virtualwebauthn.ParseAttestationOptions(string(encodeJSON(t, enrolment.PublicKey)))
		if err != nil {
			t.Fatal(err)
		}
		if options.UserID != string(holder.Handle) || options.RelyingPartyID != "example.com" {
			t.Errorf("%s: options read as %+v", name, options)
		}
		// It attests its key by itself, in the format "packed".
		proof := factor.Proof{Credential: json.RawMessage(virtualwebauthn.CreateAttestationResponse(relyingParty, authenticator, credential, *options))}
		got, err := kind.Confirm(holder, offer.State, proof, now)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		kept, err := readRecord(got.State)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(kept.ID, credential.ID) || !bytes.Equal(kept.PublicKey, credential.Key.AttestationData()) ||
			!bytes.Equal(kept.AAGUID, authenticator.Aaguid[:]) {
			t.Errorf("%s: kept %+v", name, kept)
		}

		holder.Credentials = append(holder.Credentials, got.State)
		_, again := begin(t, kind, holder, factor.Request{})
		options, err = virtualwebauthn.ParseAttestationOptions(string(encodeJSON(t, again.PublicKey)))
		if err != nil {
			t.Fatal(err)
		}
		if !credential.IsExcludedForAttestation(*options) {
			t.Errorf("%s: the passkey is not among the excluded", name)
		}
	}
}

func TestASelfAttestationOverOtherDataIsRefused(t *testing.T) {
	kind := newKind(t, nil)
	for name, relyingParty := range map[string]virtualwebauthn.RelyingParty{
		"relying party": {ID: "evil.test", Origin: "https://login.example.com"},
		"origin":        {ID: "example.com", Origin: "https://evil.test"},
	} {
		for algorithm, credential := range virtualKeys(t) {
			offer, enrolment := begin(t, kind, account, factor.Request{})
			options := virtualwebauthn.AttestationOptions{Challenge: enrolment.PublicKey.Challenge}
			proof := factor.Proof{Credential: json.RawMessage(virtualwebauthn.CreateAttestationResponse(relyingParty, virtualwebauthn.NewAuthenticator(), credential, options))}
			if _, err := kind.Confirm(account, offer.State, proof, now); !errors.Is(err, factor.ErrWrongProof) {
				t.Errorf("another %s, %s: %v, want ErrWrongProof", name, algorithm, err)
			}
		}
	}
}

func TestAnAuthenticatorOfAnotherMakeLogsInFromTheJSON(t *testing.T) {
	kind := newKind(t, func(c *Config) { c.UserVerification = "required" })
	relyingParty := virtualwebauthn.RelyingParty{ID: "example.com", Name: "Acme", Origin: "https://example.com:8443"}
	for name, credential := range virtualKeys(t) {
		holder := account
		authenticator := virtualwebauthn.NewAuthenticatorWithOptions(virtualwebauthn.AuthenticatorOptions{UserHandle: holder.Handle})
		offer, enrolment := begin(t, kind, holder, factor.Request{})
		creation, err := virtualwebauthn.ParseAttestationOptions(string(encodeJSON(t, enrolment.PublicKey)))
		if err != nil {
			t.Fatal(err)
		}
		proof := factor.Proof{Credential: json.RawMessage(virtualwebauthn.CreateAttestationResponse(relyingParty, authenticator, credential, *creation))}
		got, err := kind.Confirm(holder, offer.State, proof, now)
		if err != nil {
			t.Fatal(err)
		}
		holder.Credentials = []json.RawMessage{got.State}
		authenticator.AddCredential(credential)

		options := beginLogin(t, kind, holder)
		request, err := virtualwebauthn.ParseAssertionOptions(string(encodeJSON(t, options)))
		if err != nil {
			t.Fatal(err)
		}
		if request.RelyingPartyID != "example.com" || authenticator.FindAllowedCredential(*request) == nil {
			t.Errorf("%s: options read as %+v", name, request)
		}
		answer := json.RawMessage(virtualwebauthn.CreateAssertionResponse(relyingParty, authenticator, credential, *request))
		if login, err := kind.VerifyLogin(holder, options.Challenge, answer); err != nil {
			t.Errorf("%s: %+v, %v", name, login, err)
		}
		phished := relyingParty
		phished.Origin = "https://evil.test"
		answer = json.RawMessage(virtualwebauthn.CreateAssertionResponse(phished, authenticator, credential, *request))
		if _, err := kind.VerifyLogin(holder, options.Challenge, answer); !errors.Is(err, factor.ErrWrongProof) {
			t.Errorf("%s at another origin: %v, want ErrWrongProof", name, err)
		}
	}
}
