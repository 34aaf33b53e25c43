package api

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

type verifySetupRequest struct {
	MFAType    string          `json:"mfaType"`
	Code       string          `json:"code"`
	Token      string          `json:"token"`
	Credential json.RawMessage `json:"credential"`
	Challenge  string          `json:"challenge"`
}

type completeRegistrationRequest struct {
	Credential json.RawMessage `json:"credential"`
	Challenge  string          `json:"challenge"`
}

// verifySetup serves POST /mfa/verify-setup.
func (h *Handler) verifySetup(w http.ResponseWriter, r *http.Request) error {
	caller, err := h.caller(r)
	if err != nil {
		return err
	}
	var request verifySetupRequest
	if err := readJSON(w, r, &request); err != nil {
		return err
	}
	t := factor.Type(request.MFAType)
	proof := factor.Proof{
		Code:       request.Code,
		Token:      request.Token,
		Credential: present(request.Credential),
		Challenge:  request.Challenge,
	}
	if err := requireProof(t, proof); err != nil {
		return err
	}
	grant, err := h.service.VerifySetup(r.Context(), caller, t, proof)
	if err != nil {
		return confirmError(err, "MFA setup verification failed")
	}
	return h.writePair(w, r, "MFA setup verified and enabled", grant)
}

// completeRegistration serves POST /mfa/passkey/complete-registration.
func (h *Handler) completeRegistration(w http.ResponseWriter, r *http.Request) error {
	caller, err := h.caller(r)
	if err != nil {
		return err
	}
	var request completeRegistrationRequest
	if err := readJSON(w, r, &request); err != nil {
		return err
	}
	proof := factor.Proof{Credential: present(request.Credential), Challenge: request.Challenge}
	if err := requireProof(factor.TypePasskey, proof); err != nil {
		return err
	}
	grant, err := h.service.VerifySetup(r.Context(), caller, factor.TypePasskey, proof)
	if err != nil {
		return confirmError(err, "Passkey registration failed")
	}
	return h.writePair(w, r, "Passkey registration completed", grant)
}

// present treats a JSON null like a member that is absent.
func present(raw json.RawMessage) json.RawMessage {
	if string(raw) == "null" {
		return nil
	}
	return raw
}

// requireProof refuses a request that lacks the proof of its type. It is
// a mistake of the program that sent it, and does not count as a wrong
// proof.
func requireProof(t factor.Type, proof factor.Proof) error {
	switch {
	case t == factor.TypeTOTP && proof.Code == "":
		return missing("code", "with the code that the authenticator app shows")
	case t == factor.TypeMagicLink && proof.Token == "":
		return missing("token", "with the token from the mailed link")
	case t == factor.TypePasskey && len(proof.Credential) == 0:
		return missing("credential", "with the credential that the browser created")
	}
	return nil
}

func missing(member, how string) error {
	return badRequest(`The member "` + member + `" is missing: send it ` + how + `.`)
}

// confirmError turns an error of a confirmation into what the client is
// told; failed is the route's own message.
func confirmError(err error, failed string) error {
	code, hint := "", ""
	switch {
	case errors.Is(err, mfa.ErrUnknownType), errors.Is(err, mfa.ErrTypeUnavailable):
		return typeError(err)
	case errors.Is(err, factor.ErrMalformedProof):
		code, hint = malformedCode, "A code is the 6 digits that your authenticator app shows."
	case errors.Is(err, mfa.ErrWrongProof):
		code = "setup_verification_failed"
	case errors.Is(err, mfa.ErrNoPendingSetup):
		code = "no_pending_setup"
	case errors.Is(err, mfa.ErrCredentialTaken):
		code = "credential_taken"
	case errors.Is(err, mfa.ErrTooManyCredentials):
		code = "too_many_credentials"
	default:
		return err
	}
	return &apiError{status: http.StatusBadRequest, code: code, message: failed, hint: hint, cause: err}
}
