package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa"
)

type activateRequest struct {
	Token       string          `json:"token"`
	MatchNumber json.RawMessage `json:"matchNumber"` // a number, or its digits
}

type linkRequest struct {
	Token string `json:"token"`
}

type linkData struct {
	Purpose     string    `json:"purpose"`
	RequestedAt time.Time `json:"requestedAt"`
	IP          string    `json:"ip"`
	UserAgent   string    `json:"userAgent"`
	ExpiresAt   time.Time `json:"expiresAt"`
}

// activateLink serves POST /mfa/magic-link/activate, which the landing page
// of a mailed link calls. It is open: the token is the proof.
func (h *Handler) activateLink(w http.ResponseWriter, r *http.Request) error {
	var request activateRequest
	if err := readJSON(w, r, &request); err != nil {
		return err
	}
	number, err := matchNumber(present(request.MatchNumber))
	if err != nil {
		return err
	}
	if request.Token == "" {
		return errNoLinkToken
	}
	link := mfa.OpenedLink{Token: request.Token, Number: number, Client: h.client(r)}
	if err := h.service.ActivateMagicLink(r.Context(), link); err != nil {
		return linkError(err)
	}
	return writeMessage(w, "Magic link MFA activated successfully")
}

// matchNumber reads the number that the asking screen shows, 0 when none
// was sent.
func matchNumber(raw json.RawMessage) (int, error) {
	if raw == nil {
		return 0, nil
	}
	var digits string
	if json.Unmarshal(raw, &digits) != nil {
		digits = string(raw)
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n < 0 {
		return 0, badRequest(`The member "matchNumber" must be the number that the asking screen shows.`)
	}
	return n, nil
}

// inspectLink serves POST /mfa/magic-link/inspect. It is open, as activate
// is.
func (h *Handler) inspectLink(w http.ResponseWriter, r *http.Request) error {
	token, err := readLinkToken(w, r)
	if err != nil {
		return err
	}
	info, err := h.service.InspectLink(r.Context(), token)
	if err != nil {
		return linkError(err)
	}
	return writeData(w, linkData{
		Purpose:     info.Purpose,
		RequestedAt: info.RequestedAt.Truncate(time.Second),
		IP:          info.Client.IP,
		UserAgent:   info.Client.UserAgent,
		ExpiresAt:   info.ExpiresAt,
	})
}

// denyLink serves POST /mfa/magic-link/deny. It is open, as activate is.
func (h *Handler) denyLink(w http.ResponseWriter, r *http.Request) error {
	token, err := readLinkToken(w, r)
	if err != nil {
		return err
	}
	if err := h.service.DenyLink(r.Context(), mfa.OpenedLink{Token: token, Client: h.client(r)}); err != nil {
		return linkError(err)
	}
	return writeMessage(w, "Magic link denied")
}

var errNoLinkToken = missing("token", "with the token from the mailed link")

func readLinkToken(w http.ResponseWriter, r *http.Request) (string, error) {
	var request linkRequest
	if err := readJSON(w, r, &request); err != nil {
		return "", err
	}
	if request.Token == "" {
		return "", errNoLinkToken
	}
	return request.Token, nil
}

// linkError is what the opener of a link is told, who brought no bearer: no
// more than that the link does not work.
func linkError(err error) error {
	const failed = "Invalid or expired token"
	if errors.Is(err, mfa.ErrTypeUnavailable) {
		return &apiError{status: http.StatusBadRequest, code: "invalid_magic_link", message: failed}
	}
	e := *translate(confirmError(err, failed))
	if e.status == http.StatusBadRequest {
		e.code = "invalid_magic_link"
	}
	return &e
}
