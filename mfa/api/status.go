package api

import (
	"net/http"

	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

type statusData struct {
	IsEnabled            bool          `json:"isEnabled"`
	IsRequired           bool          `json:"isRequired"`
	IsEnforced           bool          `json:"isEnforced"`
	EnabledMethods       []factor.Type `json:"enabledMethods"`
	PrimaryMethod        *factor.Type  `json:"primaryMethod"` // null when none
	SessionVerified      bool          `json:"sessionVerified"`
	BackupCodesRemaining int           `json:"backupCodesRemaining"`
	BackupCodesACR       *string       `json:"backupCodesAcr"` // null when none are left
}

type methodData struct {
	Type         factor.Type `json:"type"`
	Name         string      `json:"name"`
	Description  string      `json:"description"`
	IsAvailable  bool        `json:"isAvailable"`
	IsConfigured bool        `json:"isConfigured"`
	IsEnabled    bool        `json:"isEnabled"`
}

// methodTexts are the name and the description of each type of factor.
var methodTexts = map[factor.Type][2]string{
	factor.TypeTOTP:      {"Authenticator app", "A six-digit code from an app such as Google Authenticator."},
	factor.TypeMagicLink: {"Magic link", "A link sent to your e-mail address."},
	factor.TypePasskey:   {"Passkey", "Your device's screen lock or a security key."},
}

// status serves GET /mfa/status.
func (h *Handler) status(w http.ResponseWriter, r *http.Request) error {
	caller, err := h.caller(r)
	if err != nil {
		return err
	}
	status, err := h.service.Status(r.Context(), caller)
	if err != nil {
		return err
	}
	data := statusData{
		IsEnabled:            len(status.Methods) > 0,
		IsRequired:           status.Required,
		IsEnforced:           status.Enforced,
		SessionVerified:      status.Verified,
		EnabledMethods:       append([]factor.Type{}, status.Methods...),
		BackupCodesRemaining: status.BackupCodes,
	}
	if status.BackupCodesACR != "" {
		data.BackupCodesACR = &status.BackupCodesACR
	}
	if status.Primary != "" {
		data.PrimaryMethod = &status.Primary
	}
	return writeData(w, data)
}

// methods serves GET /mfa/methods.
func (h *Handler) methods(w http.ResponseWriter, r *http.Request) error {
	caller, err := h.caller(r)
	if err != nil {
		return err
	}
	methods, err := h.service.Methods(r.Context(), caller)
	if err != nil {
		return err
	}
	data := make([]methodData, len(methods))
	for i, m := range methods {
		data[i] = methodData{
			Type:         m.Type,
			Name:         methodTexts[m.Type][0],
			Description:  methodTexts[m.Type][1],
			IsAvailable:  m.Available,
			IsConfigured: m.Configured,
			IsEnabled:    m.Enabled,
		}
	}
	return writeData(w, data)
}
