package api

import (
	"errors"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

type credentialData struct {
	ID         string      `json:"id"`
	Type       factor.Type `json:"type"`
	Name       string      `json:"name"`
	CreatedAt  time.Time   `json:"createdAt"`
	LastUsedAt *time.Time  `json:"lastUsedAt"` // null when never
	IsEnabled  bool        `json:"isEnabled"`
	// Synced and Transports are of passkeys alone.
	Synced     *bool    `json:"synced,omitempty"`
	Transports []string `json:"transports,omitempty"`
}

type renameRequest struct {
	Name string `json:"name"`
}

// listCredentials serves GET /mfa/credentials.
func (h *Handler) listCredentials(w http.ResponseWriter, r *http.Request) error {
	caller, err := h.caller(r)
	if err != nil {
		return err
	}
	credentials, err := h.service.Credentials(r.Context(), caller)
	if err != nil {
		return err
	}
	data := make([]credentialData, len(credentials))
	for i, c := range credentials {
		data[i] = credentialData{
			ID: c.ID, Type: c.Type, Name: c.Name, CreatedAt: c.CreatedAt.Truncate(time.Second), IsEnabled: c.Enabled,
		}
		if !c.UsedAt.IsZero() {
			data[i].LastUsedAt = &c.UsedAt
		}
		if c.Passkey != nil {
			data[i].Synced, data[i].Transports = &c.Passkey.Synced, c.Passkey.Transports
		}
	}
	return writeData(w, data)
}

// renameCredential serves PATCH /mfa/credentials/{id}.
func (h *Handler) renameCredential(w http.ResponseWriter, r *http.Request) error {
	caller, err := h.caller(r)
	if err != nil {
		return err
	}
	var request renameRequest
	if err := readJSON(w, r, &request); err != nil {
		return err
	}
	if request.Name == "" {
		return missing("name", "with the new name")
	}
	if err := h.service.RenameCredential(r.Context(), caller, credentialID(r), request.Name); err != nil {
		return credentialError(err)
	}
	return writeMessage(w, "Credential renamed")
}

// removeCredential serves DELETE /mfa/credentials/{id}.
func (h *Handler) removeCredential(w http.ResponseWriter, r *http.Request) error {
	caller, err := h.caller(r)
	if err != nil {
		return err
	}
	if err := h.service.RemoveCredential(r.Context(), caller, credentialID(r)); err != nil {
		return credentialError(err)
	}
	return writeMessage(w, "Credential removed")
}

// credentialID is the last segment of the path, whose case counts.
func credentialID(r *http.Request) string {
	return path.Base(path.Clean(strings.TrimSuffix(r.URL.Path, "/")))
}

func credentialError(err error) error {
	switch {
	case errors.Is(err, mfa.ErrNoCredential):
		return &apiError{status: http.StatusNotFound, code: "credential_not_found", message: "Credential not found"}
	case errors.Is(err, mfa.ErrBadRequest):
		return badRequest("The credential cannot be called that: " + cutSentinel(err, mfa.ErrBadRequest) + ".")
	}
	return manageError(err)
}
