package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

type verifyLoginRequest struct {
	MFAType    string          `json:"mfaType"`
	Code       string          `json:"code"`
	Token      string          `json:"token"`
	Credential json.RawMessage `json:"credential"`
	SessionID  string          `json:"sessionId"`
}

type linkSentAnswer struct {
	Success bool     `json:"success"`
	Message string   `json:"message"`
	Data    linkSent `json:"data"`
}

type linkSent struct {
	Message     string    `json:"message"`
	SessionID   string    `json:"sessionId,omitempty"`
	MatchNumber int       `json:"matchNumber,omitempty"`
	ExpiresAt   time.Time `json:"expiresAt"`
}

// verifyLogin serves POST /mfa/verify-login.
func (h *Handler) verifyLogin(w http.ResponseWriter, r *http.Request) error {
	caller, err := h.caller(r)
	if err != nil {
		return err
	}
	var request verifyLoginRequest
	if err := readJSON(w, r, &request); err != nil {
		return err
	}
	t := factor.Type(request.MFAType)
	proof := mfa.LoginProof{
		Code:       request.Code,
		Token:      request.Token,
		Link:       request.SessionID,
		Credential: present(request.Credential),
	}
	if err := requireLoginProof(t, proof); err != nil {
		return err
	}
	grant, err := h.service.VerifyLogin(r.Context(), caller, t, proof)
	if err != nil {
		return loginError(err)
	}
	return h.writePair(w, r, "MFA verification successful", grant)
}

// requireLoginProof refuses a request that does not bring exactly one proof
// of its type. It is a mistake of the program that sent it, and does not
// count as a wrong proof.
func requireLoginProof(t factor.Type, proof mfa.LoginProof) error {
	if !t.Known() {
		return typeError(mfa.ErrUnknownType)
	}
	count := 0
	for _, given := range []bool{proof.Code != "", proof.Token != "", proof.Link != "", len(proof.Credential) > 0} {
		if given {
			count++
		}
	}
	if count > 1 {
		return badRequest(`The request has more than one proof: send one of "code", "token", "sessionId" and "credential".`)
	}
	if proof.Code != "" {
		return nil // a backup code stands in for any type
	}
	switch {
	case t == factor.TypeTOTP:
		return missing("code", "with the code that the authenticator app shows, or a backup code")
	case t == factor.TypeMagicLink && proof.Token == "" && proof.Link == "":
		return missing("sessionId", `with the one that magic-link/send gave, or "token" with that from the mailed link`)
	case t == factor.TypePasskey && len(proof.Credential) == 0:
		return missing("credential", "with the browser's answer to passkey/auth-options")
	}
	return nil
}

// malformedCode is the code of the answer to what cannot be a code, which does
// not count as a wrong one.
const malformedCode = "malformed_code"

// loginError turns an error of Service.VerifyLogin into what the client is
// told.
func loginError(err error) error {
	const failed = "MFA verification failed"
	code, hint := "", ""
	switch {
	case errors.Is(err, mfa.ErrUnknownType), errors.Is(err, mfa.ErrTypeUnavailable):
		return typeError(err)
	case errors.Is(err, mfa.ErrLinkPending):
		return &apiError{
			status: http.StatusUnauthorized, code: "magic_link_pending", message: failed,
			challenge: stepUpChallenge("The link has not been approved yet", mfa.ACRMail, 0),
		}
	case errors.Is(err, factor.ErrMalformedProof):
		code, hint = malformedCode, "A code is the 6 digits that your authenticator app shows, or a backup code of 12 letters and digits, such as 7KQ2-M4TY-3X6T."
	case errors.Is(err, mfa.ErrWrongProof):
		code = "mfa_verification_failed"
	default:
		return err
	}
	return &apiError{
		status: http.StatusUnauthorized, code: code, message: failed, hint: hint, cause: err,
		challenge: stepUpChallenge(failed, mfa.ACRMFA, 0),
	}
}

// passkeyOptions serves POST /mfa/passkey/auth-options.
func (h *Handler) passkeyOptions(w http.ResponseWriter, r *http.Request) error {
	caller, err := h.caller(r)
	if err != nil {
		return err
	}
	if err := readOptionalJSON(w, r, &struct{}{}); err != nil {
		return err
	}
	options, err := h.service.PasskeyOptions(r.Context(), caller)
	switch {
	case errors.Is(err, mfa.ErrTypeUnavailable):
		return typeError(err)
	case errors.Is(err, mfa.ErrNotEnrolled):
		return notEnrolled("You have no passkey: set one up first.")
	case err != nil:
		return err
	}
	return writeData(w, options)
}

// sendLink serves POST /mfa/magic-link/send.
func (h *Handler) sendLink(w http.ResponseWriter, r *http.Request) error {
	caller, err := h.caller(r)
	if err != nil {
		return err
	}
	if err := readOptionalJSON(w, r, &struct{}{}); err != nil {
		return err
	}
	sent, err := h.service.SendLink(r.Context(), caller)
	switch {
	case errors.Is(err, mfa.ErrTypeUnavailable):
		return typeError(err)
	case errors.Is(err, mfa.ErrNotEnrolled), errors.Is(err, mfa.ErrNoPendingSetup), errors.Is(err, mfa.ErrBadRequest):
		return errNoUser
	case errors.Is(err, mfa.ErrMailNotSent):
		return &apiError{status: http.StatusInternalServerError, code: "mail_not_sent", message: "Failed to send magic link", cause: err}
	case err != nil:
		return err
	}
	const message = "Magic link sent successfully"
	return writeJSON(w, http.StatusOK, linkSentAnswer{Success: true, Message: message, Data: linkSent{
		Message: message, SessionID: sent.ID, MatchNumber: sent.Number, ExpiresAt: sent.ExpiresAt,
	}})
}

// notEnrolled is the answer to a request about a factor that the person does
// not have.
func notEnrolled(message string) error {
	return &apiError{status: http.StatusBadRequest, code: "mfa_not_enrolled", message: message}
}
