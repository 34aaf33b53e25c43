package api

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/caddymfa/caddy-mfa/mfa"
)

// pairAnswer is the answer to a proof that was accepted.
type pairAnswer struct {
	Success         bool      `json:"success"`
	Message         string    `json:"message"`
	FullAccessToken string    `json:"fullAccessToken"`
	RefreshToken    string    `json:"refreshToken"`
	ExpiresAt       time.Time `json:"expiresAt"`
	// BackupCodesVoid is of verify-setup alone.
	BackupCodesVoid bool `json:"backupCodesVoid,omitempty"`
}

type refreshRequest struct {
	RefreshToken string `json:"refreshToken"`
}

type signOutRequest struct {
	Everywhere bool `json:"everywhere"`
}

type signOutAnswer struct {
	Success bool        `json:"success"`
	Message string      `json:"message"`
	Data    signOutData `json:"data"`
}

type signOutData struct {
	Ended int `json:"ended"`
}

// nothingEnded is the message of a sign-out that presents no session.
const nothingEnded = `No session was ended: send the fullAccessToken or the cookie of the one that shall end, or "everywhere": true.`

// writePair answers with the token pair and sets the cookie.
func (h *Handler) writePair(w http.ResponseWriter, r *http.Request, message string, g *mfa.Grant) error {
	h.warnOfLength(r, len(g.Assertion))
	setCookie(w, g.Cookie, int(g.ExpiresAt.Sub(h.now())/time.Second))
	return writeJSON(w, http.StatusOK, pairAnswer{
		Success:         true,
		Message:         message,
		FullAccessToken: g.Assertion,
		RefreshToken:    g.Refresh,
		ExpiresAt:       g.ExpiresAt,
		BackupCodesVoid: g.CodesVoid,
	})
}

// otherHeaders is what a request has beside the assertion, in bytes.
const otherHeaders = 1 << 10

// warnOfLength tells the operator of an assertion that this server will not
// take back: its header would be longer than the server reads.
func (h *Handler) warnOfLength(r *http.Request, length int) {
	server, ok := r.Context().Value(http.ServerContextKey).(*http.Server)
	if !ok {
		return
	}
	limit := server.MaxHeaderBytes
	if limit <= 0 {
		limit = http.DefaultMaxHeaderBytes
	}
	if length+otherHeaders > limit {
		h.log.Warn("fullAccessToken is too long for this server to take back: clients that send it get 431; raise max_header_size in the global option servers",
			zap.Int("bytes", length), zap.Int("max_header_bytes", limit))
	}
}

// setCookie sets the cookie that carries an assertion, for maxAge seconds.
func setCookie(w http.ResponseWriter, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{
		Name: CookieName, Value: value, Path: "/", MaxAge: maxAge,
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// clearCookie removes the cookie, unless the answer sets it.
func clearCookie(w http.ResponseWriter) {
	for _, set := range w.Header().Values("Set-Cookie") {
		if strings.HasPrefix(set, CookieName+"=") {
			return
		}
	}
	setCookie(w, "", -1)
}

// refresh serves POST /mfa/refresh.
func (h *Handler) refresh(w http.ResponseWriter, r *http.Request) error {
	caller, err := h.caller(r)
	if err != nil {
		return err
	}
	var request refreshRequest
	if err := readJSON(w, r, &request); err != nil {
		return err
	}
	if request.RefreshToken == "" {
		return missing("refreshToken", "with the token that verify-login or the last refresh gave")
	}
	grant, err := h.service.Refresh(r.Context(), caller, request.RefreshToken)
	if errors.Is(err, mfa.ErrSessionExpired) {
		return &apiError{
			status: http.StatusUnauthorized, code: "mfa_session_expired", message: "MFA session expired",
			challenge: stepUpChallenge("The MFA session has ended", mfa.ACRMFA, 0),
		}
	}
	if err != nil {
		return err
	}
	return h.writePair(w, r, "MFA session refreshed", grant)
}

// signOut serves POST /mfa/sign-out.
func (h *Handler) signOut(w http.ResponseWriter, r *http.Request) error {
	caller, err := h.caller(r)
	if err != nil {
		return err
	}
	var request signOutRequest
	if err := readOptionalJSON(w, r, &request); err != nil {
		return err
	}
	ended, err := h.service.SignOut(r.Context(), caller, request.Everywhere)
	if err != nil {
		return err
	}
	clearCookie(w)
	answer := signOutAnswer{Success: true, Message: "Signed out", Data: signOutData{Ended: ended}}
	if caller.Session == "" && !request.Everywhere {
		answer.Message = nothingEnded
	}
	return writeJSON(w, http.StatusOK, answer)
}
