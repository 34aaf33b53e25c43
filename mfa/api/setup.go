package api

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
	"github.com/caddymfa/caddy-mfa/mfa/magiclink"
	"github.com/caddymfa/caddy-mfa/mfa/passkey"
	"github.com/caddymfa/caddy-mfa/mfa/totp"
)

type setupRequest struct {
	MFAType    string     `json:"mfaType"`
	Email      string     `json:"email"`
	DeviceInfo deviceInfo `json:"deviceInfo"`
}

// deviceInfo is a device in either of the two shapes that clients send.
type deviceInfo struct {
	Name       string `json:"name"`
	Type       string `json:"type"`
	UserAgent  string `json:"userAgent"`
	DeviceType string `json:"deviceType"`
	OS         string `json:"os"`
	Browser    string `json:"browser"`
}

// Answers to a setup, one for each type of factor.
type (
	totpSetup struct {
		Secret      string    `json:"secret"`
		QRCode      string    `json:"qrCode"` // PNG as a data URL
		BackupCodes []string  `json:"backupCodes"`
		OTPAuthURL  string    `json:"otpauthUrl"`
		ExpiresAt   time.Time `json:"expiresAt"`
	}
	magicLinkSetup struct {
		Email                string    `json:"email"`
		VerificationRequired bool      `json:"verificationRequired"`
		BackupCodes          []string  `json:"backupCodes,omitempty"`
		ExpiresAt            time.Time `json:"expiresAt"`
	}
	passkeySetup struct {
		Challenge   string    `json:"challenge"`
		RPName      string    `json:"rpName"`
		UserName    string    `json:"userName"`
		RPID        string    `json:"rpID"`
		Origin      string    `json:"origin"`
		UserID      string    `json:"userId"`
		PublicKey   any       `json:"publicKey"` // WebAuthn L3, PublicKeyCredentialCreationOptionsJSON
		BackupCodes []string  `json:"backupCodes,omitempty"`
		ExpiresAt   time.Time `json:"expiresAt"`
	}
)

// setup serves POST /mfa/setup.
func (h *Handler) setup(w http.ResponseWriter, r *http.Request) error {
	caller, err := h.caller(r)
	if err != nil {
		return err
	}
	var request setupRequest
	if err := readJSON(w, r, &request); err != nil {
		return err
	}
	setup, err := h.service.Setup(r.Context(), caller, mfa.SetupRequest{
		Type:   factor.Type(request.MFAType),
		Email:  request.Email,
		Device: factor.Device(request.DeviceInfo),
	})
	if err != nil {
		return setupError(err)
	}
	answer, err := setupAnswer(setup)
	if err != nil {
		return setupError(err)
	}
	return writeData(w, answer)
}

func setupAnswer(setup *mfa.Setup) (any, error) {
	switch offer := setup.Offer.(type) {
	case totp.Enrolment:
		return totpSetup{
			Secret:      offer.Secret,
			QRCode:      offer.QRCode,
			BackupCodes: setup.BackupCodes,
			OTPAuthURL:  offer.URL,
			ExpiresAt:   setup.ExpiresAt,
		}, nil
	case magiclink.Enrolment:
		return magicLinkSetup{
			Email:                offer.Email,
			VerificationRequired: true,
			BackupCodes:          setup.BackupCodes,
			ExpiresAt:            setup.ExpiresAt,
		}, nil
	case passkey.Enrolment:
		return passkeySetup{
			Challenge:   offer.Challenge,
			RPName:      offer.RPName,
			UserName:    offer.UserName,
			RPID:        offer.RPID,
			Origin:      offer.Origin,
			UserID:      offer.UserID,
			PublicKey:   offer.PublicKey,
			BackupCodes: setup.BackupCodes,
			ExpiresAt:   setup.ExpiresAt,
		}, nil
	default:
		return nil, fmt.Errorf("answering a setup of type %T", offer)
	}
}

// setupError turns an error of Service.Setup into what the client is told.
func setupError(err error) error {
	const failed = "Failed to setup MFA"
	switch {
	case errors.Is(err, mfa.ErrUnknownType), errors.Is(err, mfa.ErrTypeUnavailable):
		return typeError(err)
	case errors.Is(err, mfa.ErrBadRequest):
		return badRequest(cutSentinel(err, mfa.ErrBadRequest))
	case errors.Is(err, mfa.ErrMailNotSent):
		return &apiError{status: http.StatusInternalServerError, code: "mail_not_sent", message: failed, cause: err}
	}
	e := *translate(err)
	if e.status == http.StatusInternalServerError {
		e.message = failed
	}
	return &e
}

// typeError is the answer to a type of factor that does not exist, or not
// here.
func typeError(err error) error {
	code := "invalid_mfa_type"
	if errors.Is(err, mfa.ErrTypeUnavailable) {
		code = "mfa_type_unavailable"
	}
	return &apiError{status: http.StatusBadRequest, code: code, message: "Invalid MFA type specified"}
}
