package api

import (
	"net/http"
	"strconv"
	"time"

	"github.com/caddymfa/caddy-mfa/mfa"
)

// jwksAge is how long anybody may keep the published keys: half of what a
// new one is published ahead.
const jwksAge = mfa.SigningOverlap / 2

// jwks serves GET /mfa/jwks.json (RFC 7517): the keys by which a backend
// verifies assertions itself.
func (h *Handler) jwks(w http.ResponseWriter, r *http.Request) error {
	set, err := h.service.JWKS(r.Context())
	if err != nil {
		return err
	}
	return h.publish(w, r, set, jwksAge)
}

// openAPI serves GET /mfa/openapi.json.
func (h *Handler) openAPI(w http.ResponseWriter, r *http.Request) error {
	return h.publish(w, r, h.document, time.Hour)
}

// publish writes a document that is the same for everybody.
func (h *Handler) publish(w http.ResponseWriter, r *http.Request, document []byte, age time.Duration) error {
	w.Header().Set("Cache-Control", "public, max-age="+strconv.Itoa(int(age/time.Second)))
	if w.Header().Get("Access-Control-Allow-Origin") == "" {
		w.Header().Set("Access-Control-Allow-Origin", "*")
	}
	return writeFile(w, r, "application/json", document)
}
