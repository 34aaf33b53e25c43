package api

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/caddymfa/caddy-mfa/mfa"
	"github.com/caddymfa/caddy-mfa/mfa/factor"
)

type methodRequest struct {
	MFAType string `json:"mfaType"`
}

type resetRequest struct {
	ResetUserID string `json:"resetUserId"`
	Enable      bool   `json:"enable"`
}

type enforceRequest struct {
	Enforced *bool `json:"enforced"`
}

type backupCodesData struct {
	BackupCodes []string `json:"backupCodes"`
}

// enable serves POST /mfa/enable.
func (h *Handler) enable(w http.ResponseWriter, r *http.Request) error {
	return h.changeMethod(w, r, h.service.Enable, "MFA method enabled")
}

// disable serves POST /mfa/disable. It ends all sessions, that of the
// request too.
func (h *Handler) disable(w http.ResponseWriter, r *http.Request) error {
	return h.changeMethod(w, r, h.service.Disable, "MFA method disabled")
}

// primary serves POST /mfa/primary.
func (h *Handler) primary(w http.ResponseWriter, r *http.Request) error {
	return h.changeMethod(w, r, h.service.SetPrimary, "Primary MFA method updated")
}

// changeMethod changes what a type of factor is to the caller.
func (h *Handler) changeMethod(w http.ResponseWriter, r *http.Request,
	change func(context.Context, mfa.Caller, factor.Type) error, done string) error {
	caller, err := h.caller(r)
	if err != nil {
		return err
	}
	var request methodRequest
	if err := readJSON(w, r, &request); err != nil {
		return err
	}
	if err := change(r.Context(), caller, factor.Type(request.MFAType)); err != nil {
		return manageError(err)
	}
	return writeMessage(w, done)
}

// reset serves POST /mfa/reset.
func (h *Handler) reset(w http.ResponseWriter, r *http.Request) error {
	caller, err := h.caller(r)
	if err != nil {
		return err
	}
	var request resetRequest
	if err := readOptionalJSON(w, r, &request); err != nil {
		return err
	}
	err = h.service.Reset(r.Context(), caller, request.ResetUserID, request.Enable)
	if errors.Is(err, mfa.ErrForbidden) {
		return forbidden("Insufficient permissions. " + h.adminRoles() + " role required to reset another user's MFA.")
	}
	if err != nil {
		return manageError(err)
	}
	return writeMessage(w, "MFA reset successfully")
}

// enforce serves POST /mfa/organization/enforce.
func (h *Handler) enforce(w http.ResponseWriter, r *http.Request) error {
	caller, err := h.caller(r)
	if err != nil {
		return err
	}
	var request enforceRequest
	if err := readJSON(w, r, &request); err != nil {
		return err
	}
	if request.Enforced == nil {
		return missing("enforced", "as true or false")
	}
	err = h.service.Enforce(r.Context(), caller, *request.Enforced)
	if errors.Is(err, mfa.ErrForbidden) {
		return forbidden("Insufficient permissions. " + h.adminRoles() + " role required to enforce MFA for an organization.")
	}
	if err != nil {
		return manageError(err)
	}
	if *request.Enforced {
		return writeMessage(w, "MFA enforcement enabled for organization")
	}
	return writeMessage(w, "MFA enforcement disabled for organization")
}

// backupCodes serves POST /mfa/backup-codes.
func (h *Handler) backupCodes(w http.ResponseWriter, r *http.Request) error {
	caller, err := h.caller(r)
	if err != nil {
		return err
	}
	if err := readOptionalJSON(w, r, &struct{}{}); err != nil {
		return err
	}
	codes, err := h.service.ReplaceBackupCodes(r.Context(), caller)
	if errors.Is(err, mfa.ErrNotEnrolled) {
		return notEnrolled("You have no second factor that codes could stand in for: set one up first, it brings codes.")
	}
	if err != nil {
		return err
	}
	return writeData(w, backupCodesData{BackupCodes: codes})
}

// adminRoles names the roles that act on others.
func (h *Handler) adminRoles() string { return strings.Join(h.roles, " or ") }

func forbidden(message string) error {
	return &apiError{
		status: http.StatusForbidden, code: "insufficient_scope", message: message,
		challenge: realm + `, error="insufficient_scope"`,
	}
}

var errNoUser = &apiError{status: http.StatusNotFound, code: "user_not_found", message: "User not found"}

// manageError turns an error of a change into what the client is told.
func manageError(err error) error {
	switch {
	case errors.Is(err, mfa.ErrUnknownType), errors.Is(err, mfa.ErrTypeUnavailable):
		return typeError(err)
	case errors.Is(err, mfa.ErrNotEnrolled):
		return notEnrolled("This MFA method is not set up: set it up first.")
	case errors.Is(err, mfa.ErrEnforced):
		return &apiError{status: http.StatusForbidden, code: "mfa_enforced", message: "Cannot disable MFA when enforced by organization"}
	case errors.Is(err, mfa.ErrNoUser):
		return errNoUser
	case errors.Is(err, mfa.ErrNoOrganization):
		return &apiError{status: http.StatusBadRequest, code: "no_organization", message: "User not associated with an organization"}
	}
	return err
}
